"""A connection inside an HTTP request to a proxy further on: CONNECT, or POST with a body in each direction.

The request goes out when the lower connection is established, and a status of 2xx makes the tunnel (RFC 9110 section
9.3.6); what is sent before that waits. Until then a refusal is a connection that was not made."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from ...routing.decision import Tunnel
from ..layered import Layered
from ..transport import Buffer, Handler

#: More than this is no answer to wait for.
MAX_HEAD: Final = 16 * 1024

#: The longest line of a chunk's size, with its extensions.
MAX_LINE: Final = 1024


@mypyc_attr(native_class=False)  # as TlsError
class TunnelRefused(OSError):
    """The proxy has answered otherwise than 2xx, or no HTTP."""


class TunnelTransport(Layered):
    """One end of the connection inside; its handler sees neither request nor chunks."""

    __slots__ = ("_tunnel", "_unread", "_chunked", "_left", "_over", "_fault")

    def __init__(self, handler: Handler, tunnel: Tunnel) -> None:
        super().__init__(handler)
        self._tunnel = tunnel
        self._unread = b""  # of the answer, then of what has come behind it
        self._chunked = False
        self._left = 0  # bytes of the present chunk, its line's end among them
        self._over = False
        self._fault = ""  # what is wrong with the chunks

    # what the lower connection tells

    def opened(self) -> None:
        if self.lower is not None and not self.closed:
            self.lower.send(request_of(self._tunnel))

    def arrived(self, data: Buffer) -> None:
        if self.closed or self._over:
            return
        if self.established:
            self._unframe(data)
            return
        self._unread += bytes(data)
        status = self._answer()
        if status is None:
            if len(self._unread) > MAX_HEAD:
                self.fail(TunnelRefused("the proxy's answer to the tunnel's request is too long"))
        elif 200 <= status < 300:
            self._establish()
        else:
            self.fail(TunnelRefused(f"the proxy has refused the tunnel with {status}"))

    def cut(self) -> None:
        if self.closed or self._over:
            return
        if not self.established:
            self.fail(TunnelRefused("the proxy has closed the connection without a tunnel"))
            return
        self._over = True
        self.handler.ended()

    # HTTP

    def _answer(self) -> int | None:
        """The status that has come (0: none that is one), interim ones aside; what is behind its head stays unread."""
        while True:
            head, found, rest = self._unread.partition(b"\r\n\r\n")
            if not found:
                return None if b"HTTP/1."[: len(head)] == head[:7] else 0
            words = head.split(b"\r\n", 1)[0].split(b" ", 2)
            if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
                return 0
            self._unread = rest
            status = int(words[1])
            if status >= 200 or status == 101:
                self._chunked = self._tunnel.post and is_chunked(head)
                return status

    def _write(self, data: Buffer) -> None:
        lower = self.lower
        if lower is None or not data:
            return
        lower.send(b"%x\r\n%b\r\n" % (len(data), bytes(data)) if self._tunnel.post else data)
        self.pending = lower.pending

    def _finish(self) -> None:
        lower = self.lower
        assert lower is not None
        if self._tunnel.post:
            lower.send(b"0\r\n\r\n")
            self.pending = lower.pending
        else:
            lower.end()

    def _hand_on(self) -> None:
        rest, self._unread = self._unread, b""
        if rest:
            self._unframe(rest)

    def _unframe(self, data: Buffer) -> None:
        """Give the handler what has come, without what frames it."""
        if not self._chunked:
            self.handler.received(data)
            return
        data = self._unread + bytes(data)
        self._unread = b""
        pieces: list[bytes] = []
        position = 0
        while position < len(data) and not self._over:
            if self._left > 2:
                piece = data[position : position + self._left - 2]
                self._left -= len(piece)
                position += len(piece)
                pieces.append(piece)
            elif self._left:  # the line's end behind a chunk
                taken = min(self._left, len(data) - position)
                self._left -= taken
                position += taken
            else:
                position = self._begin_chunk(data, position)
        if pieces:  # at once: a proxy's chunks may be of one byte each
            self.handler.received(b"".join(pieces))
        if self.closed:
            return
        if self._fault:
            self.fail(TunnelRefused(self._fault))
        elif self._over:
            self.handler.ended()

    def _begin_chunk(self, data: bytes, position: int) -> int:
        """Where the chunk begins whose size stands there."""
        end = data.find(b"\r\n", position)
        if end < 0:
            self._unread = data[position:]
            if len(self._unread) > MAX_LINE:
                self._fault = "a chunk's size has no end"
            return len(data)
        digits = data[position:end].partition(b";")[0].strip()
        if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
            self._fault = "a chunk's size is no number"
            return len(data)
        size = int(digits, 16)
        if not size:
            self._over = True
        else:
            self._left = size + 2
        return end + 2


def request_of(tunnel: Tunnel) -> bytes:
    if tunnel.post:
        return b"POST / HTTP/1.1\r\nhost: %b\r\ntransfer-encoding: chunked\r\n\r\n" % tunnel.target
    return b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (tunnel.target, tunnel.target)


def is_chunked(head: bytes) -> bool:
    lines = head.lower().split(b"\r\n")[1:]
    return any(line.startswith(b"transfer-encoding:") and line.rstrip().endswith(b"chunked") for line in lines)
