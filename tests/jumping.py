"""An event loop whose clock can jump: hours pass in seconds, with real sockets, and nothing is cut short by them."""

from __future__ import annotations

import asyncio
import selectors

#: Seconds without anything to do after which the clock jumps. All ends of all connections are in this process, so that
#: what was sent has come by then.
QUIET = 0.0005


class JumpingLoop(asyncio.SelectorEventLoop):
    """While `jumping`, a wait for a timer is over at once, and the clock shows that it was long."""

    def __init__(self) -> None:
        self.jumping = False
        self.ahead = 0.0  # seconds that have been jumped over
        super().__init__(Selector(self))

    def time(self) -> float:
        return super().time() + self.ahead


class Selector(selectors.EpollSelector):
    """Waits for timers by moving its loop's clock."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self._loop.jumping or timeout is None or timeout <= QUIET:
            return super().select(timeout)
        found = super().select(QUIET)
        if not found:
            self._loop.ahead += timeout - QUIET
        return found


async def pass_time(seconds: float) -> None:
    """Let so long pass on a JumpingLoop, while everything on it goes on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.jumping = True
    try:
        await asyncio.sleep(seconds)
    finally:
        loop.jumping = False
