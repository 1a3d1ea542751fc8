"""Each pod's sockets in an epoll of their own, so that none of them has more than its turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from select import EPOLLIN, epoll
from typing import Final

from ..gate import Account, Gate
from .served import Served
from .streams import Lull, Streams

#: Sockets of one pod that are served before the next pod's turn; what they have to say is sent together.
QUANTUM: Final = 32

#: Sockets with the events that epoll gave for them.
Ready = list[tuple[Served, int]]


class Lane:
    """One pod's sockets: an epoll inside the main one, so that a pod with many ready sockets takes the same turn as a
    pod with one, and another one for streams. `left` are those that were ready when the last turn was over, `later` is
    what they themselves have left for a later turn; `turn` numbers the last in which some of that was done, `served`
    the last in which the pod had any time. `rest` is what is left of that: all that is done for the pod is part of it,
    its new connections and its datagrams, too."""

    __slots__ = (
        "poller", "left", "later", "turn", "served", "rest", "streams", "streams_left", "transports", "gate", "leaving",
    )  # fmt: skip

    def __init__(self, buffers: Account) -> None:
        self.poller = epoll()
        self.left: Ready = []
        self.later: deque[Callable[[], None]] = deque()
        self.turn = 0
        self.served = 0
        self.rest = 0.0
        self.streams: Streams | None = None  # from the first one on
        self.streams_left: Ready = []
        self.transports: dict[int, Served] = {}
        self.gate = Gate(self.transports, buffers)
        self.leaving = False  # the pod is gone: close with the last socket

    def ready(self, poller: epoll) -> Ready:
        """Up to a quantum of sockets that have something."""
        transports = self.transports
        found: Ready = []
        for number, mask in poller.poll(0, QUANTUM):
            transport = transports.get(number)
            if transport is not None:
                found.append((transport, mask))
        return found


class Lanes:
    """All of a worker's. A lane's number is its epoll's descriptor, `streaming` has them by that of their streams. `of`
    says of what the main epoll watches whose turn it is that there is something: also of pods' listeners and of sockets
    for datagrams. `lull` is when streams are left alone. `busy` have something for a later turn."""

    __slots__ = ("known", "streaming", "of", "busy", "lull", "buffers", "_main")

    def __init__(self, main: epoll) -> None:
        self.known: dict[int, Lane] = {}
        self.streaming: dict[int, Lane] = {}
        self.of: dict[int, Lane] = {}
        self.busy: dict[Lane, None] = {}
        self.lull = Lull(main)
        self.buffers = Account()
        self._main = main

    def add(self) -> int:
        """A new pod's lane; returns its number."""
        lane = Lane(self.buffers)
        number = lane.poller.fileno()
        self.known[number] = self.of[number] = lane
        self._main.register(number, EPOLLIN)
        return number

    def later(self, lane: Lane, callback: Callable[[], None]) -> None:
        """Call back on a later turn of the pod."""
        lane.later.append(callback)
        self.busy[lane] = None

    def leave(self, number: int) -> None:
        """The pod is gone: close its lane once it has no sockets."""
        lane = self.known[number]
        lane.leaving = True
        self.emptied(lane)

    def emptied(self, lane: Lane) -> None:
        """A socket is closed: maybe the last one of a pod that is gone."""
        if lane.transports or not lane.leaving:
            return
        number = lane.poller.fileno()
        del self.known[number], self.of[number]
        streams = lane.streams
        if streams is not None:
            del self.streaming[streams.fd], self.of[streams.fd]
            self.lull.forget(streams)
            self._main.unregister(streams.fd)
            streams.poller.close()
        self._main.unregister(number)
        lane.poller.close()

    def stream_poller(self, lane: Lane) -> epoll:
        """The epoll of a pod's streams."""
        streams = lane.streams
        if streams is None:
            streams = lane.streams = Streams()
            self.streaming[streams.fd] = self.of[streams.fd] = lane
            self._main.register(streams.fd, EPOLLIN)
        return streams.poller


def still_due(left: Ready) -> Ready:
    """The events of an earlier turn that still count: what nobody waits for any more must not come."""
    due = [(transport, transport.due(mask)) for transport, mask in left]
    return [(transport, mask) for transport, mask in due if mask]
