"""A memory of compiled things that outlives a change of the tables as long as their inputs do."""

from __future__ import annotations

from typing import Generic, TypeVar

from ..bounded import Bounded
from .lookup import Read, still_holds
from .tables import Tables

K = TypeVar("K")
V = TypeVar("V")

#: How many things a memory holds; beyond that it starts over.
MAX_KEPT = 100_000
#: How many versions' things are looked through before they are put together.
MAX_LAYERS = 16

Kept = dict[K, tuple[V, list[Read]]]


class ValuePool(Generic[K, V]):
    """Has several memories hold once what is equal in them: of a big mesh most clients see most the same."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Bounded[K, tuple[V, list[Read]]] = Bounded(MAX_KEPT)

    def of(self, key: K, value: V, reads: list[Read]) -> tuple[V, list[Read]]:
        """The pair as it is held, where it has the same value from the very same objects; else as it is given."""
        held = self._held.found.get(key)
        if held is not None and same_reads(held[1], reads) and held[0] == value:
            return held
        return self._held.keep(key, (value, reads))


def same_reads(some: list[Read], others: list[Read]) -> bool:
    return len(some) == len(others) and all(
        one[2] is other[2] and one[1] == other[1] and one[0] == other[0]
        for one, other in zip(some, others, strict=True)
    )


class TablesMemo(Generic[K, V]):
    """Values by key, each with what it was made from. Those of earlier versions lie in layers, the newest first, so
    that a new version costs nothing for all that nobody asks for."""

    __slots__ = ("_kept", "_layers", "_pool", "_tables")

    def __init__(self, tables: Tables, before: TablesMemo[K, V] | None, pool: ValuePool[K, V] | None = None) -> None:
        self._tables = tables
        self._pool = pool
        self._kept: Kept[K, V] = {}
        self._layers: tuple[Kept[K, V], ...] = layers_of(before) if before is not None else ()

    def get(self, key: K) -> tuple[V, list[Read]] | None:
        found = self._kept.get(key)
        if found is not None:
            return found
        for layer in self._layers:
            found = layer.get(key)
            if found is not None:
                if not still_holds(found[1], self._tables):
                    return None
                self._kept[key] = found
                return found
        return None

    def keep(self, key: K, value: V, reads: list[Read]) -> V:
        kept = self._pool.of(key, value, reads) if self._pool is not None else (value, reads)
        self._kept[key] = kept
        return kept[0]


def layers_of(before: TablesMemo[K, V]) -> tuple[Kept[K, V], ...]:
    """What the next version's memory starts from."""
    layers = (before._kept, *before._layers) if before._kept else before._layers
    if sum(map(len, layers)) > MAX_KEPT:
        return ()
    if len(layers) <= MAX_LAYERS:
        return layers
    merged: Kept[K, V] = {}
    for layer in reversed(layers):
        merged.update(layer)
    return (merged,)
