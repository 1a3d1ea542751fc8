"""What differs between two versions of a mapping whose values are never changed, only replaced."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def changed_keys(now: Mapping[K, V], before: Mapping[K, V]) -> set[K]:
    """Keys whose values are not the very same object."""
    if now is before:
        return set()
    if len(now) == len(before) and all(map(operator.eq, now, before)):  # as good as always, and ten times as fast
        return set(itertools.compress(now, map(operator.is_not, now.values(), before.values())))
    changed = {key for key, value in now.items() if before.get(key) is not value}
    changed.update(key for key in before if key not in now)
    return changed


def carried(now: tuple[V, ...], before: tuple[V, ...], name: Callable[[V], Hashable]) -> tuple[V, ...]:
    """`now` with the former objects where they are equal; `name` tells which might be. What changes a little again and
    again then takes no other memory than it has."""
    held = {name(each): each for each in before}
    return tuple(old if (old := held.get(name(each))) is not None and old == each else each for each in now)
