"""The epoll loop: sockets as transports, served fairly pod by pod, and the timers of the one clock."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from contextlib import suppress
from select import EPOLLEXCLUSIVE, EPOLLIN, EPOLLOUT, epoll
from typing import Final

from ..registry.snapshot import Endpoint
from ..routing.decision import Keepalive
from .clock import Clock
from .platform import Platform
from .transport import Acceptor, Buffer, Handler, Network, Transport

log = logging.getLogger(__name__)

READ_SIZE: Final = 16 * 1024
BULK_SIZE: Final = 256 * 1024

#: Sockets of one pod that are served before the next pod's turn.
QUANTUM: Final = 64

#: The longest sleep: `Platform.beat` is due at least every 0.5 s.
LONGEST_WAIT: Final = 0.25

#: Seconds that a closed connection has to take what is still to be written.
CLOSE_GRACE: Final = 10.0

#: Seconds without accepting after the process ran out of file descriptors.
ACCEPT_PAUSE: Final = 0.1

#: (onoff, linger) of SO_LINGER that turns close() into a RST.
RESET_ON_CLOSE: Final = b"\1\0\0\0\0\0\0\0"


class Lane:
    """One pod's sockets: an epoll inside the main one, so that a pod with many ready sockets takes the same turn as a
    pod with one."""

    __slots__ = ("poller", "transports", "leaving")

    def __init__(self) -> None:
        self.poller = epoll()
        self.transports: dict[int, SocketTransport] = {}
        self.leaving = False  # the pod is gone: close with the last socket


class SocketTransport(Transport):
    """A non-blocking socket, registered level-triggered for just what it waits for."""

    __slots__ = (
        "reactor",
        "lane",
        "sock",
        "fd",
        "error",
        "_out",
        "_mask",
        "_paused",
        "_over",
        "_ending",
        "_closing",
        "_urgent",
    )

    def __init__(self, reactor: Reactor, lane: Lane, sock: socket.socket, handler: Handler, accepted: bool) -> None:
        super().__init__(handler)
        self.reactor = reactor
        self.lane = lane
        self.sock = sock
        self.fd = sock.fileno()
        self.established = accepted
        self.error: OSError | None = None
        self._out: list[bytes] = []
        self._paused = False
        self._over = False  # the peer's FIN was read
        self._ending = False
        self._closing = False
        self._urgent = accepted  # a client's reset counts at once, even while we do not read from it
        self._mask = EPOLLIN if accepted else EPOLLOUT
        lane.transports[self.fd] = self
        lane.poller.register(self.fd, self._mask)

    # what the proxy calls

    def send(self, data: Buffer) -> None:
        if self.pending or not self.established:
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

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._watch()

    def resume(self) -> None:
        if self._paused and not self._over:
            self._paused = False
            self._watch()

    def end(self) -> None:
        self._ending = True
        if not self.pending and self.established:
            self._shut()

    def close(self) -> None:
        if self.closed:
            return
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
        if mask & EPOLLOUT or not self.established:
            self._writable()
            if self.closed:
                return
        if mask & ~EPOLLOUT:
            if self._paused:
                self._hung()
            elif self.established:
                self._readable()

    def _readable(self) -> None:
        try:
            if self.bulk:
                size = self.sock.recv_into(self.reactor.buffer)
                if size:
                    self.handler.received(self.reactor.view[:size])
                    return
            else:
                data = self.sock.recv(READ_SIZE)
                if data:
                    self.handler.received(data)
                    return
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(self.error or error)
            return
        if self.error is not None:
            self._lose(self.error)
            return
        self._over = True
        self.pause()  # the end of the stream stays readable
        self.handler.ended()

    def _writable(self) -> None:
        if not self.established and not self._establish():
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
            self.pending -= sent
            self._out = [data[sent:]] if sent < len(data) else []
            if self._out:
                return
        self._watch()
        if self._closing:
            self._release()
            return
        if self._ending:
            self._shut()
        self.handler.drained()

    def _establish(self) -> bool:
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._lose(OSError(code, errno.errorcode.get(code, "")))
            return False
        self.established = True
        self.handler.connected()
        return not self.closed

    def _hung(self) -> None:
        """EPOLLHUP and EPOLLERR come even unasked: leave epoll until someone wants to read, lest the loop spins."""
        self._unwatch()
        if self._urgent:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code or self.error is not None or self._closing:
                self._lose(self.error or OSError(code, errno.errorcode.get(code, "")))

    def expire(self) -> None:
        """A closed connection whose peer does not take the rest: give up."""
        if not self.closed:
            self._release()

    def fail(self) -> None:
        """Tell the error with which connecting failed at once."""
        self._lose(self.error or OSError(errno.ECONNREFUSED, "cannot connect"))

    def _keep(self, data: bytes) -> None:
        if self.error is not None:
            return
        self._out.append(data)
        self.pending += len(data)
        self._watch()

    def _broken(self, error: OSError) -> None:
        """A write failed: forget the rest; what the peer sent before is still read, then `lost` is told."""
        self.error = error
        self._out.clear()
        self.pending = 0

    def _shut(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._broken(error)

    def _watch(self) -> None:
        mask = 0 if self._paused else EPOLLIN
        if self.pending or not self.established:
            mask |= EPOLLOUT
        if mask == self._mask or self.closed:
            return
        if self._mask < 0:
            self.lane.poller.register(self.fd, mask)
        else:
            self.lane.poller.modify(self.fd, mask)
        self._mask = mask

    def _unwatch(self) -> None:
        if self._mask >= 0:
            self.lane.poller.unregister(self.fd)
            self._mask = -1

    def _lose(self, error: OSError) -> None:
        if not self.closed:
            handler = self.handler
            self._release()
            handler.lost(error)

    def _release(self) -> None:
        self.closed = True
        self.handler = SILENT
        self._out.clear()
        self._unwatch()
        lane = self.lane
        lane.transports.pop(self.fd, None)
        if lane.leaving and not lane.transports:
            self.reactor.close_lane(lane.poller.fileno())
        self.reactor.release(self.sock)


class Silent(Handler):
    """Hears nothing: the handler of a transport that is closed, or closes."""

    __slots__ = ()

    def received(self, data: Buffer) -> None:
        pass

    def ended(self) -> None:
        pass

    def lost(self, error: OSError) -> None:
        pass


SILENT: Final = Silent()


class Listener:
    """One listening socket, shared with the other workers: each wakes for as many connections as it can take."""

    __slots__ = ("reactor", "sock", "fd", "lane", "acceptor", "destination")

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        lane: Lane,
        acceptor: Acceptor,
        destination: tuple[str, int] | None,
    ) -> None:
        self.reactor = reactor
        self.sock = sock
        self.fd = sock.fileno()
        self.lane = lane
        self.acceptor = acceptor
        self.destination = destination
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what is accepted
        reactor.listeners[self.fd] = self
        self.watch()

    def watch(self) -> None:
        if self.reactor.listeners.get(self.fd) is self:
            self.reactor.poller.register(self.fd, EPOLLIN | EPOLLEXCLUSIVE)

    def ready(self) -> None:
        """Accept one connection: with several workers, the others get theirs."""
        try:
            fd, address = self.sock._accept()  # type: ignore[attr-defined]  # as socket.accept does
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            self.reactor.poller.unregister(self.fd)
            self.reactor.clock.after(ACCEPT_PAUSE, self.watch)
            return
        # Family, type and protocol are known: naming them spares the socket object three system calls.
        sock = socket.socket(self.sock.family, socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        transport = SocketTransport(self.reactor, self.lane, sock, SILENT, True)
        transport.remote = show(address)
        self.acceptor.accepted(transport, self.destination or self.reactor.platform.original_destination(sock))

    def close(self) -> None:
        """Accept no more; the socket itself lives on where others hold it."""
        if self.reactor.listeners.pop(self.fd, None) is not None:
            self.reactor.poller.unregister(self.fd)
            self.sock.close()


class Watcher:
    """Something else that the loop watches: the socket to control."""

    __slots__ = ()

    def readable(self) -> None:
        raise NotImplementedError


class Reactor(Network):
    """The loop. Each turn takes one quantum from every pod that has something ready, then fires the timers."""

    __slots__ = (
        "clock",
        "platform",
        "poller",
        "lanes",
        "listeners",
        "watchers",
        "buffer",
        "view",
        "running",
        "_released",
        "_failed",
    )

    def __init__(self, platform: Platform) -> None:
        now = time.monotonic()
        self.clock = Clock(now, time.time() - now)
        self.platform = platform
        self.poller = epoll()
        self.lanes: dict[int, Lane] = {}
        self.listeners: dict[int, Listener] = {}
        self.watchers: dict[int, Watcher] = {}
        self.buffer = bytearray(BULK_SIZE)
        self.view = memoryview(self.buffer)
        self.running = False
        self._released: list[socket.socket] = []
        self._failed: list[SocketTransport] = []

    def add_lane(self) -> int:
        """A new pod's lane; its number is what `connect` and `listen` take."""
        lane = Lane()
        number = lane.poller.fileno()
        self.lanes[number] = lane
        self.poller.register(number, EPOLLIN)
        return number

    def drop_lane(self, lane: int, namespace: int) -> None:
        if namespace >= 0:
            os.close(namespace)
        self.lanes[lane].leaving = True
        if not self.lanes[lane].transports:
            self.close_lane(lane)

    def close_lane(self, number: int) -> None:
        """The last socket of a pod that is gone is closed."""
        self.poller.unregister(number)
        self.lanes.pop(number).poller.close()

    def listen(
        self, sock: socket.socket, lane: int, acceptor: Acceptor, destination: tuple[str, int] | None
    ) -> Listener:
        """Accept from a listening socket on a pod's account. All connections count as dialled to `destination`; None:
        the platform is asked for each."""
        return Listener(self, sock, self.lanes[lane], acceptor, destination)

    def watch(self, fd: int, watcher: Watcher) -> None:
        self.watchers[fd] = watcher
        self.poller.register(fd, EPOLLIN)

    def unwatch(self, fd: int) -> None:
        if self.watchers.pop(fd, None) is not None:
            self.poller.unregister(fd)

    def connect(
        self, endpoint: Endpoint | None, namespace: int, lane: int, keepalive: Keepalive | None, handler: Handler
    ) -> Transport:
        address = endpoint.address if endpoint is not None else ""
        port = endpoint.port if endpoint is not None else 0
        unix = address.startswith("unix://")
        family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            if not address:
                raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
            sock = self.platform.open_socket(-1 if unix else namespace, family)
            sock.setblocking(False)
            if not unix:
                tune(sock, keepalive)
            error = sock.connect_ex(address.removeprefix("unix://") if unix else (address, port))
        except OSError as failure:
            error = failure.errno or errno.ECONNREFUSED
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # stands in until the failure is told
        transport = SocketTransport(self, self.lanes[lane], sock, handler, False)
        transport.remote = address if unix else show((address, port))
        if error and error != errno.EINPROGRESS:
            transport.error = OSError(error, errno.errorcode.get(error, ""))
            self._failed.append(transport)
        return transport

    def release(self, sock: socket.socket) -> None:
        """Close a socket when this turn is over: its number must not come again while events for it are waiting."""
        self._released.append(sock)

    def turn(self) -> None:
        """Wait for events, serve them, fire the timers."""
        wait = self.clock.wait()
        timeout = LONGEST_WAIT if wait is None or wait > LONGEST_WAIT else wait
        events = self.poller.poll(0.0 if self._failed else timeout, 256)
        self.clock.now = time.monotonic()
        for fd, _ in events:
            lane = self.lanes.get(fd)
            if lane is not None:
                self._serve(lane)
            else:
                self._serve_other(fd)
        try:
            self.clock.advance(self.clock.now)
        except Exception:
            log.exception("a timer failed")
        if self._failed:
            failed, self._failed = self._failed, []
            for transport in failed:
                transport.fail()
        if self._released:
            released, self._released = self._released, []
            for sock in released:
                sock.close()
        self.platform.beat()

    def _serve(self, lane: Lane) -> None:
        """One quantum of a pod's ready sockets. A defect of ours costs the connection that it shows on, no other."""
        transports = lane.transports
        for number, mask in lane.poller.poll(0, QUANTUM):
            transport = transports.get(number)
            if transport is None:
                continue
            try:
                transport.ready(mask)
            except Exception:
                log.exception("a connection failed: %s", transport.remote)
                self._give_up(transport)

    def _give_up(self, transport: SocketTransport) -> None:
        handler = transport.handler
        transport.abort()
        try:
            handler.lost(OSError(errno.ECONNABORTED, "ECONNABORTED"))
        except Exception:
            log.exception("closing it failed, too")

    def _serve_other(self, fd: int) -> None:
        """A listener, or the socket to control."""
        listener = self.listeners.get(fd)
        watcher = self.watchers.get(fd)
        try:
            if listener is not None:
                listener.ready()
            elif watcher is not None:
                watcher.readable()
        except Exception:
            log.exception("serving a %s failed", "listener" if listener is not None else "message")

    def run(self) -> None:
        """Turn until `stop`."""
        self.running = True
        while self.running:
            self.turn()

    def stop(self) -> None:
        self.running = False


def tune(sock: socket.socket, keepalive: Keepalive | None) -> None:
    """TCP options of an upstream socket."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPCNT, keepalive.probes),
        (socket.TCP_KEEPIDLE, keepalive.time),
        (socket.TCP_KEEPINTVL, keepalive.interval),
    ):
        if value:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def show(address: tuple[str, int] | str) -> str:
    """`host:port`, as the access log has it."""
    if isinstance(address, str):
        return address
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
