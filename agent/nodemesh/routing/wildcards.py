"""Wildcards by what they end in: those that cover a name are found without a look at all the others, which tenants may
have as many of as they like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..bounded import Bounded


class Wildcards:
    """Wildcards such as `*.example.com`."""

    __slots__ = ("_lengths", "_suffixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._suffixes = {pattern[1:]: pattern for pattern in patterns if pattern.startswith("*")}
        self._lengths = sorted({len(suffix) for suffix in self._suffixes}, reverse=True)

    def covering(self, host: str) -> Iterator[str]:
        """Those that cover a name or a narrower wildcard (`names.covers`), the most specific first."""
        is_wildcard = host.startswith("*")
        name = host[1:] if is_wildcard else host
        size = len(name)
        for length in self._lengths:
            if length > size or (length == size and not is_wildcard and length):
                continue
            found = self._suffixes.get(name[size - length :])
            if found is not None:
                yield found


#: Those of the tuples that were asked for last. Tables have few, which live as long as they do.
_KNOWN: Final[Bounded[int, tuple[tuple[str, ...], Wildcards]]] = Bounded(32)


def wildcards_of(patterns: tuple[str, ...]) -> Wildcards:
    """Of a tuple in the tables: made once."""
    known = _KNOWN.found.get(id(patterns))
    if known is None or known[0] is not patterns:
        known = _KNOWN.keep(id(patterns), (patterns, Wildcards(patterns)))
    return known[1]
