"""Texts that a regular expression matches: a few for each of its branches."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice, product
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from ...config.regex import Pattern

#: Of one expression, and of each of its parts.
MOST = 24
PER_PART = 4

#: Samples of any character, and of those that are not in a set.
PLAIN = "x"
OTHERS = "x0-_ ./AZ~"

CLASSES = {
    "CATEGORY_DIGIT": "0",
    "CATEGORY_NOT_DIGIT": "x",
    "CATEGORY_WORD": "x",
    "CATEGORY_NOT_WORD": "-",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "x",
}


def samples(pattern: Pattern) -> list[bytes]:
    """Texts that match, none where none was found."""
    try:
        parsed = parser.parse(pattern.text)
    except (re.error, RecursionError, OverflowError):
        return []
    found = dict.fromkeys(text.encode() for text in islice(sequence(list(parsed)), 4 * MOST))
    return [text for text in found if pattern.fullmatch(text)][:MOST]


def beginning(pattern: Pattern) -> bytes:
    """The letters that all texts begin with which match."""
    try:
        parsed = parser.parse(pattern.text)
    except (re.error, RecursionError, OverflowError):
        return b""
    letters = ""
    for kind, value in () if parsed.state.flags & re.IGNORECASE else parsed:
        if kind is ops.LITERAL:
            letters += chr(value)
        elif kind is not ops.AT:
            break
    return letters.encode()


def sequence(parts: list[Any]) -> Iterable[str]:
    """Parts one after the other: all together vary, as far as their bound lets them."""
    choices = [list(islice(part(*each), PER_PART)) for each in parts]
    whole = ["".join(choice) for choice in islice(product(*choices), 4 * MOST)]
    first = "".join(choice[0] if choice else "" for choice in choices)
    for index, choice in enumerate(choices):  # each part by itself, however many there are
        before = "".join(each[0] for each in choices[:index] if each)
        after = "".join(each[0] for each in choices[index + 1 :] if each)
        whole += [before + text + after for text in choice]
    return dict.fromkeys([first, *whole])


def part(kind: Any, value: Any) -> Iterable[str]:
    if kind is ops.LITERAL:
        return [chr(value)]
    if kind is ops.NOT_LITERAL:
        return [letter for letter in OTHERS if letter != chr(value)]
    if kind is ops.ANY:
        return [PLAIN, "/"]
    if kind is ops.IN:
        return members(value)
    if kind is ops.BRANCH:
        return [text for branch in value[1] for text in islice(sequence(list(branch)), PER_PART)][: 4 * MOST]
    if kind is ops.SUBPATTERN:
        return sequence(list(value[3]))
    if kind in (ops.MAX_REPEAT, ops.MIN_REPEAT):
        low, high, inner = value
        texts = list(islice(sequence(list(inner)), PER_PART))
        counts = [count for count in (low, low + 1) if count <= high and count <= 1000]
        return [text * count for count in counts for text in (texts or [""])]
    return [""]  # anchors and word boundaries


def members(value: list[Any]) -> list[str]:
    """Of a set of characters, one of each of its parts."""
    if value and value[0][0] is ops.NEGATE:
        excluded = [each for kind, each in value[1:] if kind in (ops.LITERAL, ops.RANGE)]
        return [letter for letter in OTHERS if not any(holds(each, letter) for each in excluded)]
    found = []
    for kind, each in value:
        if kind is ops.LITERAL:
            found.append(chr(each))
        elif kind is ops.RANGE:
            found.append(chr(each[0]))
        elif kind is ops.CATEGORY:
            found.append(CLASSES.get(str(each), PLAIN))
    return found


def holds(excluded: Any, letter: str) -> bool:
    if isinstance(excluded, tuple):
        return bool(excluded[0] <= ord(letter) <= excluded[1])
    return bool(excluded == ord(letter))
