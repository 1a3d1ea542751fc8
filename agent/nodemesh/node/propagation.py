"""How long it takes from a change's being seen to its being in force at all workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence, Set

import msgspec

from ..telemetry.histogram import Histogram
from .past import ObjectChange

#: Changes that are remembered, and of each causes and objects.
CHANGES = 200
CAUSES = 5
OBJECTS = 20


class Rollout(msgspec.Struct):
    """New tables: when (seconds since the epoch), why, how long they took (-1 while some worker lacks them), and which
    objects of the mesh's kinds changed, and who did that."""

    at: float
    version: int
    causes: tuple[str, ...]
    count: int  # of all causes
    seconds: float = -1.0
    objects: tuple[ObjectChange, ...] = ()


class Propagation:
    """`seen` when a change comes, `published` when tables made of it are sent, `applied` when all workers have them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.histogram = Histogram()  # of milliseconds
        self.changes: deque[Rollout] = deque(maxlen=CHANGES)
        self.last = 0.0  # seconds that the newest one took
        self._clock = clock
        self._seen = -1.0
        self._waiting: dict[int, float] = {}  # by version, when the first change in it was seen
        self._touched: dict[int, Set[str]] = {}  # by version, the hosts whose rules it changes

    def seen(self) -> None:
        if self._seen < 0.0:
            self._seen = self._clock()

    def published(
        self,
        version: int,
        causes: Sequence[str] = (),
        at: float = 0.0,
        objects: tuple[ObjectChange, ...] = (),
        touched: Set[str] = frozenset(),
    ) -> None:
        """Tables that are overtaken by newer ones are in force with these."""
        self.changes.append(Rollout(at, version, tuple(causes[:CAUSES]), len(causes), objects=objects[:OBJECTS]))
        if touched:
            self._touched[version] = touched
        if self._seen >= 0.0:
            self._waiting[version] = self._seen
            self._seen = -1.0

    def applied(self, version: int) -> set[str]:
        """The hosts for which other rules are in force by now."""
        for waiting in [each for each in self._waiting if each <= version]:
            self.last = self._clock() - self._waiting.pop(waiting)
            self.histogram.add([self.last * 1000.0])
        for change in self.changes:
            if change.version <= version and change.seconds < 0.0:
                change.seconds = self.last
        found: set[str] = set()
        for waiting in [each for each in self._touched if each <= version]:
            found |= self._touched.pop(waiting)
        return found
