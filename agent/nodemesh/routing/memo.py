"""A memory of compiled things that outlives a change of the tables as long as their inputs do."""

from __future__ import annotations

from typing import Generic, TypeVar

from .lookup import Read, still_holds
from .tables import Tables

K = TypeVar("K")
V = TypeVar("V")

#: How many things a memory holds; beyond that it starts anew.
MAX_KEPT = 100_000


class Memo(Generic[K, V]):
    """Values by key, each with what it was made from."""

    __slots__ = ("_kept", "_stale", "_tables")

    def __init__(self, tables: Tables, before: Memo[K, V] | None) -> None:
        self._tables = tables
        self._kept: dict[K, tuple[V, list[Read]]] = {}
        self._stale: dict[K, tuple[V, list[Read]]] = {}
        if before is not None and len(before._kept) + len(before._stale) <= MAX_KEPT:
            self._stale = {**before._stale, **before._kept}

    def get(self, key: K) -> tuple[V, list[Read]] | None:
        found = self._kept.get(key)
        if found is not None:
            return found
        stale = self._stale.pop(key, None)
        if stale is None or not still_holds(stale[1], self._tables):
            return None
        self._kept[key] = stale
        return stale

    def keep(self, key: K, value: V, reads: list[Read]) -> V:
        self._kept[key] = (value, reads)
        return value
