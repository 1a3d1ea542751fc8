"""Tables as lines of text that fit their terminal: long cells go below their row, what matters less is left out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from ..config.printable import printable

GAP = "  "
INDENT = "    "

#: The narrowest that a column becomes when its cells are folded.
NARROWEST = 8

#: What every name inside a cluster ends with.
DOMAIN = ".svc.cluster.local"


class Column(NamedTuple):
    """How a column gives way where there is no room: `below` moves its cells to lines of their own below the row,
    `minor` leaves it out."""

    name: str
    below: bool = False
    minor: bool = False


Columns = Sequence[Column | str]


def below(name: str) -> Column:
    return Column(name, below=True)


def minor(name: str) -> Column:
    return Column(name, minor=True)


def in_bytes(octets: int) -> str:
    """A number of bytes as people read it."""
    value, unit = float(octets), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, bigger
    return f"{value:.1f} {unit}" if unit != "B" and value < 10 else f"{value:.0f} {unit}"


def lay_out(columns: Columns, rows: Sequence[Sequence[object]], width: int = 0) -> list[str]:
    """The lines of a table. Without a width each row is one line, with all it has."""
    named = [column if isinstance(column, Column) else Column(column) for column in columns]
    cells = [[printable(cell) for cell in row] for row in rows]
    if width:
        cells = [[cell.replace(DOMAIN, "") for cell in row] for row in cells]
    sizes = [max(len(column.name), *(len(row[place]) for row in cells)) for place, column in enumerate(named)]
    kept, under, left_out = _arranged(named, cells, sizes, width)
    if width:
        _fold(sizes, kept, width)
    lines = [*_line([column.name for column in named], kept, sizes)]
    for row in cells:
        lines += _line(row, kept, sizes)
        lines += _under([f"{named[place].name.lower()}: {row[place]}" for place in under if row[place]], width)
    if left_out:
        lines.append(f"(-o wide: {', '.join(named[place].name for place in left_out)})")
    return lines


def _under(texts: list[str], width: int) -> list[str]:
    """What stands below a row: on one line, if that holds it."""
    joined = GAP.join(texts)
    if len(INDENT) + len(joined) <= width:
        texts = [joined] if joined else []
    return [wrapped(text, INDENT, width) for text in texts]


def wrapped(text: str, indent: str, width: int, further: str = GAP) -> str:
    """Text as lines of that width, each further in than its first. Paths stay whole: people copy them."""
    return textwrap.fill(
        text, max(width, 40), initial_indent=indent, subsequent_indent=indent + further, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


def fitted(text: str, width: int, further: str = GAP) -> str:
    """Lines that fit the width, if there is one: what does not goes on below, further in than where its line began."""

    def folded(line: str) -> str:
        bare = line.lstrip()
        return line if len(line) <= width else wrapped(bare, line[: len(line) - len(bare)], width, further)

    return "\n".join(map(folded, text.split("\n"))) if width else text


def _arranged(
    columns: list[Column], cells: list[list[str]], sizes: list[int], width: int
) -> tuple[list[int], list[int], list[int]]:
    """Which columns are beside each other, whose cells are below their row, and which are left out."""
    kept = list(range(len(columns)))
    if not width or _total(sizes, kept) <= width:
        return kept, [], []
    kept = [place for place in kept if any(row[place] for row in cells)]
    under: list[int] = []
    if _total(sizes, [place for place in kept if not columns[place].minor]) > width:
        # The longest give way first, and none that need not.
        for place in sorted((each for each in kept if columns[each].below), key=lambda each: -sizes[each]):
            if _total(sizes, kept) > width:
                kept.remove(place)
                under.append(place)
    left_out: list[int] = []
    for place in [each for each in reversed(kept) if columns[each].minor]:
        if _total(sizes, kept) > width:
            kept.remove(place)
            left_out.append(place)
    return kept, sorted(under), sorted(left_out)


def _total(sizes: list[int], kept: list[int]) -> int:
    return sum(sizes[place] for place in kept) + len(GAP) * (len(kept) - 1)


def _fold(sizes: list[int], kept: list[int], width: int) -> None:
    """Make the widest columns narrower, until the rest fits."""
    while (excess := _total(sizes, kept) - width) > 0:
        widest = max(kept, key=lambda place: sizes[place])
        if sizes[widest] <= NARROWEST:
            return
        others = [sizes[place] for place in kept if place != widest]
        sizes[widest] = max(NARROWEST, sizes[widest] - excess, min(sizes[widest] - 1, max(others, default=0)))


def _line(row: list[str], kept: list[int], sizes: list[int]) -> list[str]:
    """A row's lines: one, or more where cells are folded."""
    folded = [_pieces(row[place], sizes[place]) for place in kept]
    height = max(map(len, folded), default=1)
    return [
        GAP.join(
            (pieces[number] if number < len(pieces) else "").ljust(sizes[place])
            for place, pieces in zip(kept, folded, strict=True)
        ).rstrip()
        for number in range(height)
    ]


def _pieces(cell: str, size: int) -> list[str]:
    return [cell] if len(cell) <= size else textwrap.wrap(cell, size)
