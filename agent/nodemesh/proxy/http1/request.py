"""Reading a request's head."""

from __future__ import annotations

import re
from typing import Final

from ...bounded import Bounded
from ...routing.fields import OPTIONS, asked_upgrade, gather, leave_hop
from ..http.errors import ProtocolError
from ..http.fields import (
    CONNECTION,
    CONTENT_LENGTH,
    CONTROL,
    EXPECT,
    GRPC_STATUS,
    HOST,
    PLAIN,
    SERVER,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeadLayout,
    Layouts,
)
from ..http.head import LIGHT, UNKNOWN, RequestFields, RequestHead, RequestMemory, weight_of
from ..http.lines import KNOWN_HEADS, KNOWN_LENGTH, MAX_FIELDS, FieldLine, name_of, tokens_of
from ..http.paths import split_path
from .head_lines import LinesReader

REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/[0-9]\.[0-9]")
VERSION_LENGTH: Final = len(b"HTTP/1.1")
VERSIONS: Final = (b" HTTP/1.1", b" HTTP/1.0")

#: scheme "://" authority, then the path (RFC 9112 section 3.2.2)
ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)", re.DOTALL)

#: A Host's value (RFC 9110 section 7.2) may not have what would end or split an authority.
AUTHORITY: Final = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=%:\[\]]*")

#: More digits than any body has.
MAX_LENGTH_DIGITS: Final = 18

LAYOUTS: Final = Layouts(
    forwarded=frozenset({PLAIN, EXPECT, SERVER, GRPC_STATUS}),
    meant=frozenset({HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TE, UPGRADE, EXPECT, CONTROL}),
)

#: Method, authority (of a target that has its own), path, query.
Target = tuple[bytes, bytes, bytes, bytes]

#: Values of Host that may be an authority.
HOSTS: Final[Bounded[bytes, bytes]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)

#: Request lines that were understood before, and what stood before the query of those that have one.
TARGETS: Final[Bounded[bytes, Target]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)
QUERIED: Final[Bounded[bytes, Target]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)

#: What a query may be made of becomes 1: visible characters, but for that with which a fragment begins.
QUERY_BYTES: Final = bytes(0x21 <= byte != 0x7F and byte != 0x23 for byte in range(256))

#: What requests say after their target (version and field lines), as it was understood before.
KNOWN: Final[Bounded[bytes, RequestFields]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)

#: Those of the others.
LINES: Final[LinesReader[RequestFields]] = LinesReader(LAYOUTS)


class LastRequest:
    """The request line and known fields of a connection's last request: one that is the same, to its last byte, shares
    what is remembered of it."""

    __slots__ = ("start", "fields", "memory")

    def __init__(self) -> None:
        self.start = b""
        self.fields: RequestFields | None = None
        self.memory: RequestMemory | None = None

    def recall(self, start: bytes, fields: RequestFields) -> RequestMemory | None:
        """What is remembered of a request whose fields are in `KNOWN`."""
        if fields is not self.fields or start != self.start:
            self.memory = None
            if len(start) <= KNOWN_LENGTH:
                self.start, self.fields = start, fields
        elif self.memory is None:  # it has come again, and may do so yet
            self.memory = RequestMemory()
        return self.memory


def read_request(data: bytes, scheme: bytes, last: LastRequest | None = None) -> RequestHead:
    """A complete head, without its empty line; `last` is its connection's. Raises ProtocolError with the status to
    answer."""
    end = data.find(b"\r\n")
    if end < 0:
        end = len(data)
    start = data[:end]
    method, authority, path, query = TARGETS.found.get(start) or read_target(start)
    text = data[end - VERSION_LENGTH :]
    fields = KNOWN.found.get(text)
    memory: RequestMemory | None = None
    if fields is None:
        fields = read_fields(text)
    elif last is not None:
        memory = last.recall(start, fields)
    head = RequestHead(method, scheme, authority or fields.authority, path, query, fields)
    head.memory = memory
    if len(data) >= LIGHT:
        head.weight = weight_of(len(data))
    return head


def read_target(line: bytes) -> Target:
    """The meaning of a request line that `TARGETS` does not have yet (RFC 9112 section 3.2)."""
    before, mark, rest = line.partition(b"?")
    known = QUERIED.found.get(before) if mark else None
    if known is not None and rest.endswith(VERSIONS):
        query = rest[: -VERSION_LENGTH - 1]
        if 0 not in query.translate(QUERY_BYTES):
            return known[0], known[1], known[2], query
    start = REQUEST_LINE.fullmatch(line)
    if start is None:
        raise ProtocolError(f"malformed request line {line[:60]!r}")
    method, path = start[1], start[2]
    authority = b""
    if method == b"CONNECT":
        raise ProtocolError("CONNECT is refused", 403)
    if not path.startswith(b"/"):
        authority, path = other_form(method, path)
    target = method, authority, *split_path(path)
    if mark and before.find(b"#") < 0:  # each query is another one
        QUERIED.keep(before, target, len(before))
    else:
        TARGETS.keep(line, target, len(line))
    return target


