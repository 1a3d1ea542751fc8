"""Reading a request's head."""

from __future__ import annotations

import re
from typing import Final

from ...routing.request import Request
from ...routing.rewrite import normalize_path
from ..head import UNKNOWN, RequestHead
from .errors import ProtocolError
from .lines import (
    CACHE,
    CONNECTION,
    CONTENT_LENGTH,
    CONTROL,
    EXPECT,
    HOST,
    OPTIONS,
    OURS,
    PLAIN,
    REQUEST_ID,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    FieldLine,
    Known,
    name_of,
    read_field,
)
from .receive import MAX_FIELDS

REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/[0-9]\.[0-9]")
VERSION_LENGTH: Final = len(b"HTTP/1.1")

#: scheme "://" authority, then the path (RFC 9112 section 3.2.2)
ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)", re.DOTALL)

#: A Host's value (RFC 9110 section 7.2) may not have what would end or split an authority.
AUTHORITY: Final = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=%:\[\]]*")

#: More digits than any body has.
MAX_LENGTH_DIGITS: Final = 18


#: What requests say after their target (version and field lines), as it was understood before.
KNOWN: Final[Known[RequestHead]] = Known()


def read_request(data: bytes, scheme: bytes) -> RequestHead:
    """A complete head, without its empty line. Raises ProtocolError with the status to answer."""
    end = data.find(b"\r\n")
    if end < 0:
        end = len(data)
    start = REQUEST_LINE.fullmatch(data, 0, end)
    if start is None:
        raise ProtocolError(f"malformed request line {data[: min(end, 60)]!r}")
    said = data[end - VERSION_LENGTH :]
    known = KNOWN.heads.get(said)
    if known is None:
        known = read_fields(said)
    request = Request(start[1], scheme, known.request.authority, start[2], b"", known.request.headers)
    set_target(request)
    return known.again(request)


def read_fields(said: bytes) -> RequestHead:
    """The meaning of a version and field lines that `KNOWN` does not have yet: a head without method and target."""
    version, *lines = said.split(b"\r\n")
    if len(lines) > MAX_FIELDS:
        raise ProtocolError(f"more than {MAX_FIELDS} fields", 431)
    if not version.startswith(b"HTTP/1."):
        raise ProtocolError(f"{version.decode()} is not spoken here", 505)
    headers: dict[bytes, bytes] = {}
    kept: list[bytes] = []
    head = RequestHead(Request(b"", b"", b"", b"", b"", headers), kept)
    hosts: tuple[bytes, ...] = ()
    lengths: tuple[bytes, ...] = ()
    codings: tuple[bytes, ...] = ()
    options: tuple[bytes, ...] = ()  # of Connection
    common = True  # no line but such that are kept
    cached = CACHE.get
    for line in lines:
        field = cached(line)
        if field is None:
            field = read_field(line)
            common = common and line in CACHE
        kind = field.kind
        if kind == PLAIN or (kind > CONNECTION and note_field(head, field)):
            name = field.name
            headers[name] = headers[name] + b"," + field.value if name in headers else field.value
            kept.append(line)
        elif kind == HOST:
            hosts += (field.value,)
        elif kind == CONTENT_LENGTH:
            lengths += (field.value,)
        elif kind == TRANSFER_ENCODING:
            codings += field.tokens
        elif kind == CONNECTION:
            options += field.tokens
    if version == b"HTTP/1.0":
        head.http10 = True
        head.close = b"keep-alive" not in options
    set_host(head, hosts)
    if lengths or codings:
        set_length(head, lengths, codings)
    if options or head.upgrade:
        set_connection(head, options)
    if common:
        KNOWN.keep(said, head)
    return head


