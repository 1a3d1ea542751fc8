"""When watchers hear of changes: soon, and in company, so that telling them takes at most half of the relay's time."""

from __future__ import annotations

#: Seconds that changes wait for company, but for those that are pressing.
GATHER = 0.05


class Pace:
    """Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._rest = 0.0  # until when nobody is told, be it pressing or not

    def due(self, now: float, pressing: bool) -> float:
        """When watchers are to hear of a change that comes now."""
        return max(now if pressing else now + GATHER, self._rest)

    def told(self, began: float, ended: float) -> None:
        """All of them have been. What took long with a thousand watchers waits as long before the next time."""
        self._rest = ended + (ended - began)
