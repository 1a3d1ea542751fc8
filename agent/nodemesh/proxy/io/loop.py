"""What the loop and its sockets have in common."""

from __future__ import annotations

import time
from select import EPOLLEXCLUSIVE, EPOLLIN, epoll
from socket import SocketType
from typing import Final

from ..clock import Clock
from ..network import Watcher
from .lane import Lane, Lanes
from .pipes import Pipes
from .platform import Platform
from .served import Served

#: One read of a large body.
BULK_SIZE: Final = 256 * 1024

#: Connections that the workers together take from a listener in one turn: each is as much work as several sockets that
#: are ready.
ACCEPTS: Final = 8


class Loop:
    """One per worker. `over` is when a watcher leaves the rest of what it has for later. When the present batch is
    over, handlers of `prompted` are asked, and `unsent` have something to say; `released` are to be closed when the
    turn is: a number must not come again while events for it are waiting."""

    __slots__ = (
        "clock", "platform", "accepts", "over", "poller", "lanes", "watchers", "pipes", "buffer", "view", "prompted",
        "unsent", "released",
    )  # fmt: skip

    def __init__(self, platform: Platform, workers: int) -> None:
        now = time.monotonic()
        self.clock = Clock(now, time.time() - now)
        self.platform = platform
        self.accepts = max(ACCEPTS // workers, 1)
        self.over = 0.0
        self.poller = epoll()
        self.lanes = Lanes(self.poller)
        self.watchers: dict[int, Watcher] = {}
        self.pipes = Pipes()
        self.buffer = bytearray(BULK_SIZE)
        self.view = memoryview(self.buffer)
        self.prompted: dict[Served, None] = {}
        self.unsent: list[Served] = []
        self.released: list[SocketType] = []

    def watch(self, fd: int, watcher: Watcher, shared: bool = False, lane: Lane | None = None) -> None:
        """Tell `watcher` when there is something to read; where workers share the socket, not all of them. What it does
        then is part of the turn of the pod with this lane."""
        self.watchers[fd] = watcher
        if lane is not None:
            self.lanes.of[fd] = lane
        self.poller.register(fd, EPOLLIN | EPOLLEXCLUSIVE if shared else EPOLLIN)

    def unwatch(self, fd: int) -> None:
        if self.watchers.pop(fd, None) is not None:
            self.lanes.of.pop(fd, None)
            self.poller.unregister(fd)
