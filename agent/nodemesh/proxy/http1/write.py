"""Writing heads and bodies: the other half of the codec."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from ..head import UNKNOWN, RequestHead, ResponseHead
from ..transport import Buffer

PHRASES: Final[dict[int, bytes]] = {status.value: status.phrase.encode() for status in HTTPStatus}

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

LAST_CHUNK: Final = b"0\r\n\r\n"


def write_request(head: RequestHead, target: bytes, authority: bytes, lines: list[bytes]) -> bytes:
    """A request's head for an upstream; `lines` are the field lines without host and framing."""
    out = [b"%b %b HTTP/1.1\r\nhost: %b" % (head.request.method, target, authority)]
    out += lines
    if head.length == UNKNOWN:
        out.append(b"transfer-encoding: chunked")
    elif head.length or head.request.method in (b"POST", b"PUT", b"PATCH"):
        out.append(b"content-length: %d" % head.length)
    if head.upgrade:
        out.append(b"connection: upgrade\r\nupgrade: " + head.upgrade)
    elif head.trailers:
        out.append(b"connection: te\r\nte: trailers")
    out.append(b"\r\n")
    return b"\r\n".join(out)


def write_response(head: ResponseHead, chunked: bool, bodiless: bool, close: bool, http10: bool) -> bytes:
    """A response's head for a client. `bodiless` responses (HEAD, 204, 304) have no framing field of ours."""
    out = [b"HTTP/1.1 %d %b" % (head.status, head.phrase or PHRASES.get(head.status, b""))]
    out += head.lines
    if chunked:
        out.append(b"transfer-encoding: chunked")
    elif head.length >= 0 and not bodiless:
        out.append(b"content-length: %d" % head.length)
    if head.upgrade:
        out.append(b"connection: upgrade\r\nupgrade: " + head.upgrade)
    elif close:
        out.append(b"connection: close")
    elif http10:
        out.append(b"connection: keep-alive")
    out.append(b"\r\n")
    return b"\r\n".join(out)


def write_chunk(data: Buffer) -> bytes:
    """One chunk; nothing for no data, since an empty chunk would end the body."""
    return b"".join((b"%x\r\n" % len(data), data, b"\r\n")) if data else b""


def write_last_chunk(trailers: list[bytes]) -> bytes:
    """The end of a chunked body."""
    return b"\r\n".join((b"0", *trailers, b"", b"")) if trailers else LAST_CHUNK
