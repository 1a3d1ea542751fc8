"""A connection in memory: the proxy's transport at one end, a peer that is played by hand at the other."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable

from ..proxy.gate import Gate
from ..proxy.transport import LAST_WORDS, Buffer, Handler, Transport


class Events(deque[Callable[[], None]]):
    """Things to do, in their order: what the kernel's event queue is to the reactor. `later` is for the next turn."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[Callable[[], None]] = []

    def turn(self) -> None:
        """Let everything happen that belongs to one turn of the loop."""
        while self:
            self.popleft()()

    def run(self) -> None:
        """Turn until nothing is left to do."""
        self.turn()
        while self.later:
            self.extend(self.later)
            self.later.clear()
            self.turn()


class MemoryTransport(Transport):
    """The proxy's end. What it sends arrives at once, as far as the peer's window takes it."""

    __slots__ = ("far_end", "_events", "_out", "_in", "_paused", "_ending", "_lost", "_asked")

    def __init__(self, events: Events, handler: Handler, gate: Gate, accepted: bool) -> None:
        super().__init__(handler, accepted, accepted)
        self.gate = gate
        self.far_end = Peer(self, events)
        self._events = events
        self._out = b""
        self._in: deque[bytes | OSError] = deque()  # b"" is a FIN
        self._paused = False
        self._ending = False
        self._lost = False
        self._asked = False  # for a `prompt`

    def send(self, data: Buffer) -> None:
        if self.closed or self._lost:
            return
        assert not self._ending, "nothing can be sent after the FIN"
        self._out += bytes(data)
        if self.established:
            self._flush()
        self._count()

    def prompt(self) -> None:
        if not self._asked:
            self._asked = True
            self._events.append(self._ask)

    @property
    def stale(self) -> bool:
        return bool(self._in) and (isinstance(self._in[0], OSError) or not self._in[0])

    def later(self, callback: Callable[[], None]) -> None:
        self._events.later.append(callback)

    def pause(self) -> None:
        self._paused = True

    def reopened(self) -> None:
        self._events.append(self._deliver)

    def resume(self) -> None:
        self._paused = False
        if self._in:
            self._events.append(self._deliver)

    def end(self) -> None:
        self._ending = True
        if self.established and not self._out:
            self.far_end.end_came()

    def close(self) -> None:
        self.closed = True
        self.gate.forget(self)
        if not self.established:
            self._out = b""
            self._count()
        if not self._out:
            self.far_end.end_came()

    def abort(self) -> None:
        self.closed = True
        self.gate.forget(self)
        self._out = b""
        self._count()
        self.far_end.reset_seen = True
        self.far_end.tell()

    def establish(self) -> None:
        """The connection stands."""
        if self.closed:
            return
        self.established = True
        self.handler.connected()
        self.writable()

    def refuse(self, code: int) -> None:
        """It does not come about."""
        if not self.closed:
            self.closed = True
            self.handler.lost(OSError(code, errno.errorcode[code]))

    def writable(self) -> None:
        """The peer takes more."""
        if not self._out:
            return
        self._flush()
        self._count()
        if self._out:
            return
        if self._ending or self.closed:
            self.far_end.end_came()
        if not self.closed:
            self.handler.drained()

    def arrive(self, item: bytes | OSError) -> None:
        """Something comes from the peer."""
        self._in.append(item)
        self._events.append(self._deliver)

    def _ask(self) -> None:
        self._asked = False
        if not self.closed:
            self.handler.prompted()

    def _said(self) -> list[bytes]:
        """What has come and was not read."""
        return [item for item in self._in if not isinstance(item, OSError)]

    def _count(self) -> None:
        """Tell the pod's gate how much waits here."""
        size = len(self._out)
        if size != self.pending:
            change, self.pending = size - self.pending, size
            self.gate.change_pending(change)

    def _flush(self) -> None:
        room = self.far_end.window - len(self.far_end.inbox)
        if room > 0:
            self.far_end.inbox += self._out[:room]
            self._out = self._out[room:]
            self.far_end.tell()

    def _deliver(self) -> None:
        if self.closed or not self._in:
            return
        ends = not self._paused and self._in[-1] == b"" and sum(map(len, self._said())) <= LAST_WORDS
        if not isinstance(self._in[0], OSError) and (self._paused or (not ends and self.gate.stops(self))):
            if not self.accepted or not isinstance(self._in[-1], OSError):
                return
            self._in = deque([self._in[-1]])  # a client's reset counts at once
        item = self._in.popleft()
        if self._in:
            self._events.append(self._deliver)
        if isinstance(item, OSError):
            self.closed = True
            self.gate.forget(self)
            self._out = b""
            self._count()
            self.handler.lost(item)
        elif item:
            self.handler.received(memoryview(item) if self.bulk else item)
        else:
            self.handler.ended()


class Peer:
    """The other end: a client or an upstream, played by a test, or by `watcher`, which is called when anything has come
    from the proxy."""

    def __init__(self, transport: MemoryTransport, events: Events) -> None:
        self.transport = transport
        self.inbox = b""
        self.window = 1 << 30  # bytes it takes without being read
        self.ended = False  # the proxy has sent its FIN
        self.reset_seen = False  # the proxy has sent a RST
        self.watcher: Callable[[], None] | None = None
        self._events = events

    def tell(self) -> None:
        """Something has come."""
        if self.watcher is not None:
            self._events.append(self.watcher)

    def end_came(self) -> None:
        """The proxy has sent its FIN."""
        self.ended = True
        self.tell()

    def send(self, data: bytes) -> None:
        if data:
            self.transport.arrive(data)

    def end(self) -> None:
        """Send a FIN."""
        self.transport.arrive(b"")

    def reset(self) -> None:
        """Send a RST."""
        self.transport.arrive(OSError(errno.ECONNRESET, "ECONNRESET"))

    def take(self, size: int = 1 << 30) -> bytes:
        """Read what has come, at most `size` bytes."""
        taken, self.inbox = self.inbox[:size], self.inbox[size:]
        self._events.append(self.transport.writable)
        return taken

    @property
    def closed(self) -> bool:
        """Whether the proxy has closed or reset the connection."""
        return self.ended or self.reset_seen
