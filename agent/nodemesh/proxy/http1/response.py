"""Reading a response's head."""

from __future__ import annotations

import re
from typing import Final

from ..head import UNKNOWN, ResponseHead
from .errors import ProtocolError
from .lines import (
    CACHE,
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    EXPECT,
    GRPC_STATUS,
    OPTIONS,
    PLAIN,
    RATE_LIMITED,
    REQUEST_ID,
    TRANSFER_ENCODING,
    UPGRADE,
    Known,
    name_of,
    read_field,
)
from .receive import MAX_FIELDS
from .request import read_length

STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")

#: Fields that mean something in requests only.
FORWARDED: Final = (EXPECT, REQUEST_ID)

#: Status lines that were understood before: (minor version, status, reason phrase).
STATUS_CACHE: Final[dict[bytes, tuple[bytes, int, bytes]]] = {}
STATUS_CACHE_SIZE: Final = 256


def read_status(line: bytes) -> tuple[bytes, int, bytes]:
    """A status line that `STATUS_CACHE` does not know yet."""
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(f"malformed status line {line[:60]!r}")
    status = (match[1], int(match[2]), match[3] or b"")
    if len(STATUS_CACHE) < STATUS_CACHE_SIZE:
        STATUS_CACHE[line] = status
    return status


#: Heads that were understood before, as answers to other methods than HEAD.
KNOWN: Final[Known[ResponseHead]] = Known()


def read_response(data: bytes, method: bytes) -> ResponseHead:
    """A complete head, without its empty line, as the answer to `method`. Raises ProtocolError."""
    known = KNOWN.heads.get(data)
    if known is not None and method != b"HEAD":
        return known.again()
    lines = data.split(b"\r\n")
    minor, status, phrase = STATUS_CACHE.get(lines[0]) or read_status(lines[0])
    if len(lines) > MAX_FIELDS + 1:
        raise ProtocolError(f"more than {MAX_FIELDS} fields")
    kept: list[bytes] = []
    head = ResponseHead(status, phrase, kept)
    lengths: tuple[bytes, ...] = ()
    codings: tuple[bytes, ...] = ()
    options: tuple[bytes, ...] = ()  # of Connection
    common = True  # no line but such that are kept
    cached = CACHE.get
    for line in lines[1:]:
        field = cached(line)
        if field is None:
            field = read_field(line)
            common = common and line in CACHE
        kind = field.kind
        if kind == PLAIN or kind in FORWARDED:
            kept.append(line)
        elif kind == DATE:
            head.date = line
        elif kind == CONTENT_LENGTH:
            lengths += (field.value,)
        elif kind == CONNECTION:
            options += field.tokens
        elif kind == TRANSFER_ENCODING:
            codings += field.tokens
        elif kind == UPGRADE:
            head.upgrade = field.value
        elif kind == GRPC_STATUS:
            head.grpc_status = int(field.value) if field.value.isdigit() else -1
            kept.append(line)
        elif kind == RATE_LIMITED:
            head.limited = True
            kept.append(line)
    if minor == b"0":
        head.close = b"keep-alive" not in options
    if options or head.upgrade:
        set_connection(head, options)
    set_length(head, lengths, codings, method)
    if common and method != b"HEAD":
        KNOWN.keep(data, head)
        return head.again()
    return head


def set_length(head: ResponseHead, lengths: tuple[bytes, ...], codings: tuple[bytes, ...], method: bytes) -> None:
    """How long the body is: the numbered cases of RFC 9112 section 6.3."""
    status = head.status
    # 1. No body, whatever the fields say. For HEAD and 304 the length is what GET would have had: kept as a field.
    if method == b"HEAD" or status == 304:
        if len(lengths) == 1 and lengths[0].isdigit():
            head.lines.append(b"content-length: " + lengths[0])
        return
    if status < 200 or status == 204:
        return
    # 2. CONNECT: the tunnel is the exchange's business.
    # 3. Both: an upstream that is confused, or attacked.
    if codings and lengths:
        raise ProtocolError("both content-length and transfer-encoding")
    # 4. Transfer-Encoding.
    if codings:
        if codings != (b"chunked",):
            raise ProtocolError("transfer-encoding other than chunked")
        head.length = UNKNOWN
    # 5. and 6. Content-Length.
    elif lengths:
        head.length = read_length(lengths)
    # 8. Neither: until the connection closes.
    else:
        head.length = UNKNOWN
        head.close = True
        head.until_close = True


def set_connection(head: ResponseHead, options: tuple[bytes, ...]) -> None:
    """What Connection says, as for requests."""
    if b"close" in options:
        head.close = True
    if b"upgrade" not in options:
        head.upgrade = b""
    if not OPTIONS.issuperset(options):
        named = set(options) - OPTIONS
        head.lines[:] = [line for line in head.lines if name_of(line) not in named]