def note_field(head: RequestHead, field: FieldLine) -> bool:
    """Remember a field that means something to us; tells whether it is forwarded as it is."""
    kind = field.kind
    if kind == TE:
        head.trailers = head.trailers or b"trailers" in field.tokens
    elif kind == UPGRADE:
        head.upgrade = field.value
    elif kind == EXPECT:
        if field.value.lower() != b"100-continue":
            raise ProtocolError(f"unknown expectation {field.value[:60]!r}", 417)
        return True
    elif kind == REQUEST_ID:
        head.request_id = field.value
        return True
    elif kind == CONTROL:
        head.controlled = True
        head.request.headers[field.name] = field.value
    else:
        return kind > OURS
    return False


def set_host(head: RequestHead, hosts: tuple[bytes, ...]) -> None:
    """The one Host of a request (RFC 9112 section 3.2)."""
    if len(hosts) != 1 and (hosts or not head.http10):
        raise ProtocolError("a request needs exactly one Host")
    host = hosts[0] if hosts else b""
    if AUTHORITY.fullmatch(host) is None:
        raise ProtocolError(f"malformed Host {host[:60]!r}")
    head.request.authority = host


def set_target(request: Request) -> None:
    """Path and query from the request target, and the authority of one that has its own (RFC 9112 section 3.2)."""
    target = request.path
    if request.method == b"CONNECT":
        raise ProtocolError("CONNECT is refused", 403)
    if not target.startswith(b"/"):
        target = other_form(request, target)
    fragment = target.find(b"#")
    if fragment >= 0:
        target = target[:fragment]  # Envoy strips it, too: it is no part of a request
    query = target.find(b"?")
    if query >= 0:
        request.query = target[query + 1 :]
        target = target[:query]
    request.path = normalize_path(target)


def other_form(request: Request, target: bytes) -> bytes:
    """The path of a target in absolute or asterisk form (sections 3.2.2 and 3.2.4)."""
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        if target != b"*" or request.method != b"OPTIONS":
            raise ProtocolError(f"malformed request target {target[:60]!r}")
        return target
    if AUTHORITY.fullmatch(absolute[2]) is None or not absolute[2]:
        raise ProtocolError("malformed authority in the request target")
    request.authority = absolute[2]  # Host is ignored then
    return absolute[3] if absolute[3].startswith(b"/") else b"/" + absolute[3]


def set_length(head: RequestHead, lengths: tuple[bytes, ...], codings: tuple[bytes, ...]) -> None:
    """The body's length: RFC 9112 section 6.3, with what section 11.2 says about smuggling taken strictly."""
    # 3. Both fields: whoever reads the other one sees another message. Refused, as RFC 9112 allows.
    if codings and lengths:
        raise ProtocolError("both content-length and transfer-encoding")
    # 4. Chunked must be there, last and once; other codings are not for a proxy to undo.
    if codings:
        if head.http10:
            raise ProtocolError("transfer-encoding in HTTP/1.0")
        if codings != (b"chunked",):
            raise ProtocolError("transfer-encoding other than chunked", 501)
        head.length = UNKNOWN
        return
    # 5. and 6. One valid length. The same length twice is refused, too: it is never an honest client's.
    head.length = read_length(lengths)


def read_length(lengths: tuple[bytes, ...]) -> int:
    """Content-Length's value. Raises ProtocolError."""
    if len(lengths) != 1 or not lengths[0].isdigit():
        raise ProtocolError("malformed content-length")
    if len(lengths[0]) > MAX_LENGTH_DIGITS:
        raise ProtocolError("content-length too large", 413)
    return int(lengths[0])


def set_connection(head: RequestHead, options: tuple[bytes, ...]) -> None:
    """What Connection says: persistence, upgrades, and which fields are for this hop only (RFC 9110 section 7.6.1)."""
    if b"close" in options:
        head.close = True
    if b"upgrade" not in options or head.http10:
        head.upgrade = b""
    if not OPTIONS.issuperset(options):
        named = set(options) - OPTIONS
        head.lines[:] = [line for line in head.lines if name_of(line) not in named]
        for name in named:
            head.request.headers.pop(name, None)
