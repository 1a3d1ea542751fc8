"""Results remembered by what they were made from: what repeats from line to line costs a look-up.

The rule is `Bounded`'s; a dict that makes what it lacks answers `memo[key]` without a call for what it has."""

from __future__ import annotations

from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: Beyond this many results a memo starts over: its keys come from outside and may be anything.
LIMIT: Final = 4096

#: Longer keys are not remembered.
LONGEST: Final = 256


class Memo(dict[K, V]):
    """`memo[key]` is `make(key)`, made once."""

    __slots__ = ()

    def make(self, key: K) -> V:
        """The result for one key."""
        raise NotImplementedError

    def __missing__(self, key: K) -> V:
        value = self.make(key)
        if isinstance(key, (bytes, str)) and len(key) > LONGEST:
            return value
        if len(self) >= LIMIT:
            self.clear()
        self[key] = value
        return value
