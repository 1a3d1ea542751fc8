"""A pod's connection whose bytes the kernel hands from socket to socket, without TCP, where it can.

Towards the app nothing but the proxy bounds what waits: it asks for the queue's depth each time that it has written as
much as may wait, and where the app has not read meanwhile, it looks again after a moment. Nobody tells when the app
reads. Towards the proxy all is as ever, but for splice(2), which sees only what came by TCP.

It is for large answers: small ones cost more this way than by TCP, and what is relayed is spliced from socket to
socket, which costs less than either. So a connection whose first answer is small, or which is joined to another one
before its first, is one of TCP from then on."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from select import EPOLLOUT
from socket import SocketType
from typing import Final

from ..transport import SILENT, Buffer
from .flow import Flow
from .lane import Lane
from .loop import Loop
from .pipes import Pipe
from .platform import AppQueue
from .sockets import SocketTransport

#: Bytes that may wait for an app; TCP's own buffers let twice as many wait.
MAX_DEPTH: Final = 2 * 1024 * 1024

#: A first answer of fewer bytes is small.
LEAST: Final = 16 * 1024

#: With less room than that, waiting for more spares system calls.
MIN_WRITE: Final = 64 * 1024

#: Seconds between two looks at a queue that is full: the first, and the longest.
FIRST_LOOK: Final = 0.001
LONGEST_LOOK: Final = 0.032


class SockmapTransport(SocketTransport):
    """An accepted connection, both of whose sockets are in the kernel's map."""

    __slots__ = ("_queue", "_room", "_waiting", "_look")

    def __init__(self, loop: Loop, lane: Lane, sock: SocketType, queue: AppQueue) -> None:
        self._queue: AppQueue | None = queue  # None: the app gets its bytes by TCP
        self._room = 0  # what may be written before the queue is looked at
        self._waiting = False  # a look is due
        self._look = FIRST_LOOK
        super().__init__(loop, lane, sock, SILENT, accepted=True, established=True)

    def _send(self, data: Buffer) -> None:
        if self._queue is None:
            super()._send(data)
            return
        if self.pending:
            self._keep(bytes(data))
            return
        sent = self._write(data)
        if sent < len(data):
            self._keep(bytes(data[sent:]))

    def joined(self, flow: Flow) -> None:
        super().joined(flow)
        with suppress(OSError):  # which the next write meets again
            self._ask(small=True)

    @property
    def spliceable(self) -> bool:
        """What came without TCP cannot be spliced away from here."""
        return self._queue is None

    def pour(self, pipe: Pipe) -> None:
        if self._queue is None:
            super().pour(pipe)
            return
        data = os.read(pipe.read_end, pipe.held)
        pipe.held = 0
        self.loop.pipes.give(pipe)
        self._send(data)

    def _interest(self) -> int:
        mask = super()._interest()
        return mask & ~EPOLLOUT if self._waiting else mask

    def _writable(self) -> None:
        if self._queue is None:
            super()._writable()
            return
        if self._waiting:
            return
        if self._out:
            data = b"".join(self._out)
            sent = self._write(data)
            if self.error is not None:
                return
            self._change_pending(-sent)
            self._out = [data[sent:]] if sent < len(data) else []
            if self._out:
                self._watch()
                return
        self._written()

    def _write(self, data: Buffer) -> int:
        """Write as much as the queue has room for and the kernel takes; how much that was."""
        sent, size = 0, len(data)
        while sent < size:
            try:
                room = self._find_room(size - sent)
                if not room:
                    self._wait()
                    break
                taken = self.sock.send(data if size <= room and not sent else data[sent : sent + room])
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in (errno.ENOMEM, errno.ENOBUFS):
                    self._wait()
                else:
                    self._broken(error)
                break
            self._look = FIRST_LOOK
            self._room -= taken
            sent += taken
        return sent

    def _find_room(self, size: int) -> int:
        """How much of so many bytes may be written now. Raises OSError."""
        if self._queue is None:
            return size
        if self._room < MIN_WRITE and self._room < size:
            if not self._ask(small=max(size, self.to_come) < LEAST):
                return size
            if self._room < MIN_WRITE:
                return 0
        return self._room

    def _ask(self, small: bool) -> bool:
        """Look at the queue; False where there is none. The first look decides that, by whether the first answer is
        small. Raises OSError."""
        if self._queue is None:
            return False
        depth = self._queue.depth(small)
        self._room = MAX_DEPTH - depth
        if depth < 0:
            self._queue = None
        return depth >= 0

    def _wait(self) -> None:
        """Look again after a moment, a longer one each time."""
        self._waiting = True
        self.loop.clock.after(self._look, self._look_again)
        self._look = min(self._look * 2, LONGEST_LOOK)

    def _look_again(self) -> None:
        self._waiting = False
        if not self.closed:
            self._writable()
