"""A look at all series for what is new under them, some at a time: none is passed over, and no look takes long."""

from __future__ import annotations

from typing import Any

#: Looks that taking a series' numbers is worth.
TAKEN = 8

#: A series that was not counted under at so many looks makes room.
IDLE_LOOKS = 30

Table = dict[tuple[str, ...], Any]


class Sweep:
    """Goes through some tables of series by their labels, from the beginning again when it has come to their end."""

    __slots__ = ("_tables", "_left", "idle")

    def __init__(self, *tables: Table) -> None:
        self._tables = tables
        self._left: list[list[tuple[str, ...]]] = [[] for _ in tables]  # by table, the next one last
        self.idle: list[tuple[str, ...]] = []  # labels whose series have left since this was emptied

    @property
    def more(self) -> bool:
        """Whether some are still to be looked at."""
        return any(self._left)

    def take(self, looks: int) -> list[list[Any]]:
        """What is new, by table, in about so many looks."""
        if not self.more:
            self._left = [list(reversed(table)) for table in self._tables]
        found: list[list[Any]] = [[] for _ in self._tables]
        for table, left, new in zip(self._tables, self._left, found, strict=True):
            while left and looks > 0:
                labels = left.pop()
                series = table[labels]
                counts = series.take(labels)
                looks -= 1
                if counts is not None:
                    looks -= TAKEN - 1
                    new.append(counts)
                    series.idle = 0
                    continue
                series.idle += 1
                if series.idle >= IDLE_LOOKS:
                    del table[labels]
                    self.idle.append(labels)
        return found
