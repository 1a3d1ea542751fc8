"""When gathered changes are handed on: after a quiet moment, but not too late, and soon where endpoints changed."""

from __future__ import annotations

#: Seconds without a change before rules and services are handed on, and the most that they wait (Istio's
#: PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX).
QUIET = 0.1
LIMIT = 10.0
#: Seconds that changed endpoints wait for company: traffic to a pod that is gone is worse than one more version.
ENDPOINTS = 0.05
#: The most that a slow application holds up what follows, seconds.
PAUSE = 1.0


class Debounce:
    """Times are seconds of the caller's clock."""

    __slots__ = ("_first", "_last", "_urgent", "_not_before")

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._urgent: float | None = None
        self._not_before = 0.0

    def changed(self, now: float, urgent: bool) -> None:
        """Something changed; `urgent` where endpoints did."""
        if self._first is None:
            self._first = now
        self._last = now
        if urgent and self._urgent is None:
            self._urgent = now

    def due(self) -> float | None:
        """When to hand on; None while there is nothing."""
        if self._first is None:
            return None
        when = min(self._last + QUIET, self._first + LIMIT)
        if self._urgent is not None:
            when = min(when, self._urgent + ENDPOINTS)
        return max(when, self._not_before)

    def handed_on(self) -> None:
        """Everything up to now was."""
        self._first = self._urgent = None

    def applied(self, now: float, seconds: float) -> None:
        """Applying it took so long: as long is left for everything else, within reason."""
        self._not_before = now + min(seconds, PAUSE)
