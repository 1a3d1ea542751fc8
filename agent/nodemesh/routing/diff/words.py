"""What a row asks for, in words."""

from __future__ import annotations

from collections.abc import Iterable

from ..match import (
    HEADER,
    PREFIX,
    PREFIX_FOLDED,
    PRESENT,
    QUERY,
    REGEX,
    SEGMENTS,
    WITHOUT,
    Check,
    MatchRow,
    TextMatch,
)

FOLDED = (5, 6)


def words_of(row: MatchRow | None) -> list[str]:
    """A phrase for each condition."""
    if row is None:
        return []
    found = [f"path {pattern(row.uri)}"] if row.uri is not None else []
    return found + [phrase(check) for check in row.checks]


def phrase(check: Check) -> str:
    name = check.key.decode(errors="replace")
    if check.field == HEADER:
        return f"header {name}" + ("" if check.match.kind == PRESENT else f": {pattern(check.match)}")
    if check.field == WITHOUT:
        if check.match.kind == PRESENT:
            return f"no header {name}"
        return f"header {name} other than {pattern(check.match)}"
    if check.field == QUERY:
        return f"query parameter {name}" + ("" if check.match.kind == PRESENT else f"={pattern(check.match)}")
    return f"{('method', 'authority', 'scheme')[check.field - QUERY - 1]} {pattern(check.match)}"


def pattern(match: TextMatch) -> str:
    text = match.value.decode(errors="replace")
    if match.kind in (PREFIX, PREFIX_FOLDED):
        text += "…"
    elif match.kind == SEGMENTS:
        text += "[/…]"
    elif match.kind == REGEX:
        text = f"that matches `{text}`"
    elif match.kind == PRESENT:
        text = "any"
    return f"{text} (any case)" if match.kind in FOLDED else text


def class_of(old: MatchRow | None, new: MatchRow | None, rest: bool, what: str = "requests") -> str:
    """The class of requests that two rows share; `rest` where rows before them take some of it."""
    found = [*dict.fromkeys((*words_of(old), *words_of(new)))]
    if not found:
        return f"all other {what}" if rest else f"all {what}"
    return f"{'other ' if rest else ''}{what} with {listed(found)}"


def listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
