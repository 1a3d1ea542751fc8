"""The rows of both sides as sets of values: which rows a set of requests can match, kept in integers' bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..decision import Decision
from ..match import MatchRow, TextMatch, VirtualHost
from ..request import Request
from .domain import AUTHORITIES, PATH, SCHEMES, Domain, Part, apply, blank, part_of

#: What a row asks for: by part the values that it takes; parts that it does not look at are absent.
Wanted = Mapping[Part, int]


class Rows:
    """One side's rows in their order, the last being what is left: the host's answer where no row matches."""

    def __init__(self, host: VirtualHost | Decision, space: Space) -> None:
        self.rows: list[MatchRow] = rows_of(host) if isinstance(host, VirtualHost) else []
        self.otherwise = host.otherwise if isinstance(host, VirtualHost) else host
        self.wanted: list[Wanted] = [*(space.wanted(row) for row in self.rows), {}]
        self.keys = [frozenset(wanted.items()) for wanted in self.wanted]
        self.at: dict[frozenset[tuple[Part, int]], int] = {}  # by key, all rows that have it
        for index, key in enumerate(self.keys):
            self.at[key] = self.at.get(key, 0) | 1 << index
        self._all = (1 << len(self.wanted)) - 1
        self._space = space
        self._free: dict[Part, int] = {}
        self._by_value: dict[Part, list[int]] = {}
        self._unions: dict[tuple[Part, int], int] = {}

    def __len__(self) -> int:
        return len(self.wanted)

    def decision(self, index: int) -> Decision:
        return self.rows[index].decision if index < len(self.rows) else self.otherwise

    def possible(self, allowed: Wanted) -> int:
        """The rows that requests with such values may match, a bit for each."""
        found = self._all
        for part, values in allowed.items():
            found &= self._matched(part, values)
        return found

    def _matched(self, part: Part, values: int) -> int:
        known = self._unions.get((part, values))
        if known is None:
            if part not in self._by_value:
                self._index(part)
            by_value, known, rest = self._by_value[part], self._free[part], values
            while rest:
                low = rest & -rest
                known |= by_value[low.bit_length() - 1]
                rest ^= low
            self._unions[part, values] = known
        return known

    def _index(self, part: Part) -> None:
        by_value, free = [0] * len(self._space.domain(part).values), 0
        for index, wanted in enumerate(self.wanted):
            values = wanted.get(part)
            if values is None:
                free |= 1 << index
                continue
            while values:
                low = values & -values
                by_value[low.bit_length() - 1] |= 1 << index
                values ^= low
        self._by_value[part], self._free[part] = by_value, free


class Space:
    """All parts that the rows of some hosts look at."""

    def __init__(self, hosts: Iterable[VirtualHost | Decision], authorities: Sequence[bytes]) -> None:
        sides = [rows_of(host) for host in hosts if isinstance(host, VirtualHost)]
        conditions: dict[Part, list[TextMatch]] = {}
        texts: list[set[str]] = []
        for rows in sides:
            found = [pair for row in rows for pair in conditions_of(row)]
            for part, match in found:
                conditions.setdefault(part, []).append(match)
            texts.append({match.pattern.text for _, match in found if match.pattern is not None})
        changed = frozenset(texts[0] ^ texts[1]) if len(texts) == 2 else frozenset()
        given = {AUTHORITIES: authorities, SCHEMES: (b"http", b"https")}
        self._domains = {part: Domain(part, found, given.get(part, ()), changed) for part, found in conditions.items()}
        self.authority = authorities[0]

    def domain(self, part: Part) -> Domain:
        return self._domains[part]

    @property
    def untold(self) -> int:
        return sum(domain.untold for domain in self._domains.values())

    @property
    def unsampled(self) -> list[str]:
        return [text for domain in self._domains.values() for text in domain.unsampled]

    def wanted(self, row: MatchRow) -> dict[Part, int]:
        found: dict[Part, int] = {}
        if row.uri is not None:
            found[PATH] = self._domains[PATH].of_text(row.uri)
        for check in row.checks:
            part = part_of(check)
            domain = self._domains[part]
            found[part] = found.get(part, domain.all) & domain.of_check(check)
        return found

    def request(self, allowed: Wanted) -> Request:
        """A request with such values."""
        request = blank()
        request.authority = self.authority
        for part, values in sorted(allowed.items()):
            apply(request, part, self._domains[part].choose(values))
        for part, domain in self._domains.items():
            if part not in allowed:
                apply(request, part, domain.values[domain.usual])
        return request


def rows_of(host: VirtualHost) -> list[MatchRow]:
    return [row for block in host.blocks for row in block.rows]


def conditions_of(row: MatchRow) -> Iterator[tuple[Part, TextMatch]]:
    if row.uri is not None:
        yield PATH, row.uri
    for check in row.checks:
        yield part_of(check), check.match
