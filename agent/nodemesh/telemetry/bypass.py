"""Connections that passed by the HTTP rules of their port, since they speak something else."""

from __future__ import annotations

from typing import Final

#: A service's host and port, and what was spoken there instead (`tls`, `tcp`, `http/1.0`).
Key = tuple[str, int, str]

#: Keys that are counted by themselves. Hosts and ports are the registry's, which may have any number.
MOST: Final = 1000

#: Under this all others are counted.
OTHERS: Final[Key] = ("", 0, "")


class Bypasses:
    """Counts by key, within bounds."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[Key, int] = {}

    def add(self, key: Key, count: int = 1) -> bool:
        """Whether it is the first of its key."""
        known = key in self.counts
        if not known and len(self.counts) >= MOST:
            key = OTHERS
            known = key in self.counts
        self.counts[key] = self.counts.get(key, 0) + count
        return not known

    def take(self) -> list[tuple[str, int, str, int]]:
        """What was counted since the last time, as it travels."""
        taken = [(*key, count) for key, count in self.counts.items()]
        self.counts.clear()
        return taken

    def of(self, host: str, port: int) -> dict[str, int]:
        """How many there were on one port, by what they speak."""
        return {
            spoken: count for (name, number, spoken), count in self.counts.items() if (name, number) == (host, port)
        }
