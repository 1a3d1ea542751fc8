"""Answers that differ, as text of 80 columns: how many requests, where, what they come to on both sides, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

#: Columns of the text.
WIDTH = 80

#: Ways to differ that are written out.
SHOWN = 20

INDENT = " " * 19


class Differing(NamedTuple):
    """Requests that differ in one way: by aspect what both sides say, and the rules. `example` is one of them, `doubt`
    what is not known of it."""

    place: str
    requests: int
    aspects: list[str]
    old: dict[str, str]
    new: dict[str, str]
    old_rule: str
    new_rule: str
    example: str
    client: str
    doubt: str = ""


def heading() -> str:
    return f"{'COUNT':>9}  {'SHARE':>6}  WHERE, AND WHAT BECOMES OTHERWISE"


def lines_of(row: Differing, total: int, before: str) -> Iterator[str]:
    """`before` is the word for the old side."""
    yield counted(row.requests, total, row.place)
    for aspect in row.aspects:
        yield from wrapped(f"{aspect}: {row.new.get(aspect, 'none')}, {before} {row.old.get(aspect, 'none')}", INDENT)
    yield from wrapped(f"by {row.new_rule or 'no rule'}", INDENT)
    yield from wrapped(f"{before} by {row.old_rule or 'no rule'}", INDENT)
    yield from wrapped(f"as {shortened(row.example)}", INDENT)
    yield from wrapped(f"from {row.client}{row.doubt and f', {row.doubt}'}", INDENT)


def counted(count: int, total: int, text: str) -> str:
    part = f"{count / total:.1%}" if total else "-"
    return f"{count:>9,}  {part:>6}  {text}"


def shortened(text: str) -> str:
    """So much of a request that it fits into a line."""
    room = WIDTH - len(INDENT) - len("as ")
    return text if len(text) <= room else f"{text[: room - 1]}…"


def wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
