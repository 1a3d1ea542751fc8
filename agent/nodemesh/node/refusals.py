"""What the API server refuses of single objects: others do not wait for it, and it is tried again after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import Generic, TypeVar

from ..registry.sources.api import ApiError

Key = TypeVar("Key")
Item = TypeVar("Item")

#: Seconds until the same is tried again.
RETRY = 60.0

#: The object's own fault: malformed, gone or of a namespace that is, at odds with what stands there, too large.
OWN = frozenset({400, 404, 409, 413, 422})

#: What a namespace's quota, its end, or a rule for it says; from a status, that the rights are missing.
FORBIDDEN = 403


class Refusals(Generic[Key, Item]):
    """Objects by their keys, each as it was refused. `forbidden_alone`: to be forbidden counts as the object's own."""

    def __init__(self, forbidden_alone: bool) -> None:
        self._own = OWN | {FORBIDDEN} if forbidden_alone else OWN
        self._refused: dict[Key, tuple[Item, float]] = {}

    def stands(self, key: Key, item: Item) -> bool:
        """Whether this was refused a moment ago."""
        known = self._refused.get(key)
        if known is not None and (known[0] != item or asyncio.get_running_loop().time() >= known[1]):
            del self._refused[key]
            return False
        return known is not None

    def note(self, key: Key, item: Item, error: ApiError) -> bool:
        """Remember a refusal; False where it may be about all objects."""
        if error.status not in self._own:
            return False
        self._refused[key] = item, asyncio.get_running_loop().time() + RETRY
        return True

    def keep(self, keys: Container[Key]) -> None:
        """Forget the objects that are no more."""
        self._refused = {key: known for key, known in self._refused.items() if key in keys}
