"""How long to wait before an API server is asked again."""

from __future__ import annotations

from collections.abc import Callable

#: Uniform in [0, 1).
Random = Callable[[], float]


class Backoff:
    """Doubles from `first` to `limit` seconds; of each delay one half is drawn, so that a thousand agents which lost
    their server together do not come back together."""

    FIRST = 0.2
    LIMIT = 30.0

    __slots__ = ("_delay", "_random")

    def __init__(self, random: Random) -> None:
        self._delay = self.FIRST
        self._random = random

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        delay = self._delay
        self._delay = min(self.LIMIT, delay * 2)
        return delay * (0.5 + self._random() / 2)

    def reset(self) -> None:
        """All is well again."""
        self._delay = self.FIRST
