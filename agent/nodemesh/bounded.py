"""What was found out before, for so many keys and no more: keys come from outside, and may be anything.

A memory that is full starts over: what matters comes back at once, a look-up keeps no order, and no key can hold its
place by being asked for. `functools.lru_cache` is for functions of few arguments that come from the configuration."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: The size of keys that have none.
NONE: Final = 0

#: For keys of any size.
ANY: Final = 1 << 62


#: For names of hosts (255 characters, RFC 1035) with a port: what is longer is nobody's, and who asks for thousands of
#: such would fill the memory.
NAMES: Final = 300


class Bounded(Generic[K, V]):
    """At most `limit` values. `found` is read as it is, so that a hit costs no call."""

    __slots__ = ("found", "limit", "longest")

    def __init__(self, limit: int, longest: int = ANY) -> None:
        self.found: dict[K, V] = {}
        self.limit = limit
        self.longest = longest

    def keep(self, key: K, value: V, size: int = NONE) -> V:
        """Remember the value, unless the key's size is more than `longest`; returns it."""
        if size <= self.longest:
            if len(self.found) >= self.limit:
                self.found.clear()
            self.found[key] = value
        return value
