"""The pairs of an old and a new row that one request can fall to, each with such a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from ..request import Request
from .space import Rows, Space, Wanted

#: Steps of one search; past them the pair is cut.
STEPS = 20_000

#: Rows that a search has to keep away from in more than one way, one within the other.
DEPTH = 300


class Region(msgspec.Struct, frozen=True):
    """A request that falls to these rows. `rest` says that rows before them take a part of what they ask for. Without a
    request the search was cut."""

    old: int
    new: int
    request: Request | None
    rest: bool


class Cut(Exception):
    """The search has taken too long."""


def regions(space: Space, old: Rows, new: Rows, same: Callable[[int, int], bool]) -> Iterator[Region]:
    """Every pair of rows with different answers that some request falls to."""
    shadowed = 0  # rows of the new side that ask for what an old row before asks for
    for index, wanted in enumerate(old.wanted):
        if all(wanted.values()):
            candidates = new.possible(wanted) & ~shadowed
            while candidates:
                low = candidates & -candidates
                candidates ^= low
                other = low.bit_length() - 1
                if not same(index, other):
                    found = region(space, old, new, index, other)
                    if found is not None:
                        yield found
                if implied(wanted, new.wanted[other]):
                    break
        shadowed |= new.at.get(old.keys[index], 0)


def implied(allowed: Wanted, wanted: Wanted) -> bool:
    """Whether all requests with such values match."""
    return all(part in allowed and not allowed[part] & ~values for part, values in wanted.items())


def region(space: Space, old: Rows, new: Rows, index: int, other: int) -> Region | None:
    allowed = dict(old.wanted[index])
    for part, values in new.wanted[other].items():
        allowed[part] = allowed.get(part, space.domain(part).all) & values
        if not allowed[part]:
            return None
    before = [old.wanted[each] for each in bits(old.possible(allowed) & ((1 << index) - 1))]
    before += [new.wanted[each] for each in bits(new.possible(allowed) & ((1 << other) - 1))]
    try:
        found = Search(space, before).solve(allowed, 0, 0)
    except Cut:
        return Region(index, other, None, True)
    return Region(index, other, space.request(found), bool(before)) if found is not None else None


def bits(values: int) -> Iterator[int]:
    while values:
        low = values & -values
        yield low.bit_length() - 1
        values ^= low


class Search:
    """Looks for values that none of some rows takes, by backtracking."""

    def __init__(self, space: Space, rows: list[Wanted]) -> None:
        self._space = space
        self._rows = list({frozenset(row.items()): row for row in rows}.values())
        self._rows.sort(key=len)  # those that can be kept away from in one way come first
        self._steps = 0

    def solve(self, allowed: Wanted, start: int, depth: int) -> Wanted | None:
        """The values that are left; None: there are none. Raises Cut."""
        for position in range(start, len(self._rows)):
            self._steps += 1
            if self._steps > STEPS or depth > DEPTH:
                raise Cut
            ways = []
            for part, values in self._rows[position].items():
                have = allowed.get(part)
                if have is None:
                    have = self._space.domain(part).all
                if not have & values:
                    break  # it is out of reach already
                if have & ~values:
                    ways.append((part, have & ~values))
            else:
                if len(ways) == 1:
                    allowed = {**allowed, ways[0][0]: ways[0][1]}
                    continue
                for part, left in sorted(ways, key=lambda way: -way[1].bit_count()):
                    found = self.solve({**allowed, part: left}, position + 1, depth + 1)
                    if found is not None:
                        return found
                return None
        return allowed
