"""How long a call may take: all its tries together, from the request's end, and each of them."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import Alarm, Clock, Timer


class TimeLimits:
    """`alarm` is for all of them together: whoever has many calls one after the other has one for all."""

    __slots__ = ("whole", "timer", "_clock", "_alarm", "_deadline")

    def __init__(self, whole: float, clock: Clock, alarm: Alarm) -> None:
        self.whole = whole  # seconds; 0: no limit
        self._clock = clock
        self._alarm = alarm
        self.timer: Timer | None = None  # of the present try
        self._deadline = 0.0

    def begin(self, expired: Callable[[], None]) -> None:
        """The request is complete, if that is not known already."""
        if self.whole and not self._deadline:
            self._deadline = self._clock.now + self.whole
            self._alarm.set(self.whole, expired)

    def begin_try(self, attempt: int, per_try: float, expired: Callable[[], None]) -> float:
        """Start the limit of one try; returns how many seconds the upstream has."""
        left = self.whole
        if self._deadline and attempt > 1:
            left = max(self._deadline - self._clock.now, 0.001)
        if per_try and (not left or per_try < left):
            self.timer = self._clock.after(per_try, expired)
            left = per_try
        return left

    def end_try(self) -> None:
        """The present try is over, or may take as long as it likes."""
        if self.timer is not None:
            self._clock.cancel(self.timer)
            self.timer = None

    def end(self) -> None:
        """The call is over."""
        if self._deadline:
            self._alarm.clear()
        if self.timer is not None:
            self.end_try()
