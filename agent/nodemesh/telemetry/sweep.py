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
        self._left: list[tuple[int, tuple[str, ...]]] = []  # table and labels, the next one last
        self.idle: list[tuple[str, ...]] = []  # labels whose series have left since this was emptied

    @property
    def more(self) -> bool:
        """Whether some are still to be looked at."""
        return bool(self._left)

    def take(self, looks: int) -> list[list[Any]]:
        """What is new, by table, in about so many looks."""
        if not self._left:
            self._left = [(number, labels) for number, table in enumerate(self._tables) for labels in table]
            self._left.reverse()
        found: list[list[Any]] = [[] for _ in self._tables]
        while self._left and looks > 0:
            number, labels = self._left.pop()
            series = self._tables[number][labels]
            counts = series.take(labels)
            looks -= 1
            if counts is not None:
                looks -= TAKEN - 1
                found[number].append(counts)
                series.idle = 0
                continue
            series.idle += 1
            if series.idle >= IDLE_LOOKS:
                del self._tables[number][labels]
                self.idle.append(labels)
        return found
