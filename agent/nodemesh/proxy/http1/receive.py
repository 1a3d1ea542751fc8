"""Cutting heads out of a stream: what has come of a head so far, and where it ends."""

from __future__ import annotations

from typing import Final

from .errors import ProtocolError

#: Envoy's max_request_headers_kb; nginx takes 32 KB, node 16 KB, Go 1 MB.
MAX_HEAD: Final = 60 * 1024

#: Envoy's max_headers_count.
MAX_FIELDS: Final = 100


class HeadBuffer:
    """Collects one head. `data` is what has come and was not taken yet."""

    __slots__ = ("data", "_searched")

    def __init__(self) -> None:
        self.data = b""
        self._searched = 0

    def add(self, data: bytes) -> int:
        """Append; returns the length of a complete head with its empty line, 0 while there is none.

        Raises ProtocolError for a head that is too large, or has line ends other than CRLF."""
        if self.data:
            self.data += data
        else:
            self.data = data
        while self.data.startswith(b"\r\n"):  # RFC 9112 section 2.2: empty lines before a request are ignored
            self.data = self.data[2:]
            self._searched = 0
        end = self.data.find(b"\r\n\r\n", max(0, self._searched - 3)) + 4
        if end >= 4:
            if end > MAX_HEAD:
                self._too_large()
            self._searched = 0
            return end
        start = max(0, self._searched - 1)
        fresh = self.data[start:]
        if fresh.startswith(b"\n") and start:
            fresh = fresh[1:]  # its CR was seen the last time
        if fresh.count(b"\n") != fresh.count(b"\r\n"):
            raise ProtocolError("bare LF in the head")
        self._searched = len(self.data)
        if self._searched > MAX_HEAD:
            self._too_large()
        return 0

    def take(self, end: int) -> bytes:
        """The rest of `data` after a head that was read."""
        rest = self.data[end:]
        self.data = b""
        return rest

    def _too_large(self) -> None:
        if b"\r\n" not in self.data[:MAX_HEAD]:
            raise ProtocolError("request line too long", 414)
        raise ProtocolError(f"head larger than {MAX_HEAD} bytes", 431)
