"""A connection inside an HTTP request to a proxy further on: CONNECT, or POST with a body in each direction.

The request goes out when the lower connection stands, and the tunnel stands with a status of 2xx (RFC 9110 section
9.3.6); what is sent before waits. Until then a refusal is a connection that was not made."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from ...routing.decision import Tunnel
from ..transport import Buffer, Handler, Transport

#: More than this is no answer to wait for.
MAX_HEAD: Final = 16 * 1024

#: The longest line of a chunk's size, with its extensions.
MAX_LINE: Final = 1024


@mypyc_attr(native_class=False)  # as TlsError
class TunnelRefused(OSError):
    """The proxy has answered otherwise than 2xx, or no HTTP."""


class TunnelTransport(Transport):
    """One end of the connection inside; its handler sees neither request nor chunks."""

    __slots__ = ("lower", "_tunnel", "_head", "_early", "_paused", "_ending", "_chunked", "_left", "_over")

    def __init__(self, handler: Handler, tunnel: Tunnel) -> None:
        super().__init__(handler)
        self.lower: Transport | None = None
        self._tunnel = tunnel
        self._head = b""  # of the answer, then of the next chunk
        self._early: list[bytes] = []
        self._paused = False
        self._ending = False
        self._chunked = False
        self._left = 0  # bytes of the present chunk, its line's end among them
        self._over = False

    def attach(self, lower: Transport) -> None:
        """Have a connection that is under way; its handler is `Within` of this."""
        self.lower = lower
        self.local, self.remote, self.gate = lower.local, lower.remote, lower.gate

    # what the proxy calls

    def send(self, data: Buffer) -> None:
        if self.closed or self._ending:
            return
        if not self.established:
            self._early.append(bytes(data))
            self.pending += len(data)
            return
        self._write(data)

    @property
    def stale(self) -> bool:
        return self.lower is not None and self.lower.stale

    def pause(self) -> None:
        self._paused = True
        if self.established and self.lower is not None:
            self.lower.pause()

    def resume(self) -> None:
        self._paused = False
        if self.established and self.lower is not None and not self.closed:
            self.lower.resume()

    def end(self) -> None:
        self._ending = True
        if not self.established or self.closed or self.lower is None:
            return
        if self._tunnel.post:
            self.lower.send(b"0\r\n\r\n")
            self.pending = self.lower.pending
        else:
            self.lower.end()

    def close(self) -> None:
        self.closed = True
        if self.lower is not None:
            self.lower.close()

    def abort(self) -> None:
        self.closed = True
        if self.lower is not None:
            self.lower.abort()

    # what the lower connection tells

    def opened(self) -> None:
        """The lower connection stands: ask."""
        if self.lower is not None and not self.closed:
            self.lower.send(request_of(self._tunnel))

    def arrived(self, data: Buffer) -> None:
        if self.closed or self._over:
            return
        if self.established:
            self._hand_on(data)
            return
        self._head += bytes(data)
        status, rest = self._answer()
        if status is None:
            if len(self._head) > MAX_HEAD:
                self.fail(TunnelRefused("the proxy's answer to the tunnel's request is too long"))
        elif 200 <= status < 300:
            self._head = b""
            self._stand(rest)
        else:
            self.fail(TunnelRefused(f"the proxy has refused the tunnel with {status}"))

    def cut(self) -> None:
        """The peer's FIN has come."""
        if self.closed or self._over:
            return
        if not self.established:
            self.fail(TunnelRefused("the proxy has closed the connection without a tunnel"))
            return
        self._over = True
        self.handler.ended()

    def written(self) -> None:
        """Everything is written."""
        self.pending = sum(map(len, self._early))
        if self.established and not self.closed:
            self.handler.drained()

    def fail(self, error: OSError) -> None:
        """The connection is lost."""
        if self.closed:
            return
        self.closed = True
        if self.lower is not None:
            self.lower.close()
        self.handler.lost(error)

    # HTTP

    def _answer(self) -> tuple[int | None, bytes]:
        """The status that has come (0: none that is one), interim ones aside, and what stands behind the head."""
        while True:
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return (None if b"HTTP/1."[: len(head)] == head[:7] else 0), b""
            words = head.split(b"\r\n", 1)[0].split(b" ", 2)
            if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
                return 0, b""
            status = int(words[1])
            if status >= 200 or status == 101:
                self._chunked = self._tunnel.post and is_chunked(head)
                return status, rest
            self._head = rest

    def _stand(self, rest: bytes) -> None:
        """The tunnel stands."""
        self.established = True
        assert self.lower is not None
        early, self._early = self._early, []
        self.pending = self.lower.pending
        for data in early:
            self._write(data)
        if self._paused:
            self.lower.pause()
        if self._ending:
            self.end()
        self.handler.connected()
        if rest and not self.closed:
            self._hand_on(rest)
        if early and not self.pending and not self.closed:
            self.handler.drained()

    def _write(self, data: Buffer) -> None:
        lower = self.lower
        if lower is None or not data:
            return
        lower.send(b"%x\r\n%b\r\n" % (len(data), bytes(data)) if self._tunnel.post else data)
        self.pending = lower.pending

    def _hand_on(self, data: Buffer) -> None:
        """What has come, without what frames it."""
        if not self._chunked:
            self.handler.received(data)
            return
        data = self._head + bytes(data)
        self._head = b""
        while data and not self.closed:
            if self._left > 2:
                piece, data = data[: self._left - 2], data[self._left - 2 :]
                self._left -= len(piece)
                self.handler.received(piece)
            elif self._left:  # the line's end behind a chunk
                taken = min(self._left, len(data))
                self._left -= taken
                data = data[taken:]
            else:
                line, found, rest = data.partition(b"\r\n")
                if not found:
                    self._head = data
                    if len(data) > MAX_LINE:
                        self.fail(TunnelRefused("a chunk's size has no end"))
                    return
                data = self._begin_chunk(line, rest)

    def _begin_chunk(self, line: bytes, rest: bytes) -> bytes:
        """What is left behind a chunk's size."""
        digits = line.partition(b";")[0].strip()
        if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
            self.fail(TunnelRefused("a chunk's size is no number"))
            return b""
        size = int(digits, 16)
        if not size:
            self._over = True
            self.handler.ended()
            return b""
        self._left = size + 2
        return rest


class Within(Handler):
    """The lower connection's handler."""

    __slots__ = ("tunnel",)

    def __init__(self, tunnel: TunnelTransport) -> None:
        self.tunnel = tunnel

    def connected(self) -> None:
        self.tunnel.opened()

    def received(self, data: Buffer) -> None:
        self.tunnel.arrived(data)

    def ended(self) -> None:
        self.tunnel.cut()

    def drained(self) -> None:
        self.tunnel.written()

    def lost(self, error: OSError) -> None:
        self.tunnel.fail(error)


def request_of(tunnel: Tunnel) -> bytes:
    if tunnel.post:
        return b"POST / HTTP/1.1\r\nhost: %b\r\ntransfer-encoding: chunked\r\n\r\n" % tunnel.target
    return b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (tunnel.target, tunnel.target)


def is_chunked(head: bytes) -> bool:
    lines = head.lower().split(b"\r\n")[1:]
    return any(line.startswith(b"transfer-encoding:") and line.rstrip().endswith(b"chunked") for line in lines)
