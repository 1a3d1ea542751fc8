"""Streams: sockets whose bytes flow one way and fast. After each reading they are left alone for a moment, so that more
has come the next time: what network drivers do with their interrupts."""

from __future__ import annotations

import time
from select import EPOLLIN, epoll, select
from typing import Final

#: Bytes one way, without an answer, that make a stream. To send so many takes so long that a GATHER more at their end
#: does not count.
STREAM: Final = 1024 * 1024

#: Seconds from the reading of streams to the next one. The kernel adds its timer slack, another 50 µs.
GATHER: Final = 0.00005

#: Seconds: what has come again so soon would have been worth waiting for.
SOON: Final = 0.0002


class Streams:
    """The streams of one pod: an epoll for them alone, inside the main one."""

    __slots__ = ("poller", "fd", "served")

    def __init__(self) -> None:
        self.poller = epoll()
        self.fd = self.poller.fileno()
        self.served = 0.0  # when they were last read


class Lull:
    """The moment for which streams are left alone, and those pods' that are; what else the main epoll watches is not
    kept waiting."""

    __slots__ = ("gather", "soon", "until", "_poller", "_left_alone")

    def __init__(self, poller: epoll) -> None:
        self.gather = GATHER
        self.soon = SOON
        self.until = 0.0  # 0: none are
        self._poller = poller
        self._left_alone: list[Streams] = []

    def served(self, streams: Streams, came: float) -> None:
        """All that was ready of a pod's streams at `came` has been read: if that was soon after the last time, they
        are left alone now."""
        now = time.monotonic()
        soon = came - streams.served < self.soon
        streams.served = now
        if soon:
            self._poller.modify(streams.fd, 0)
            self._left_alone.append(streams)
            if not self.until:
                self.until = now + self.gather

    def wait(self) -> bool:
        """Wait until the lull is over, which is told, or until something else is ready. Nothing but select(2) waits for
        less than 1 ms; it takes descriptors below 1024, and a worker's main epoll is one of the first."""
        left = self.until - time.monotonic()
        if left > 0.0 and select((self._poller.fileno(),), (), (), left)[0]:
            return False
        self.until = 0.0
        waiting, self._left_alone = self._left_alone, []
        for streams in waiting:
            self._poller.modify(streams.fd, EPOLLIN)
        return True

    def forget(self, streams: Streams) -> None:
        """The pod is gone."""
        if streams in self._left_alone:
            self._left_alone.remove(streams)
            if not self._left_alone:
                self.until = 0.0
