"""Sockets as transports: non-blocking reads and writes, as epoll says that they are possible."""

from __future__ import annotations

import socket
from collections.abc import Callable
from select import EPOLLERR, EPOLLHUP, EPOLLRDHUP
from socket import SocketType
from typing import Final

from ..addresses import show
from ..transport import LAST_WORDS, READ_SIZE, SILENT, Buffer, Handler, Transport
from .flow import Flow
from .lane import Lane
from .life import CLOSED, CLOSING, CONNECTING, ENDED, ENDING, NEXT, OPEN
from .loop import Loop
from .options import error_of, is_over, reset_on_close, unread
from .pipes import Pipe
from .reading import INTEREST, ON_PAUSE, ON_REOPEN, ON_RESUME, ON_STOP, OVER, READABLE, READING, STOPPED, WRITABLE
from .served import Served

#: Messages up to this size wait for the others of their batch (`Reactor.flush`).
SMALL: Final = 16 * 1024

#: Events that come unasked.
FAILED: Final = int(EPOLLERR | EPOLLHUP)

#: Seconds that a closed connection has to take what is still to be written.
CLOSE_GRACE: Final = 10.0


class SocketTransport(Served):
    """A non-blocking socket, registered level-triggered for just what it waits for."""

    __slots__ = (
        "loop", "lane", "sock", "flow", "_life", "_reading", "_full", "_out", "_unsent", "_pipe", "_poller", "_mask",
    )  # fmt: skip

    def __init__(
        self, loop: Loop, lane: Lane, sock: SocketType, handler: Handler, *, accepted: bool, established: bool
    ) -> None:
        Transport.__init__(self, handler, accepted, established)  # super() costs as much as all that is set here
        self.loop = loop
        self.lane = lane
        self.sock = sock
        self.fd = sock.fileno()
        self.error = None
        self.portion = READ_SIZE
        self.flow: Flow | None = None  # to the socket that this one is joined to
        self._life = OPEN if established else CONNECTING
        self._reading = READING
        self._full = False  # a read has taken all that one takes
        self._unsent = b""  # waits for its batch; empty while there is anything else to write
        self._pipe: Pipe | None = None  # with what is to be written before `_out`
        self._out: list[bytes] = []
        self._mask = READABLE if established else READABLE | WRITABLE
        self.gate = lane.gate
        self._poller = lane.poller
        self._poller.register(self.fd, self._mask)  # may find that the kernel has no room
        lane.transports[self.fd] = self

    # what the proxy calls

    def send(self, data: Buffer) -> None:
        if self.pending or not self.established:
            self._keep(bytes(data))
        elif isinstance(data, bytes) and len(data) <= SMALL:
            if not self._unsent:
                self.loop.unsent.append(self)
            self._unsent += data
        else:
            self.flush()
            self._send(data)

    def prompt(self) -> None:
        self.loop.prompted[self] = None

    def flush(self) -> None:
        data = self._unsent
        if data:
            self._unsent = b""
            self._send(data)

    def _send(self, data: Buffer) -> None:
        if self.pending:
            self._keep(bytes(data))
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(error)
            return
        if sent < len(data):
            self._keep(bytes(data[sent:]))

    def join(self, other: Transport) -> None:
        if isinstance(other, SocketTransport):
            there, back = Flow(self, other, self.loop), Flow(other, self, self.loop)
            there.back, back.back = back, there
            self.joined(there)
            other.joined(back)

    def joined(self, flow: Flow) -> None:
        """What comes from now on is for the other end of this flow."""
        self.flow = flow

    @property
    def stale(self) -> bool:
        return is_over(self.sock)

    def later(self, callback: Callable[[], None]) -> None:
        self.loop.lanes.later(self.lane, callback)

    def pause(self) -> None:
        self._read_as(ON_PAUSE)

    def resume(self) -> None:
        self._read_as(ON_RESUME)

    def reopened(self) -> None:
        self._read_as(ON_REOPEN)

    def end(self) -> None:
        if self._unsent:
            self.flush()
        if self._life < ENDING:
            self._enter(ENDING)
            if not self.pending and self.established:
                self._shut()

    def close(self) -> None:
        if self._life >= CLOSING:
            return
        if self._unsent:
            self.flush()
        if self.pending and self.error is None and self.established:
            self._enter(CLOSING)
            self.handler = SILENT
            self.loop.clock.after(CLOSE_GRACE, self.expire)
            self._watch()
        else:
            self._release()

    def abort(self) -> None:
        if self.closed:
            return
        reset_on_close(self.sock)
        self._release()

    # what the loop calls

    def ready(self, mask: int) -> None:
        if (mask != READABLE or not self.established) and not self._attend(mask):
            return
        if self._reading:
            # Who has left gives back what is held for it: its FIN is heard behind a little, however crowded the pod is.
            if self._reading != STOPPED or not mask & EPOLLRDHUP or unread(self.fd) > LAST_WORDS:
                self._hung()
                return
        elif self.gate.tight and self.gate.stops(self):
            self._read_as(ON_STOP)
            return
        flow = self.flow
        if flow is not None and flow.large and flow.splice():
            return
        data: Buffer
        try:
            if self._full and self.bulk:
                size = self.sock.recv_into(self.loop.buffer)
                data = self.loop.view[:size]
            else:
                data = self.sock.recv(self.appetite if self.appetite < self.portion else self.portion)
                size = len(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(self.error or error)
            return
        if not size:
            self._finished()
            return
        if size >= READ_SIZE:
            self._full = True
        if flow is not None and flow.side is self.handler and (self._full or flow.answering):
            flow.count(size)
        self.handler.received(data)

    def due(self, mask: int) -> int:
        return mask & (self._mask | FAILED) if self._mask >= 0 and not self.closed else 0

    def _attend(self, mask: int) -> bool:
        """An event that is not, or not only, bytes to read: the connection stands or failed, there is room to write.
        Tells whether to read, too."""
        if not self.established and not self._establish(mask):
            return False
        if mask & WRITABLE:
            self._writable()
            if self.closed:
                return False
        return mask != WRITABLE

    def _finished(self) -> None:
        """The peer's FIN was read."""
        if self.error is not None:
            self._lose(self.error)
            return
        self._reading = OVER
        self.handler.ended()
        if not self.closed:
            self._watch()  # no more: the end of the stream stays readable

    def stream(self, streaming: bool) -> None:
        if self.closed:
            return
        mask = self._mask
        self._unwatch()
        self._poller = self.loop.lanes.stream_poller(self.lane) if streaming else self.lane.poller
        if mask >= 0:
            self._watch()

    def pour(self, pipe: Pipe) -> None:
        self._pipe = pipe
        if not self._pour(pipe):
            self._change_pending(pipe.held)
            self._watch()

    def _pour(self, pipe: Pipe) -> bool:
        """Write from the pipe; False where something stays in it for later."""
        try:
            pipe.drain(self.fd)
        except BlockingIOError:
            return False
        except OSError as error:
            self._broken(error)
            return True
        self._pipe = None
        self.loop.pipes.give(pipe)
        return True

    def _pour_on(self, pipe: Pipe) -> bool:
        """The peer takes more of what the pipe holds; tells whether what stands behind it has its turn."""
        before = pipe.held
        done = self._pour(pipe)
        if self.error is not None:
            return False
        self._change_pending(pipe.held - before)
        return done

    def _writable(self) -> None:
        pipe = self._pipe
        if pipe is not None and not self._pour_on(pipe):
            return
        while self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._broken(error)
                return
            self._change_pending(-sent)
            self._out = [data[sent:]] if sent < len(data) else []
            if self._out:
                return
        self._written()

    def _written(self) -> None:
        """Nothing waits to be written any more."""
        self._watch()
        if self._life == CLOSING:
            self._release()
            return
        if self._life == ENDING:
            self._shut()
        self.handler.drained()

    def _establish(self, mask: int) -> bool:
        """The first event of an outgoing connection: it stands, or it failed."""
        if mask & FAILED:
            error = error_of(self.sock)
            if error.errno:
                self._lose(error)
                return False
        self.established = True
        if self._life == CONNECTING:
            self._enter(OPEN)
        self.stood()
        return not self.closed

    def stood(self) -> None:
        if not self.closed:
            self.local = show(self.sock.getsockname())
            self.handler.connected()

    def _hung(self) -> None:
        """EPOLLHUP and EPOLLERR come even unasked: leave epoll until someone wants to read, else the loop
        would spin."""
        self._unwatch()
        if self.accepted:  # a client's reset counts at once, even while we do not read from it
            error = error_of(self.sock)
            if error.errno or self.error is not None or self._life == CLOSING:
                self._lose(self.error or error)

    def expire(self) -> None:
        """A closed connection whose peer does not take the rest: give up."""
        if not self.closed:
            self._release()

    def _keep(self, data: bytes) -> None:
        if self.error is not None:
            return
        self._out.append(data)
        self._change_pending(len(data))
        self._watch()

    def _change_pending(self, size: int) -> None:
        self.pending += size
        self.gate.change_pending(size)

    def _broken(self, error: OSError) -> None:
        """A write failed: forget the rest; what the peer sent before is still read, then `lost` is told."""
        self.error = error.with_traceback(None)  # whose frames know us: a circle for the collector
        self._drop()

    def _drop(self) -> None:
        """Forget what is to be written."""
        self._unsent = b""
        self._out.clear()
        if self.pending:
            self._change_pending(-self.pending)
        if self._pipe is not None:
            self.loop.pipes.give(self._pipe)
            self._pipe = None

    def _shut(self) -> None:
        """Send our FIN."""
        self._enter(ENDED)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._broken(error)

    def _interest(self) -> int:
        """What epoll is to tell."""
        mask = INTEREST[self._reading]
        if self.pending or not self.established:
            mask |= WRITABLE
        return mask

    def _watch(self) -> None:
        mask = self._interest()
        if mask == self._mask or self.closed or (self.error is not None and not self.established):
            return
        if self._mask < 0:
            self._poller.register(self.fd, mask)
        else:
            self._poller.modify(self.fd, mask)
        self._mask = mask

    def _unwatch(self) -> None:
        if self._mask >= 0:
            self._poller.unregister(self.fd)
            self._mask = -1

    def _lose(self, error: OSError) -> None:
        if not self.closed:
            handler = self.handler
            self._release()
            handler.lost(error)

    def _release(self) -> None:
        self._enter(CLOSED)
        self.closed = True
        self.handler = SILENT
        if self.flow is not None:
            self.flow.leave()
            self.flow = None
        if self._unsent or self.pending:
            self._drop()
        lane = self.lane
        if self._reading or self.gate is not lane.gate:
            self.gate.forget(self)
        lane.transports.pop(self.fd, None)
        if lane.leaving:
            self.loop.lanes.emptied(lane)
        self.loop.released.append(self.sock)

    def _read_as(self, table: list[int]) -> None:
        """Be read, or not, as an event's table says."""
        state = table[self._reading]
        if state != self._reading:
            self._reading = state
            self._watch()

    def _enter(self, state: int) -> None:
        assert state in NEXT[self._life], f"a socket in state {self._life} cannot become {state}"
        self._life = state
