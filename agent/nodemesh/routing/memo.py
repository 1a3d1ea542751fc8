"""A memory of compiled things that outlives a change of the tables as long as their inputs do."""

from __future__ import annotations

from typing import Generic, TypeVar

from .lookup import Read, still_holds
from .tables import Tables

K = TypeVar("K")
V = TypeVar("V")

#: How many things a memory holds; beyond that it starts anew.
MAX_KEPT = 100_000
#: How many versions' things are looked through before they are put together.
MAX_LAYERS = 16

Kept = dict[K, tuple[V, list[Read]]]


class Memo(Generic[K, V]):
    """Values by key, each with what it was made from. Those of earlier versions lie in layers, the newest first, so
    that a new version costs nothing for all that nobody asks for."""

    __slots__ = ("_kept", "_layers", "_tables")

    def __init__(self, tables: Tables, before: Memo[K, V] | None) -> None:
        self._tables = tables
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
        self._kept[key] = (value, reads)
        return value


def layers_of(before: Memo[K, V]) -> tuple[Kept[K, V], ...]:
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
