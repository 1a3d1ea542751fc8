"""Reading a response's head."""

from __future__ import annotations

import re
from typing import Final

from ...bounded import Bounded
from ...routing.fields import OPTIONS
from ..http.errors import ProtocolError
from ..http.fields import (
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    GRPC_STATUS,
    PLAIN,
    TRANSFER_ENCODING,
    UPGRADE,
    HeadLayout,
    Layouts,
)
from ..http.head import NO_FIELDS, UNKNOWN, ResponseHead
from ..http.lines import KNOWN_HEADS, KNOWN_LENGTH, MAX_FIELDS, FieldLine, name_of, tokens_of
from .head_lines import LinesReader
from .request import read_length

STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")

LAYOUTS: Final = Layouts(
    forwarded=frozenset({PLAIN, EXPECT, GRPC_STATUS}),
    meant=frozenset({CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, GRPC_STATUS}),
)

#: Heads that were understood before, as answers to other methods than HEAD.
KNOWN: Final[Bounded[bytes, ResponseHead]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)

#: The lines of the others.
LINES: Final[LinesReader[ResponseHead]] = LinesReader(LAYOUTS)

#: What such heads say by their status line and the lines that mean something to us: the head, without its fields.
GISTS: Final[Bounded[tuple[bytes, ...], ResponseHead]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)


def read_status(line: bytes) -> tuple[bytes, int, bytes]:
    """Minor version, status and reason phrase of a status line."""
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(f"malformed status line {line[:60]!r}")
    return match[1], int(match[2]), match[3] or b""


def read_response(data: bytes, method: bytes) -> ResponseHead:
    """A complete head, without its empty line, as the answer to `method`. Raises ProtocolError."""
    if method != b"HEAD":
        known = KNOWN.found.get(data)
        if known is not None:
            return known
    lines = data.split(b"\r\n")
    start = lines.pop(0)
    if len(lines) > MAX_FIELDS:
        raise ProtocolError(f"more than {MAX_FIELDS} fields")
    like = LINES.read(start, lines)
    layout = LINES.layout
    kept = layout.forwarded(lines)
    if like is None or method == b"HEAD":
        head = read_alone(start, lines, kept, method)
    else:
        head = like.with_fields(kept, layout.names)
    if method != b"HEAD":
        if head.names is layout.names:  # no field is special to this head
            LINES.meaning = head
        if LINES.familiar:  # so that what is kept holds no secrets, and nothing that differs each time
            KNOWN.keep(data, head, len(data))
    return head


def read_alone(start: bytes, lines: list[bytes], kept: list[bytes], method: bytes) -> ResponseHead:
    """A head that is not like the one before it, whose lines are in `LINES`."""
    layout = LINES.layout
    telling = (start, *[lines[index] for index in layout.meant])
    gist = GISTS.found.get(telling) if method != b"HEAD" else None
    if gist is not None:
        return gist.with_fields(kept, layout.names)
    return understand(telling, LINES.found, layout, kept, method)


def understand(
    telling: tuple[bytes, ...], found: list[FieldLine], layout: HeadLayout, kept: list[bytes], method: bytes
) -> ResponseHead:
    """A head whose status line and lines that mean something to us are not in `GISTS`."""
    minor, status, phrase = read_status(telling[0])
    head = ResponseHead(status, phrase, kept, layout.names)
    lengths: tuple[bytes, ...] = ()
    codings: tuple[bytes, ...] = ()
    options: tuple[bytes, ...] = ()  # of Connection
    for index in layout.meant:
        kind, value = layout.kinds[index], found[index].value
        if kind == CONTENT_LENGTH:
            lengths += (value,)
        elif kind == CONNECTION:
            options += tokens_of(value)
        elif kind == TRANSFER_ENCODING:
            codings += tokens_of(value)
        elif kind == UPGRADE:
            head.upgrade = value
        elif kind == GRPC_STATUS:
            head.grpc_status = int(value) if value.isdigit() else -1
    if minor == b"0":
        head.close = b"keep-alive" not in options
    if options or head.upgrade:
        set_connection(head, options)
    set_length(head, lengths, codings, method)
    if method != b"HEAD" and head.names is layout.names:  # no field is special to this head
        GISTS.keep(telling, head.with_fields([], NO_FIELDS.names), sum(map(len, telling)))
    return head


def set_length(head: ResponseHead, lengths: tuple[bytes, ...], codings: tuple[bytes, ...], method: bytes) -> None:
    """How long the body is: the numbered cases of RFC 9112 section 6.3."""
    status = head.status
    # 1. No body, whatever the fields say. For HEAD and 304 the length is what GET would have had: kept as a field.
    if method == b"HEAD" or status == 304:
        if len(lengths) == 1 and lengths[0].isdigit():
            head.lines.append(b"content-length: " + lengths[0])
            head.names |= {b"content-length"}
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
    if b"upgrade" not in options or head.status != 101:
        head.upgrade = b""  # what else a server could speak it offers to its own client, us (RFC 9110 section 7.8)
    if not OPTIONS.issuperset(options):
        named = set(options) - OPTIONS
        head.lines = [line for line in head.lines if name_of(line) not in named]
        head.names -= named
