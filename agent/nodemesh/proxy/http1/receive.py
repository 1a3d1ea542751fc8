"""Cutting heads out of a stream: what has come of a head so far, and where it ends."""

from __future__ import annotations

from typing import Final

from ..http.errors import ProtocolError

#: Envoy's max_request_headers_kb; nginx takes 32 KB, node 16 KB, Go 1 MB.
MAX_HEAD: Final = 60 * 1024

#: The same for responses (Envoy's max_response_headers_kb).
MAX_RESPONSE_HEAD: Final = 80 * 1024

CR: Final = 0x0D

#: Empty lines that may stand before a request: RFC 9112 section 2.2 has one in mind.
MAX_EMPTY_LINES: Final = 16

CRLF: Final = b"\r\n"

#: What ends a head: the last field line's end, and an empty line.
END: Final = b"\r\n\r\n"

#: What HTTP/2's connection preface is to a reader of HTTP/1.1: a head, and the start of what follows (RFC 9113 section
#: 3.4).
PREFACE_HEAD: Final = b"PRI * HTTP/2.0"
PREFACE_START: Final = PREFACE_HEAD + b"\r\n\r\n"


class HeadBuffer:
    """Collects one head. `data` is what has come of it, `rest` what stood behind the last one."""

    __slots__ = ("data", "rest", "limit", "_searched", "_empty")

    def __init__(self, limit: int = MAX_HEAD) -> None:
        self.limit = limit  # in bytes
        self.data = bytearray()
        self.rest = b""
        self._searched = 0
        self._empty = 0  # lines before it

    def cut(self, data: bytes) -> bytes:
        """Append; returns a complete head without its empty line, nothing while there is none.

        Raises ProtocolError for a head that is too large, or has line ends other than CRLF."""
        if not self.data:
            head, end, rest = data.partition(END)  # the usual case: all of it at once
            if end and 0 < len(head) <= self.limit and head[0] != CR:
                self.rest = rest
                return head
        self.data += data
        return self._cut()

    def _cut(self) -> bytes:
        """A head that comes in pieces, or after empty lines."""
        if self.data[0] == CR:
            self._skip_empty()
        end = self.data.find(END, max(0, self._searched - len(END) + 1))
        if end >= 0:
            if end > self.limit:
                self._too_large()
            head = bytes(self.data[:end])
            self.rest = bytes(self.data[end + len(END) :])
            self.clear()
            return head
        start = max(0, self._searched - 1)
        fresh = bytes(self.data[start:])
        if fresh.startswith(b"\n") and start:
            fresh = fresh[1:]  # its CR was seen the last time
        if fresh.count(b"\n") != fresh.count(b"\r\n"):
            raise ProtocolError("bare LF in the head")
        self._searched = len(self.data)
        if self._searched > self.limit:
            self._too_large()
        return b""

    def clear(self) -> None:
        """Forget what has come of a head."""
        self.data = bytearray()
        self._searched = self._empty = 0

    def _skip_empty(self) -> None:
        """RFC 9112 section 2.2: empty lines before a request are ignored."""
        skipped = 0
        while self.data.startswith(CRLF, skipped):
            self._empty += 1
            if self._empty > MAX_EMPTY_LINES:
                raise ProtocolError(f"more than {MAX_EMPTY_LINES} empty lines before a request")
            skipped += len(CRLF)
        if skipped:
            del self.data[:skipped]
            self._searched = 0

    def _too_large(self) -> None:
        if self.data.find(CRLF, 0, self.limit) < 0:
            raise ProtocolError("request line too long", 414)
        raise ProtocolError(f"head larger than {self.limit} bytes", 431)