def other_form(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """Authority and path of a target in absolute or asterisk form (sections 3.2.2 and 3.2.4)."""
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        if target != b"*" or method != b"OPTIONS":
            raise ProtocolError(f"malformed request target {target[:60]!r}")
        return b"", target
    if AUTHORITY.fullmatch(absolute[2]) is None or not absolute[2]:
        raise ProtocolError("malformed authority in the request target")
    path = absolute[3]
    return absolute[2], path if path.startswith(b"/") else b"/" + path  # Host is ignored then


def read_fields(text: bytes) -> RequestFields:
    """The meaning of a version and field lines that `KNOWN` does not have yet."""
    lines = text.split(b"\r\n")
    version = lines.pop(0)
    if len(lines) > MAX_FIELDS:
        raise ProtocolError(f"more than {MAX_FIELDS} fields", 431)
    if not version.startswith(b"HTTP/1."):
        raise ProtocolError(f"{version.decode()} is not spoken here", 505)
    like = LINES.read(version, lines)
    layout = LINES.layout
    kept = layout.forwarded(lines)
    if like is not None:
        fields = like.with_values(kept, LINES.changed)
    else:
        fields = understand(version, kept, LINES.found, layout)
    if fields.names is layout.names:  # Connection names none of them
        LINES.meaning = fields
    if LINES.familiar:  # so that what is kept holds no secrets, and nothing that differs each time
        KNOWN.keep(text, fields, len(text))
    return fields


def understand(version: bytes, kept: list[bytes], found: list[FieldLine], layout: HeadLayout) -> RequestFields:
    """What a version and lines mean."""
    headers: dict[bytes, bytes] = {}
    fields = RequestFields(kept, layout.names, headers)
    for index in layout.kept:
        line = found[index]
        if layout.repeats:
            take(fields, line)
        else:
            headers[line.name] = line.value
    hosts: tuple[bytes, ...] = ()
    lengths: tuple[bytes, ...] = ()
    codings: tuple[bytes, ...] = ()
    options: tuple[bytes, ...] = ()  # of Connection
    for index in layout.meant:
        kind, line = layout.kinds[index], found[index]
        if kind == HOST:
            hosts += (line.value,)
        elif kind == CONTENT_LENGTH:
            lengths += (line.value,)
            take(fields, line)
        elif kind == TRANSFER_ENCODING:
            codings += tokens_of(line.value)
        elif kind == CONNECTION:
            options += tokens_of(line.value)
            take(fields, line)
        else:
            note_field(fields, kind, line)
    if version == b"HTTP/1.0":
        fields.http10 = True
        fields.close = b"keep-alive" not in options
    set_host(fields, hosts)
    if lengths or codings:
        set_length(fields, lengths, codings)
    if options or b"te" in fields.headers or b"upgrade" in fields.headers:
        set_connection(fields, options)
    return fields


def take(fields: RequestFields, line: FieldLine) -> None:
    """Put a field's value where rules see it."""
    fields.repeated = gather(fields.headers, fields.repeated, line.name, line.value)


def note_field(fields: RequestFields, kind: int, line: FieldLine) -> None:
    """Remember a field that means something to us."""
    if kind in (TE, UPGRADE):
        take(fields, line)
    elif kind == EXPECT:
        if line.value.lower() != b"100-continue":
            raise ProtocolError(f"unknown expectation {line.value[:60]!r}", 417)
    elif kind == CONTROL:
        fields.controlled = True
        take(fields, line)


def set_host(fields: RequestFields, hosts: tuple[bytes, ...]) -> None:
    """The one Host of a request (RFC 9112 section 3.2)."""
    if len(hosts) != 1 and (hosts or not fields.http10):
        raise ProtocolError("a request needs exactly one Host")
    host = hosts[0] if hosts else b""
    if HOSTS.found.get(host) is None:
        if AUTHORITY.fullmatch(host) is None:
            raise ProtocolError(f"malformed Host {host[:60]!r}")
        HOSTS.keep(host, host, len(host))
    fields.authority = host


def set_length(fields: RequestFields, lengths: tuple[bytes, ...], codings: tuple[bytes, ...]) -> None:
    """The body's length: RFC 9112 section 6.3, with what section 11.2 says about smuggling taken strictly."""
    # 3. Both fields: whoever reads the other one sees another message. Refused, as RFC 9112 allows.
    if codings and lengths:
        raise ProtocolError("both content-length and transfer-encoding")
    # 4. Chunked must be there, last and once; other codings are not for a proxy to undo.
    if codings:
        if fields.http10:
            raise ProtocolError("transfer-encoding in HTTP/1.0")
        if codings != (b"chunked",):
            raise ProtocolError("transfer-encoding other than chunked", 501)
        fields.length = UNKNOWN
        return
    # 5. and 6. One valid length. The same length twice is refused, too: it is never an honest client's.
    fields.length = read_length(lengths)


def read_length(lengths: tuple[bytes, ...]) -> int:
    """Content-Length's value. Raises ProtocolError."""
    if len(lengths) != 1 or not lengths[0].isdigit():
        raise ProtocolError("malformed content-length")
    if len(lengths[0]) > MAX_LENGTH_DIGITS:
        raise ProtocolError("content-length too large", 413)
    return int(lengths[0])


def set_connection(fields: RequestFields, options: tuple[bytes, ...]) -> None:
    """What Connection says: persistence, upgrades, and which fields are for this hop only (RFC 9110 section 7.6.1)."""
    headers = fields.headers
    if b"close" in options:
        fields.close = True
    if not fields.http10:
        fields.upgrade = asked_upgrade(headers.get(b"upgrade", b""), options)
    leave_hop(headers, fields.repeated, fields.upgrade)
    fields.trailers = b"te" in headers
    if not OPTIONS.issuperset(options):
        named = set(options) - OPTIONS
        fields.lines = [line for line in fields.lines if name_of(line) not in named]
        fields.names -= named
