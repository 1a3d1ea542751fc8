"""Writing heads and bodies: the other half of the codec."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from ..http.head import UNKNOWN, Edits, Fields, RequestHead, ResponseHead
from ..http.lines import name_of
from ..transport import Buffer

PHRASES: Final[dict[int, bytes]] = {status.value: status.phrase.encode() for status in HTTPStatus}

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

LAST_CHUNK: Final = b"0\r\n\r\n"


#: Status lines as they were written before, by status and phrase: few differ.
STATUS_LINES: Final[dict[tuple[int, bytes], bytes]] = {}
STATUS_LINES_SIZE: Final = 256


def unedited(fields: Fields, edits: Edits) -> list[bytes]:
    """The lines that came, but for those that something else is said in place of."""
    return [line for line in fields.lines if name_of(line) not in edits]


def write_request(head: RequestHead, target: bytes, authority: bytes, edits: Edits) -> bytes:
    """A request's head for an upstream."""
    fields = head.fields
    out = [b"".join((head.method, b" ", target, b" HTTP/1.1\r\nhost: ", authority))]
    out += fields.lines if fields.names.isdisjoint(edits) else unedited(fields, edits)
    for line in edits.values():
        if line:
            out.append(line)
    if fields.length == UNKNOWN:
        out.append(b"transfer-encoding: chunked")
    elif fields.length or head.method in (b"POST", b"PUT", b"PATCH"):
        out.append(b"content-length: %d" % fields.length)
    if fields.upgrade and b"upgrade" not in edits:
        out.append(b"connection: upgrade\r\nupgrade: " + fields.upgrade)
    elif fields.trailers and b"te" not in edits:
        out.append(b"connection: te\r\nte: trailers")
    out.append(b"\r\n")
    return b"\r\n".join(out)


def status_line(status: int, phrase: bytes) -> bytes:
    """A status line that `STATUS_LINES` does not have yet; known statuses without a phrase get theirs."""
    line = b"HTTP/1.1 %d %b" % (status, phrase or PHRASES.get(status, b""))
    if len(STATUS_LINES) < STATUS_LINES_SIZE:
        STATUS_LINES[status, phrase] = line
    return line


def write_response(
    head: ResponseHead,
    edits: Edits,
    *,
    chunked: bool = False,
    bodiless: bool = False,
    close: bool = False,
    http10: bool = False,
) -> bytes:
    """A response's head for a client. `bodiless` responses (HEAD, 204, 304) have no framing field of ours."""
    out = [STATUS_LINES.get((head.status, head.phrase)) or status_line(head.status, head.phrase)]
    out += head.lines if head.names.isdisjoint(edits) else unedited(head, edits)
    for line in edits.values():
        if line:
            out.append(line)
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
