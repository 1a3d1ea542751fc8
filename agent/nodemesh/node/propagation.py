"""How long it takes from a change's being seen to its being in force at all workers."""

from __future__ import annotations

from collections.abc import Callable

from ..telemetry.histogram import Histogram


class Propagation:
    """`seen` when a change comes, `published` when tables made of it are sent, `applied` when all workers have them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.histogram = Histogram()  # of milliseconds
        self.last = 0.0  # seconds that the newest one took
        self._clock = clock
        self._seen = -1.0
        self._waiting: dict[int, float] = {}  # by version, when the first change in it was seen

    def seen(self) -> None:
        if self._seen < 0.0:
            self._seen = self._clock()

    def published(self, version: int) -> None:
        """Tables that are overtaken by newer ones are in force with these."""
        if self._seen >= 0.0:
            self._waiting[version] = self._seen
            self._seen = -1.0

    def applied(self, version: int) -> None:
        for waiting in [each for each in self._waiting if each <= version]:
            self.last = self._clock() - self._waiting.pop(waiting)
            self.histogram.add(self.last * 1000.0)
