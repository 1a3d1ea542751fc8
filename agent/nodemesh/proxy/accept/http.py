"""HTTP on a new connection: which one is spoken is what the TLS has settled, or what the first bytes say."""

from __future__ import annotations

from typing import Final

from ..http.session import Session
from ..http1.server import Http1Server
from ..http2.server import Http2Server
from ..transport import READ_SIZE, Transport

#: HTTP/2 in ALPN (RFC 9113 section 3.2).
H2: Final = "h2"


def serve_http(session: Session, transport: Transport, data: bytes = b"", alpn: str = "") -> None:
    """Serve a client that speaks HTTP. `data` has come already; `alpn` is the protocol that TLS has settled, if any.
    A client that has not said so there may begin with HTTP/2's preface anywhere (prior knowledge)."""
    if alpn == H2:
        serve_http2(session, transport, data)
        return
    server = Http1Server(session, transport, serve_http2)
    if data:
        server.received(data)


def serve_http2(session: Session, transport: Transport, data: bytes) -> None:
    """Serve a client that speaks HTTP/2."""
    transport.appetite = READ_SIZE
    server = Http2Server(session, transport)
    if data:
        server.received(data)
