"""One API server as all of its watches see it: since when it does not answer, and who waits for it to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Outage:
    """Shared by the watches of one server: one that is answered wakes the others, which may be in a long pause. Times
    are seconds since the epoch."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.since = 0.0  # of the first failure with no answer to anybody after it; 0: it answers
        self.heard = 0.0  # when it last said anything; 0: never
        self.why = ""
        self._now = now
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def failed(self, why: str) -> None:
        """It gave no answer, or none that helps."""
        self.since = self.since or self._now()
        self.why = why

    def answered(self) -> None:
        """It said something to one of the watches."""
        self.since, self.why, self.heard = 0.0, "", self._now()
        self._call("")

    def appeared(self, group: str) -> None:
        """A kind of this API group may be served from now on."""
        self._call(group)

    async def pause(self, seconds: float, group: str = "") -> bool:
        """Wait for `seconds`, or until the server answers somebody; with a `group`, until a kind of it appears. True
        where it was the latter."""
        called = asyncio.Event()
        waiting = self._waiting.setdefault(group, set())
        waiting.add(called)
        try:
            async with asyncio.timeout(seconds):
                await called.wait()
            return True
        except TimeoutError:
            return False
        finally:
            waiting.discard(called)

    def _call(self, group: str) -> None:
        for called in self._waiting.get(group, ()):
            called.set()
