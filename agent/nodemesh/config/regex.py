"""Istio's regular expressions: RE2's dialect in linear time. The only place that knows the RE2 binding."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import re2

from ..bounded import Bounded

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_ANYTHING = rb"\C*"  # any bytes, be they UTF-8 or not
_REFERENCE = re.compile(rb"\\(.)", re.DOTALL)
_REMEMBERED = 1024  # results per pattern
_LONGEST_REMEMBERED = 256  # bytes of a subject


class RegexError(ValueError):
    """The pattern or the replacement is not right; the text is one sentence that says why."""


class Pattern:
    """A compiled expression over UTF-8 bytes. The last results are remembered: header values and paths repeat."""

    __slots__ = ("text", "groups", "_regexp", "_results")

    def __init__(self, text: str) -> None:
        try:
            self._regexp: Any = re2.compile(text.encode(), _OPTIONS)  # type: ignore[no-untyped-call]
        except re2.error as error:
            reason = error.args[0] if error.args else error
            reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            raise RegexError(f"`{text[:80]}` is not an RE2 expression: {reason}") from None
        except UnicodeEncodeError:
            raise RegexError("the expression holds characters that are not UTF-8") from None
        self.text = text
        self.groups: int = self._regexp.groups
        self._results: Bounded[bytes, bool] = Bounded(_REMEMBERED, _LONGEST_REMEMBERED)

    def fullmatch(self, subject: bytes) -> bool:
        """Whether all of `subject` matches."""
        found = self._results.found.get(subject)
        if found is None:
            found = self._results.keep(subject, self._regexp.fullmatch(subject) is not None, len(subject))
        return found

    def sub(self, replacement: bytes, subject: bytes) -> bytes:
        """`subject` with every match replaced; `\\1` stands for a group, `\\0` for the match, `\\\\` for a backslash
        (RE2's GlobalReplace). RegexError where the replacement names a group that the expression lacks."""
        parts = template(replacement, self.groups)
        pieces: list[bytes] = []
        end = 0
        for match in self._regexp.finditer(subject):
            pieces.append(subject[end : match.start()])
            pieces += [part if isinstance(part, bytes) else match.group(part) or b"" for part in parts]
            end = match.end()
        pieces.append(subject[end:])
        return b"".join(pieces)


class PatternSet:
    """Many expressions that one subject is held against in one pass. `usable` is false where they are too costly for
    that together: RE2 bounds the memory of its automaton."""

    __slots__ = ("usable", "_always", "_set")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._set: Any = re2.Set.FullMatchSet(_OPTIONS)  # type: ignore[no-untyped-call]
        self.usable = True
        try:
            for pattern in patterns:
                self._set.Add(pattern.text.encode())
            self._always: int = self._set.Add(_ANYTHING)
            self._set.Compile()
        except re2.error:
            self.usable = False

    def fullmatch(self, subject: bytes) -> frozenset[int] | None:
        """The indices of those that match all of `subject`; None where memory did not suffice to tell. RE2 says then
        that none matches: so there is one that always does."""
        found = self._set.Match(subject) or ()
        return frozenset(found) if self._always in found else None


@functools.lru_cache(maxsize=4096)
def compile(pattern: str) -> Pattern:
    """The pattern, compiled once; RegexError where it is none."""
    return Pattern(pattern)


@functools.lru_cache(maxsize=4096)
def template(replacement: bytes, groups: int) -> tuple[bytes | int, ...]:
    """A replacement's literal parts and group numbers; RegexError where it is none for so many groups."""
    parts: list[bytes | int] = []
    end = 0
    for reference in _REFERENCE.finditer(replacement):
        parts.append(replacement[end : reference.start()])
        end = reference.end()
        letter = reference.group(1)
        if letter == b"\\":
            parts.append(b"\\")
        elif letter.isdigit():
            if int(letter) > groups:
                raise RegexError(f"the replacement names group {int(letter)}, but the expression has {groups}")
            parts.append(int(letter))
        else:
            shown = letter.decode(errors="replace")
            raise RegexError(f"`\\{shown}` means nothing in a replacement; right are \\0 to \\9 and \\\\")
    rest = replacement[end:]
    if rest.endswith(b"\\"):
        raise RegexError("the replacement ends in a lone backslash; write \\\\")
    parts.append(rest)
    return tuple(part for part in parts if part != b"")
