"""Pipes between two sockets that are joined by splice(2): few are needed, for each is empty again at once unless its
reader is slow."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Final

#: What a pipe holds: as much as the kernel lets everybody have (pipe-max-size). A pipe is filled page by page, whatever
#: the pieces are that a socket has, and each filling wakes both peers: of 256 KiB costs twice as much a byte.
CAPACITY: Final = 1024 * 1024

SPLICE_FLAGS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK

#: Pipes at most; beyond, bytes are copied.
MAX_PIPES: Final = 64

#: Empty pipes that are kept.
MAX_FREE: Final = 16


class Pipe:
    """A non-blocking pipe with `held` bytes in it."""

    __slots__ = ("read_end", "write_end", "size", "held")

    def __init__(self, capacity: int) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        with suppress(OSError):  # above what the user may have (pipe-user-pages-soft)
            fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, capacity)
        self.size: int = fcntl.fcntl(self.write_end, fcntl.F_GETPIPE_SZ)

    def drain(self, fd: int) -> None:
        """Move into a socket what it takes. Raises OSError."""
        while self.held:
            self.held -= os.splice(self.read_end, fd, self.held, flags=SPLICE_FLAGS)

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.write_end)


class Pipes:
    """A worker's pipes."""

    __slots__ = ("_limit", "_capacity", "_free", "_count")

    def __init__(self, limit: int = MAX_PIPES, capacity: int = CAPACITY) -> None:
        self._limit = limit
        self._capacity = capacity
        self._free: list[Pipe] = []
        self._count = 0

    def take(self) -> Pipe | None:
        """An empty pipe, None where there are too many."""
        if self._free:
            return self._free.pop()
        if self._count >= self._limit:
            return None
        try:
            pipe = Pipe(self._capacity)
        except OSError:  # out of descriptors
            return None
        if pipe.size < self._capacity:  # one of the default size does worse than copying
            pipe.close()
            self._limit = self._count
            return None
        self._count += 1
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take a pipe back; one that is not empty holds bytes that nobody will get."""
        if pipe.held or len(self._free) >= MAX_FREE:
            self._count -= 1
            pipe.close()
        else:
            self._free.append(pipe)
