"""Sockets as transports: non-blocking reads and writes, as epoll says that they are possible."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from fcntl import ioctl
from os import splice
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from socket import SocketType
from sys import byteorder
from termios import FIONREAD
from typing import TYPE_CHECKING, Final

from ..addresses import show
from ..transport import LAST_WORDS, READ_SIZE, SILENT, Buffer, Handler, Transport
from .pipes import Pipe
from .streams import STREAM

if TYPE_CHECKING:
    from .reactor import Lane, Reactor

#: Messages up to this size wait for the others of their batch (`Reactor.flush`).
SMALL: Final = 16 * 1024

#: From so many bytes at once on, moving them by `splice` costs less than copying them.
SPLICED: Final = 64 * 1024

#: Pipes full of one socket's bytes that are moved before the next socket's turn.
SPLICES: Final = 2

#: Events that come unasked.
FAILED: Final = EPOLLERR | EPOLLHUP

SPLICE_FLAGS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK

#: Seconds that a closed connection has to take what is still to be written.
CLOSE_GRACE: Final = 10.0

#: (onoff, linger) of SO_LINGER that turns close() into a RST.
RESET_ON_CLOSE: Final = b"\1\0\0\0\0\0\0\0"


class SocketTransport(Transport):
    """A non-blocking socket, registered level-triggered for just what it waits for."""

    __slots__ = (
        "reactor",
        "lane",
        "sock",
        "fd",
        "error",
        "_out",
        "_poller",
        "_mask",
        "_paused",
        "_stopped",
        "_over",
        "_ending",
        "_closing",
        "_joined",
        "_side",
        "_full",
        "_large",
        "_run",
        "_streaming",
        "_pipe",
        "_unsent",
    )

    def __init__(
        self, reactor: Reactor, lane: Lane, sock: SocketType, handler: Handler, accepted: bool, established: bool
    ) -> None:
        Transport.__init__(self, handler, accepted, established)  # super() costs as much as all that is set here
        self.reactor = reactor
        self.lane = lane
        self.sock = sock
        self.fd = sock.fileno()
        self.error: OSError | None = None
        self._out: list[bytes] = []
        self._unsent = b""  # stands before nothing else: with `pending` it is empty
        self._paused = False
        self._stopped = False  # the pod as a whole is not read
        self._over = False  # the peer's FIN was read
        self._ending = False
        self._closing = False
        self._joined: SocketTransport | None = None  # where what comes goes unseen
        self._side = handler  # for as long as this is the handler
        self._full = False  # a read has taken all that one takes
        self._large = False  # much came at once: worth more system calls to spare the copies
        self._run = 0  # bytes that have come since the last one the other way, from the first full read on
        self._streaming = False  # they are many: watched by the epoll of the pod's streams
        self._pipe: Pipe | None = None  # with what comes before `_out`
        self._mask = EPOLLIN if established else EPOLLIN | EPOLLOUT
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
                self.reactor.unsent.append(self)
            self._unsent += data
        else:
            self.flush()
            self._send(data)

    def flush(self) -> None:
        """Write what waits for its batch."""
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
            self._joined = other
            self._side = self.handler
            other._joined = self
            other._side = other.handler

    @property
    def stale(self) -> bool:
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._watch()

    def reopened(self) -> None:
        self._stopped = False
        self._watch()

    def resume(self) -> None:
        if self._paused and not self._over:
            self._paused = False
            self._watch()

    def end(self) -> None:
        if self._unsent:
            self.flush()
        self._ending = True
        if not self.pending and self.established:
            self._shut()

    def close(self) -> None:
        if self.closed:
            return
        if self._unsent:
            self.flush()
        if self.pending and self.error is None and self.established:
            self._closing = True
            self.handler = SILENT
            self.reactor.clock.after(CLOSE_GRACE, self.expire)
            self._watch()
        else:
            self._release()

    def abort(self) -> None:
        if self.closed:
            return
        with suppress(OSError):  # nothing may be left to reset
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._release()

    # what the loop calls

    def ready(self, mask: int) -> None:
        """Serve one event of epoll."""
        if (mask != EPOLLIN or not self.established) and not self._attend(mask):
            return
        if self._paused or self._stopped:
            if self._paused or not mask & EPOLLRDHUP or not self._ends_soon():
                self._hung()
                return
        elif self.gate.tight and self.gate.stops(self):
            self._stopped = True
            self._watch()
            return
        if self._large and self._splice():
            return
        data: Buffer
        try:
            if self._full and self.bulk:
                size = self.sock.recv_into(self.reactor.buffer)
                data = self.reactor.view[:size]
            else:
                data = self.sock.recv(self.appetite)
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
        other = self._joined
        if other is not None and (self._full or other._run) and self._side is self.handler:
            self._flow(size, other)
        self.handler.received(data)

    def due(self, mask: int) -> int:
        """Which of these events, told in an earlier turn, are still waited for."""
        return mask & (self._mask | FAILED) if self._mask >= 0 and not self.closed else 0

    def _ends_soon(self) -> bool:
        """Whether so little is left to read before the peer's FIN that it may be heard although the pod's buffers are
        crowded: who has left gives back what is held for it."""
        left = bytearray(4)
        ioctl(self.fd, FIONREAD, left)
        return int.from_bytes(left, byteorder) <= LAST_WORDS

    def _attend(self, mask: int) -> bool:
        """An event that is not, or not only, bytes to read: the connection stands or failed, there is room to write.
        Tells whether to read, too."""
        if not self.established and not self._establish(mask):
            return False
        if mask & EPOLLOUT:
            self._writable()
            if self.closed:
                return False
        return mask != EPOLLOUT

    def _finished(self) -> None:
        """The peer's FIN was read."""
        if self.error is not None:
            self._lose(self.error)
            return
        self._over = True
        self.handler.ended()
        if not self.closed:
            self._paused = True  # the end of the stream stays readable
            self._watch()

    def _splice(self) -> bool:
        """Move what has come to the joined socket by way of a pipe, without a copy; False where reading does better, or
        has to tell what is the matter."""
        other = self._joined
        self._large = False
        if other is not None:
            other.flush()
        if other is None or self._side is not self.handler or other.pending or other.closed or not other.established:
            return False
        pipes, total = self.reactor.pipes, 0
        for _ in range(SPLICES):
            pipe = pipes.take()
            if pipe is None:
                break
            try:
                size = splice(self.fd, pipe.write_end, pipe.size, flags=SPLICE_FLAGS)
            except OSError:
                size = 0
            if not size:
                pipes.give(pipe)
                break
            total += size
            pipe.held = size
            other.pour(pipe)
            if other.pending or other.error is not None:
                break
        if not total:
            return False
        self._flow(total, other)
        self.handler.passed(total)
        return True

    def _flow(self, size: int, other: SocketTransport) -> None:
        """Bytes have come for the joined socket: enough of them are a stream, and an answer to one ends it."""
        self._large = size >= SPLICED
        self._run += size
        if self._run >= STREAM and not self._streaming:
            self._move(True)
        other._run = 0
        if other._streaming:
            other._move(False)

    def _move(self, streaming: bool) -> None:
        """Be watched with the pod's streams, or with its other sockets."""
        mask = self._mask
        self._unwatch()
        self._streaming = streaming
        self._poller = self.reactor.stream_poller(self.lane) if streaming else self.lane.poller
        if mask >= 0:
            self._watch()

    def pour(self, pipe: Pipe) -> None:
        """Write what the pipe holds, now or as the peer takes it; nothing else is waiting."""
        self._pipe = pipe
        if not self._pour(pipe):
            self._change_pending(pipe.held)
            self._watch()

    def _pour(self, pipe: Pipe) -> bool:
        """Write from the pipe; False where something stays in it for later."""
        try:
            while pipe.held:
                pipe.held -= splice(pipe.read_end, self.fd, pipe.held, flags=SPLICE_FLAGS)
        except BlockingIOError:
            return False
        except OSError as error:
            self._broken(error)
            return True
        self._pipe = None
        self.reactor.pipes.give(pipe)
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
        if self._closing:
            self._release()
            return
        if self._ending:
            self._shut()
        self.handler.drained()

    def _establish(self, mask: int) -> bool:
        """The first event of an outgoing connection: it stands, or it failed."""
        if mask & FAILED:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._lose(OSError(code, errno.errorcode.get(code, "")))
                return False
        self.established = True
        self.stood()
        return not self.closed

    def stood(self) -> None:
        """The outgoing connection stands: tell so."""
        if not self.closed:
            self.local = show(self.sock.getsockname())
            self.handler.connected()

    def _hung(self) -> None:
        """EPOLLHUP and EPOLLERR come even unasked: leave epoll until someone wants to read, lest the loop spins."""
        self._unwatch()
        if self.accepted:  # a client's reset counts at once, even while we do not read from it
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code or self.error is not None or self._closing:
                self._lose(self.error or OSError(code, errno.errorcode.get(code, "")))

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
            self.reactor.pipes.give(self._pipe)
            self._pipe = None

    def _shut(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._broken(error)

    def _interest(self) -> int:
        """What epoll is to tell."""
        mask = 0 if self._paused else EPOLLRDHUP if self._stopped else EPOLLIN
        if self.pending or not self.established:
            mask |= EPOLLOUT
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
        self.closed = True
        self.handler = self._side = SILENT
        self._joined = None
        if self._unsent or self.pending:
            self._drop()
        lane = self.lane
        if self._stopped or self.gate is not lane.gate:
            self.gate.forget(self)
        lane.transports.pop(self.fd, None)
        if lane.leaving and not lane.transports:
            self.reactor.close_lane(lane.poller.fileno())
        self.reactor.released.append(self.sock)
