"""Listening sockets, which all workers share: each takes its part of what waits, and pauses where accepting fails."""

from __future__ import annotations

import logging
import socket
import time
from socket import SocketType
from typing import Any, Final

from ..addresses import show
from ..network import Acceptor, Watcher
from ..transport import SILENT
from .lane import Lane
from .loop import Loop
from .sockets import SocketTransport
from .sockmap import SockmapTransport

log = logging.getLogger(__name__)

#: Seconds without accepting after the process ran out of file descriptors.
ACCEPT_PAUSE: Final = 0.1

#: The most that a listener's queue holds (Linux' net.core.somaxconn).
BACKLOG: Final = 4096

#: Addresses of listeners on all of them.
ANYWHERE: Final = ("0.0.0.0:", "[::]:")


# The states of a listener.
WATCHED: Final = 0
PAUSED: Final = 1  # since accepting failed
CLOSED: Final = 2

#: What may follow each state; all changes go through `Listener._enter`.
NEXT: Final[dict[int, frozenset[int]]] = {
    WATCHED: frozenset({PAUSED, CLOSED}),
    PAUSED: frozenset({WATCHED, CLOSED}),
    CLOSED: frozenset(),
}


class Listener(Watcher):
    """One listening socket, shared with the other workers: each that wakes takes its share of what waits."""

    __slots__ = ("loop", "sock", "fd", "lane", "acceptor", "destination", "failure", "_state", "_family", "_entrance")

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        lane: Lane,
        acceptor: Acceptor,
        destination: tuple[str, int] | None,
    ) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.lane = lane
        self.acceptor = acceptor
        self.destination = destination
        self.failure: int | None = None  # of the last accept(2)
        self._state = PAUSED
        self._family = int(sock.family)
        bound = show(sock.getsockname())
        self._entrance = "" if bound.startswith(ANYWHERE) else bound  # empty: each connection has its own
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what is accepted
        self.watch()

    def watch(self) -> None:
        """Accept from now on, unless it is closed."""
        if self._state == PAUSED:
            self._enter(WATCHED)
            self.loop.watch(self.fd, self, True, self.lane)

    def readable(self) -> None:
        """Accept what waits, as much of it as is our share and the pod has time for: what a turn does for several
        together costs less."""
        loop = self.loop
        for _ in range(loop.accepts):
            if not self._accept() or time.monotonic() >= loop.over:
                break

    def close(self) -> None:
        """Accept no more than what waits already, which closing might reset; the socket itself lives on where others
        hold it."""
        if self._state == CLOSED:
            return
        try:
            for _ in range(BACKLOG):
                if not self._accept():
                    break
        finally:
            self._leave(CLOSED)
            self.sock.close()

    def _accept(self) -> bool:
        """Take one connection from the queue; False where there is none to be had."""
        try:
            fd, address = self.sock._accept()  # type: ignore[attr-defined]  # as socket.accept does
        except BlockingIOError:
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:  # no descriptor, no memory, or an error of the network that comes with the connection
            if self.failure != error.errno:
                log.warning("cannot accept connections for the moment: %s", error)
            self.failure = error.errno
            if self._state == WATCHED:
                self._leave(PAUSED)
                self.loop.clock.after(ACCEPT_PAUSE, self.watch)
            return False
        self.failure = None
        # Family, type and protocol are known: naming them spares the socket object three system calls.
        sock = SocketType(self._family, socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        try:
            transport, dialled = self._take(sock, address)
        except OSError as error:
            log.warning("cannot take a connection from %s: %s", show(address), error)
            sock.close()
            return True
        transport.remote = show(address)
        if self.destination is not None:
            transport.entrance = self._entrance or show(sock.getsockname())
        self.acceptor.accepted(transport, dialled)
        return True

    def _take(self, sock: SocketType, peer: tuple[Any, ...]) -> tuple[SocketTransport, tuple[str, int] | None]:
        """A new connection and the address that was dialled. Raises OSError where the kernel has no room for it."""
        dialled, queue = self.destination, None
        if dialled is None:
            platform = self.loop.platform
            dialled = platform.original_destination(sock, peer)
            queue = platform.app_queue(sock) if dialled is not None else None
        if queue is None:
            return SocketTransport(self.loop, self.lane, sock, SILENT, accepted=True, established=True), dialled
        return SockmapTransport(self.loop, self.lane, sock, queue), dialled

    def _leave(self, state: int) -> None:
        """Be watched no longer."""
        self._enter(state)
        self.loop.unwatch(self.fd)

    def _enter(self, state: int) -> None:
        assert state in NEXT[self._state], f"a listener in state {self._state} cannot become {state}"
        self._state = state
