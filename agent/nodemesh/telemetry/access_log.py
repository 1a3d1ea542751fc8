"""The access log: lines in Istio's default format or the user's own, gathered and written without ever blocking."""

from __future__ import annotations

import os
import select
import stat
from collections import deque
from collections.abc import Sequence
from typing import Final

from .formatting import LogFormatter
from .record import ConnectionRecord

#: A pipe that polls as writable takes this much at once, whole (pipe(7), PIPE_BUF).
WRITE_LIMIT: Final = 4096

#: A regular file takes more with one call.
FILE_WRITE_LIMIT: Final = 256 * 1024

#: So many bytes are not kept back for the next flush.
FLUSH_AT: Final = 64 * 1024

#: Lines wait for a slow reader up to this many bytes; what comes then is lost, and counted.
BUFFER_LIMIT: Final = 1024 * 1024


class AccessLog:
    """Gathers lines; the worker calls `flush()` a few times a second. Lines of several workers do not mix:
    a file is opened for appending, and a pipe gets no more than PIPE_BUF at once (longer lines are cut there)."""

    __slots__ = ("lost", "_fd", "_formatter", "_lines", "_size", "_poll", "_limit")

    def __init__(self, fd: int, formatter: LogFormatter) -> None:
        self.lost = 0
        self._fd = fd
        self._formatter = formatter
        self._lines: deque[bytes] = deque()  # each one whole line, or several
        self._size = 0
        self._limit = FILE_WRITE_LIMIT if stat.S_ISREG(os.fstat(fd).st_mode) else WRITE_LIMIT
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def add(self, records: Sequence[ConnectionRecord]) -> None:
        """Take a line of each; they are written with those that follow."""
        if self._size > BUFFER_LIMIT:
            self.lost += len(records)
            return
        limit = self._limit
        lines = self._formatter.lines(records)
        together = b"".join(lines)
        if len(together) <= limit:
            lines = [together]
        elif len(max(lines, key=len)) > limit:
            lines = [line if len(line) <= limit else line[: limit - 1] + b"\n" for line in lines]
        self._lines.extend(lines)
        self._size += sum(map(len, lines))
        if self._size >= FLUSH_AT:
            self.flush()

    @property
    def pending(self) -> int:
        """Bytes that wait to be written."""
        return self._size

    def flush(self) -> None:
        """Write what the reader takes now. A log that cannot be written (disk full, reader gone) loses lines and never
        stops the data plane."""
        lines = self._lines
        while lines:
            if not self._poll.poll(0):
                return
            batch = [lines.popleft()]
            size = len(batch[0])
            while lines and size + len(lines[0]) <= self._limit:
                size += len(lines[0])
                batch.append(lines.popleft())
            self._size -= size
            try:
                os.write(self._fd, b"".join(batch))
            except OSError:
                self.lost += sum(each.count(b"\n") for each in batch)


def open_log(path: str) -> int:
    """The descriptor of `--access-log`: standard output for `-` (and Istio's /dev/stdout), else a file to append to. A
    pipe that nobody reads is an error, and is not waited for. Raises OSError."""
    if path in ("-", "/dev/stdout"):
        return 1
    if path == "/dev/stderr":
        return 2
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
