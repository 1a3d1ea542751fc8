"""The framings of bodies: readers that take a body out of a stream, one per framing of RFC 9112 section 6 and 7."""

from __future__ import annotations

import re
from typing import Final

from ..http.errors import ProtocolError
from ..http.lines import read_name
from ..http.trailers import is_trailer
from ..transport import Buffer

CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")

#: A chunk's size line with its extensions, and the trailer section: as nginx and Go bound them.
MAX_SIZE_LINE: Final = 4096
MAX_TRAILERS: Final = 8192


class BodyReader:
    """Takes a body out of a stream. After `done`, `rest` is what came behind it."""

    __slots__ = ("done", "rest", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers: list[bytes] = []

    def read(self, data: Buffer) -> Buffer:
        """The payload within `data`. Raises ProtocolError."""
        raise NotImplementedError

    def end(self) -> bool:
        """The stream has ended; tells whether the body was complete."""
        return self.done


class LengthReader(BodyReader):
    """Content-Length."""

    __slots__ = ("remaining",)

    def __init__(self, length: int) -> None:
        super().__init__()
        self.remaining = length
        self.done = length == 0

    def read(self, data: Buffer) -> Buffer:
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return data
        payload = data
        if size > self.remaining:
            payload = data[: self.remaining]
            self.rest = bytes(data[self.remaining :])
        self.remaining = 0
        self.done = True
        return payload


class CloseReader(BodyReader):
    """Until the connection closes: responses only."""

    __slots__ = ()

    def read(self, data: Buffer) -> Buffer:
        return data

    def end(self) -> bool:
        self.done = True
        return True


class ChunkedReader(BodyReader):
    """The chunked coding: payload without its framing, extensions dropped (RFC 9112 section 7.1.1); of the trailers
    those are kept that may be any (RFC 9110 section 6.5.1)."""

    __slots__ = ("_held", "_remaining", "_state", "_trailers")

    # what comes next
    SIZE: Final = 0
    DATA: Final = 1
    DATA_END: Final = 2
    TRAILER: Final = 3

    def __init__(self) -> None:
        super().__init__()
        self._held = b""  # a line that is not complete yet
        self._remaining = 0
        self._state = 0
        self._trailers = 0  # bytes of the trailer section so far

    def read(self, data: Buffer) -> Buffer:
        if self._held:
            data = self._held + data
            self._held = b""
        pieces: list[Buffer] = []
        position = 0
        size = len(data)
        while position < size and not self.done:
            if self._state == self.DATA:
                piece = data[position : position + self._remaining]
                pieces.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._state = self.DATA_END
                continue
            line = self._line(data, position)
            if line is None:
                self._held = bytes(data[position:])
                break
            position += len(line) + 2
            self._take(line)
        if self.done:
            self.rest = bytes(data[position:])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _line(self, data: Buffer, position: int) -> bytes | None:
        """The line that starts there, None while its end has not come."""
        limit = MAX_TRAILERS if self._state == self.TRAILER else MAX_SIZE_LINE
        window = bytes(data[position : position + limit + 2])
        end = window.find(b"\n")
        if end < 0:
            if len(window) > limit:
                raise ProtocolError("line too long in a chunked body")
            return None
        if end == 0 or window[end - 1] != 13:
            raise ProtocolError("bare LF in a chunked body")
        return window[: end - 1]

    def _take(self, line: bytes) -> None:
        """Act on one complete line of the framing."""
        if self._state == self.SIZE:
            match = CHUNK_SIZE.fullmatch(line)
            if match is None:
                raise ProtocolError(f"malformed chunk size {line[:60]!r}")
            self._remaining = int(match[1], 16)
            self._state = self.DATA if self._remaining else self.TRAILER
        elif self._state == self.DATA_END:
            if line:
                raise ProtocolError("chunk longer than its size")
            self._state = self.SIZE
        elif not line:
            self.done = True
        else:
            if is_trailer(read_name(line)):  # may find it malformed
                self.trailers.append(line)
            self._trailers += len(line)
            if self._trailers > MAX_TRAILERS:
                raise ProtocolError("trailers too large", 431)
