"""When gathered changes are handed on: after a quiet moment, but not too late; soon where endpoints changed, and at
once where one leaves."""

from __future__ import annotations

from enum import IntEnum

#: Seconds without a change before rules and services are handed on, and the most that they wait (Istio's
#: PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX).
QUIET = 0.1
LIMIT = 10.0
#: Seconds that changed endpoints wait for company: traffic to a pod that is gone is worse than one more version.
ENDPOINTS = 0.05
#: The most that a slow application holds up what follows, seconds.
PAUSE = 1.0

#: The share of its time that a slow application holds up endpoints that leave.
LEAVING_PAUSE = 0.25


class Haste(IntEnum):
    """What hangs on a change."""

    RULES = 0
    ENDPOINTS = 1
    LEAVING = 2  # the kubelet ends a pod within milliseconds of its deletion, and nobody listens there any more


class Debounce:
    """Times are seconds of the caller's clock."""

    __slots__ = ("_first", "_last", "_urgent", "_leaving", "_not_before", "_soon")

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._urgent: float | None = None
        self._leaving: float | None = None
        self._not_before = self._soon = 0.0

    def changed(self, now: float, haste: Haste) -> None:
        """Something changed."""
        if self._first is None:
            self._first = now
        self._last = now
        if haste >= Haste.ENDPOINTS and self._urgent is None:
            self._urgent = now
        if haste is Haste.LEAVING and self._leaving is None:
            self._leaving = now

    def due(self) -> float | None:
        """When to hand on; None while there is nothing."""
        if self._first is None:
            return None
        when = min(self._last + QUIET, self._first + LIMIT)
        if self._urgent is not None:
            when = min(when, self._urgent + ENDPOINTS)
        when = max(when, self._not_before)
        return when if self._leaving is None else min(when, max(self._leaving, self._soon))

    def handed_on(self) -> None:
        """Everything up to now was."""
        self._first = self._urgent = self._leaving = None

    def applied(self, now: float, seconds: float) -> None:
        """Applying it took so long: as long is left for everything else, within reason."""
        self._not_before = now + min(seconds, PAUSE)
        self._soon = now + min(seconds, PAUSE) * LEAVING_PAUSE
