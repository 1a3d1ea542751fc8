"""Bytes on their way between two sockets that are joined: moved without a copy where they are many, and treated as a
stream where they come for long."""

from __future__ import annotations

from os import splice
from typing import Final

from ..transport import SILENT, Handler
from .loop import Loop
from .pipes import SPLICE_FLAGS
from .served import Served
from .streams import STREAM

#: From so many bytes at once on, moving them by `splice` costs less than copying them.
SPLICED: Final = 64 * 1024

#: Pipes full of one socket's bytes that are moved before the next socket's turn.
SPLICES: Final = 2


class Flow:
    """One of the two ways, from `source` to `sink`; `back` is the other. It lasts as long as `side` is the source's
    handler."""

    __slots__ = ("source", "sink", "side", "back", "large", "run", "streaming", "_loop")

    def __init__(self, source: Served, sink: Served, loop: Loop) -> None:
        self.source = source
        self.sink = sink
        self.side: Handler = source.handler
        self.back: Flow | None = None
        self.large = False  # much came at once: worth more system calls to spare the copies
        self.run = 0  # bytes that have come since the last one the other way, from the first full read on
        self.streaming = False  # they are many: the source is watched by the epoll of the pod's streams
        self._loop = loop

    def leave(self) -> None:
        """The source is closed: point at nothing, so that the memory need not wait for the collector."""
        self.side = SILENT
        self.back = None

    @property
    def answering(self) -> bool:
        """Whether what comes ends what has come the other way."""
        back = self.back
        return back is not None and back.run > 0

    def count(self, size: int) -> None:
        """Bytes have come: enough of them are a stream, and an answer to one ends it."""
        self.large = size >= SPLICED
        self.run += size
        if self.run >= STREAM and not self.streaming:
            self.streaming = True
            self.source.stream(True)
        back = self.back
        if back is not None:
            back.run = 0
            if back.streaming:
                back.streaming = False
                back.source.stream(False)

    def splice(self) -> bool:
        """Move what has come by way of a pipe, without a copy; False where reading does better, or has to tell what is
        the matter."""
        source, sink = self.source, self.sink
        self.large = False
        if not source.spliceable:
            return False
        sink.flush()
        if self.side is not source.handler or sink.pending or sink.closed or not sink.established:
            return False
        pipes, total = self._loop.pipes, 0
        for _ in range(SPLICES):
            pipe = pipes.take()
            if pipe is None:
                break
            try:
                size = splice(source.fd, pipe.write_end, pipe.size, flags=SPLICE_FLAGS)
            except OSError:
                size = 0
            if not size:
                pipes.give(pipe)
                break
            total += size
            pipe.held = size
            sink.pour(pipe)
            if sink.pending or sink.error is not None:
                break
        if not total:
            return False
        self.count(total)
        self.side.passed(total)
        return True
