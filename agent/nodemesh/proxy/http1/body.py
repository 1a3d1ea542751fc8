"""The framings of bodies: readers that take a body out of a stream, one per framing of RFC 9112 section 6 and 7."""

from __future__ import annotations

import re
from typing import Final

from ...bounded import Bounded
from ..http.errors import ProtocolError
from ..http.lines import MAX_FIELDS, read_line
from ..http.trailers import is_trailer
from ..transport import READ_SIZE, Buffer

CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")

#: Size lines that were understood before: few differ, and most are short.
SIZES: Final[Bounded[bytes, int]] = Bounded(1024, 8)

#: A chunk's size line with its extensions, and the trailer section: as nginx and Go bound them.
MAX_SIZE_LINE: Final = 4096
MAX_TRAILERS: Final = 8192

LF: Final = b"\n"
CRLF: Final = b"\r\n"

#: What one read takes of a body whose framing comes along with it, beside what is known to be payload: small chunks are
#: much work for few bytes.
FRAMED_READ: Final = 4096


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

    @property
    def appetite(self) -> int:
        """How many bytes to give it at once, so that one turn is not too much work."""
        return READ_SIZE


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

    __slots__ = ("_held", "_remaining", "_state", "_trailers_size")

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
        self._trailers_size = 0

    @property
    def appetite(self) -> int:
        return min(self._remaining + FRAMED_READ, READ_SIZE)

    def read(self, data: Buffer) -> Buffer:
        text = bytes(data)
        if self._held:
            text = self._held + text
            self._held = b""
        pieces: list[bytes] = []
        position = 0
        size = len(text)
        while position < size:
            state = self._state
            if state == self.DATA:
                end = position + self._remaining
                pieces.append(text[position:end])
                position = end
                if end > size:
                    self._remaining = end - size
                    break
                self._remaining = 0
                self._state = self.DATA_END
                if text.startswith(CRLF, position):  # as usual
                    position += len(CRLF)
                    self._state = self.SIZE
                continue
            end = self._line_end(text, position)
            if end < 0:
                self._held = text[position:]
                break
            line = text[position : end - 1]
            position = end + 1
            known = SIZES.found.get(line) if state == self.SIZE else None
            if known:
                self._remaining = known
                self._state = self.DATA
                continue
            self._take(line)
            if self.done:
                self.rest = text[position:]
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _line_end(self, data: bytes, position: int) -> int:
        """Where the line's LF stands that starts there; -1 while it has not come."""
        limit = MAX_TRAILERS if self._state == self.TRAILER else MAX_SIZE_LINE
        end = data.find(LF, position, position + limit + 2)
        if end < 0:
            if len(data) - position > limit:
                raise ProtocolError("line too long in a chunked body")
            return -1
        if end == position or data[end - 1] != 13:
            raise ProtocolError("bare LF in a chunked body")
        return end

    def _take(self, line: bytes) -> None:
        """Act on one complete line of the framing."""
        if self._state == self.SIZE:
            self._remaining = read_size(line)
            self._state = self.DATA if self._remaining else self.TRAILER
        elif self._state == self.DATA_END:
            if line:
                raise ProtocolError("chunk longer than its size")
            self._state = self.SIZE
        elif not line:
            self.done = True
        else:
            self._trailers_size += len(line) + len(CRLF)
            if self._trailers_size > MAX_TRAILERS or len(self.trailers) >= MAX_FIELDS:
                raise ProtocolError("trailers too large", 431)
            if is_trailer(read_line(line).name):  # may find it malformed
                self.trailers.append(line)


def read_size(line: bytes) -> int:
    """The size in a chunk's first line that `SIZES` does not have yet. Raises ProtocolError."""
    match = CHUNK_SIZE.fullmatch(line)
    if match is None:
        raise ProtocolError(f"malformed chunk size {line[:60]!r}")
    return SIZES.keep(line, int(match[1], 16), len(line))
