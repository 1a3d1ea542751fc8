"""The proxy's one clock: monotonic seconds, frozen during one turn of the loop, and the timers that hang on it."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from mypy_extensions import mypyc_attr

#: Timers fire on whole ticks, never early. A millisecond is what Envoy's timers resolve, too.
TICKS_PER_SECOND: Final = 1000

#: Timers that wait this long (seconds) fire on every COARSE-th tick only: nearly all of them guard connections, are
#: cancelled soon and leave their slots behind, so there must not be one for every millisecond of an hour.
LONG: Final = 30.0
COARSE: Final = 250


#: Of those that wait equally long so many expire at once; the others follow.
AT_ONCE: Final = 64


class Timer:
    """A call that is due at `tick`; `Clock.cancel` takes it back."""

    __slots__ = ("tick", "callback")

    def __init__(self, tick: int, callback: Callable[[], None]) -> None:
        self.tick = tick
        self.callback = callback


def spent() -> None:
    """What a timer holds that has fired or was cancelled: whoever keeps it is not kept by it, or the two would wait for
    the collector."""


class Clock:
    """Timers live in one slot per tick, so arming and cancelling cost the same however many wait; the heap holds each
    slot once. Most timers are cancelled: their slot goes when it is due, and costs one dictionary until then."""

    __slots__ = ("now", "epoch", "_slots", "_ticks", "_common")

    def __init__(self, now: float = 0.0, epoch: float = 0.0) -> None:
        self.now = now
        self.epoch = epoch  # what to add to `now` to get seconds since 1970
        self._slots: dict[int, dict[Timer, None]] = {}
        self._ticks: list[int] = []
        self._common: dict[float, CommonTimeout] = {}

    def time(self) -> float:
        """Seconds since 1970."""
        return self.now + self.epoch

    def read(self) -> float:
        """`now`, for those who want a callable."""
        return self.now

    def after(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back in `delay` seconds, from within `advance`."""
        tick = int((self.now + delay) * TICKS_PER_SECOND) + 1
        if delay >= LONG:
            tick = -(-tick // COARSE) * COARSE
        timer = Timer(tick, callback)
        slot = self._slots.get(tick)
        if slot is None:
            slot = self._slots[tick] = {}
            heappush(self._ticks, tick)
        slot[timer] = None
        return timer

    def cancel(self, timer: Timer) -> None:
        """Take a timer back; one that has fired or was cancelled is ignored."""
        timer.callback = spent
        slot = self._slots.get(timer.tick)
        if slot is not None:
            slot.pop(timer, None)

    def common(self, delay: float) -> CommonTimeout:
        """The queue of those that wait so many seconds."""
        common = self._common.get(delay)
        if common is None:
            common = self._common[delay] = CommonTimeout(self, delay)
        return common

    def wait(self) -> float | None:
        """Seconds until the next timer, None if there is none."""
        while self._ticks:
            tick = self._ticks[0]
            if self._slots[tick]:
                return max(0.0, tick / TICKS_PER_SECOND - self.now)
            del self._slots[tick]
            heappop(self._ticks)
        return None

    def advance(self, now: float, most: int = 0) -> bool:
        """Move to `now` and fire what is due, at most so many timers (0: all); tells whether there are others. A
        callback may arm and cancel timers."""
        self.now = now
        left = most or -1
        due = int(now * TICKS_PER_SECOND + 1e-3)  # what floats lose is no reason to wait again
        while self._ticks and self._ticks[0] <= due:
            slot = self._slots[self._ticks[0]]
            while slot:
                if left == 0:
                    return True
                left -= 1
                timer = next(iter(slot))
                del slot[timer]
                callback, timer.callback = timer.callback, spent
                callback()
            del self._slots[heappop(self._ticks)]
        return False


@mypyc_attr(allow_interpreted_subclasses=True)
class Waiter:
    """Who waits with others."""

    __slots__ = ()

    def expired(self) -> None:
        """The time is over."""
        raise NotImplementedError


class CommonTimeout:
    """A delay that many wait for at once and few to its end, as with connections that may be idle for an hour. They
    stand in a queue, which is in the order of their ends as all wait equally long, and only the first has a timer:
    coming and going cost a third of what a timer of one's own does. (libevent's common timeouts.)"""

    __slots__ = ("delay", "_clock", "_waiters", "_armed")

    def __init__(self, clock: Clock, delay: float) -> None:
        self.delay = delay  # seconds
        self._clock = clock
        self._waiters: dict[Waiter, float] = {}  # with the moment at which they came
        self._armed = False

    def join(self, waiter: Waiter) -> None:
        """Wait from now on."""
        self._waiters[waiter] = self._clock.now
        if not self._armed:
            self._arm(self.delay)

    def leave(self, waiter: Waiter) -> None:
        """Wait no longer; who does not wait is ignored."""
        self._waiters.pop(waiter, None)

    def _arm(self, delay: float) -> None:
        self._armed = True
        self._clock.after(delay, self._ring)

    def _ring(self) -> None:
        """The first one's time is over, unless it has left."""
        self._armed = False
        try:
            for waiter, since in list(islice(self._waiters.items(), AT_ONCE)):
                if since + self.delay > self._clock.now:
                    break
                if self._waiters.pop(waiter, None) is not None:
                    waiter.expired()
        finally:
            for since in self._waiters.values():
                self._arm(max(since + self.delay - self._clock.now, 0.0))
                break


class Alarm:
    """A moment that is set again and again, mostly to a later one, as with each request of a connection. The timer
    behind it is only touched where it would ring too late, so that setting and clearing cost next to nothing."""

    __slots__ = ("due", "_clock", "_callback", "_timer", "_rings")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.due = 0.0  # 0: not set
        self._callback: Callable[[], None] = spent
        self._timer: Timer | None = None
        self._rings = 0.0  # when the timer does

    def set(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back in `delay` seconds, and no more at the moment that was set before."""
        self.due = self._clock.now + delay
        self._callback = callback
        if self._timer is None or self.due < self._rings:
            self._arm()

    def clear(self) -> None:
        """Do not call back."""
        self.due = 0.0
        self._callback = spent

    def close(self) -> None:
        """Clear it for good, and give the timer up."""
        self.clear()
        if self._timer is not None:
            self._clock.cancel(self._timer)
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._clock.cancel(self._timer)
        self._rings = self.due
        self._timer = self._clock.after(self.due - self._clock.now, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self.due > self._clock.now:
            self._arm()
        elif self.due:
            callback = self._callback
            self.clear()
            callback()
