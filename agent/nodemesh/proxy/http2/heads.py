"""Between the codec's heads and HTTP's: fields are pairs of name and value here, and lines there."""

from __future__ import annotations

from typing import Final

from ...routing.fields import gather, leave_hop, members
from ..http.errors import ProtocolError
from ..http.fields import CONTENT_LENGTH, CONTROL, EXPECT, GRPC_STATUS, HOP, HOST, KINDS, OURS, PLAIN, SERVER
from ..http.head import Edits, Fields, RequestFields, RequestHead, ResponseHead, weight_of
from ..http.lines import CACHE, read_line, value_of
from ..http.paths import split_path
from .head import Head, Pair

#: Fields of one connection, which HTTP/2 does not have, whoever asked for them (RFC 9113 section 8.2.2).
CONNECTION_FIELDS: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te", b"host"}
)

STATUSES: Final[dict[int, Pair]] = {status: (b":status", b"%d" % status) for status in range(100, 600)}

#: What is passed on of a request's fields, and what neither rules nor upstreams see.
FORWARDED: Final = frozenset({PLAIN, SERVER, GRPC_STATUS, EXPECT})
DROPPED: Final = frozenset({HOP, OURS, HOST})

#: The protocol that a stream may change to: an extended CONNECT for it is the request that HTTP/1.1 makes with GET and
#: Upgrade (RFC 8441 section 5).
WEBSOCKET: Final = b"websocket"


def request_of(head: Head, ended: bool) -> RequestHead:
    """A client's request. Raises ProtocolError with the status to answer."""
    fields = head.request
    if fields is None or head.ended != ended:
        fields = head.request = read_fields(head, ended)
        head.ended = ended
    path, query = split_path(head.path)
    method = b"GET" if head.protocol else head.method
    request = RequestHead(method, head.scheme, head.authority, path, query, fields)
    request.http2 = True
    request.weight = weight_of(head.size)
    return request


def read_fields(head: Head, ended: bool) -> RequestFields:
    """What a request says beside its method and target. Raises ProtocolError."""
    lines: list[bytes] = []
    names: list[bytes] = []
    headers: dict[bytes, bytes] = {}
    fields = RequestFields(lines, frozenset(), headers)
    for name, value in head.fields:
        kind = KINDS.get(name, PLAIN)
        if kind in FORWARDED:
            if kind == EXPECT and value.lower() != b"100-continue":
                raise ProtocolError(f"unknown expectation {value[:60]!r}", 417)
            lines.append(name + b": " + value)
            names.append(name)
        elif kind in DROPPED:
            continue
        elif kind == CONTROL:
            fields.controlled = True
        if name in headers:
            fields.repeated = gather(headers, fields.repeated, name, value)
        else:
            headers[name] = value
    fields.names = frozenset(names)
    fields.authority = head.authority
    fields.length = 0 if ended else head.length
    if head.protocol:
        fields.upgrade = headers[b"upgrade"] = head.protocol
        headers[b"connection"] = b"upgrade"
        fields.length = 0  # what follows is the other protocol's
    elif head.method == b"CONNECT":
        raise ProtocolError("CONNECT is refused", 403)
    if b"te" in headers:
        fields.trailers = b"trailers" in members(headers[b"te"])
        leave_hop(headers, fields.repeated, fields.upgrade)
    return fields


def response_of(head: Head, ended: bool, method: bytes) -> ResponseHead:
    """An upstream's response to a request with that method."""
    if method == b"HEAD":
        return read_response(head, ended, True)
    response = head.response
    if response is None or head.ended != ended:
        response = head.response = read_response(head, ended, head.status == 304)
        head.ended = ended
    return response


def read_response(head: Head, ended: bool, bodiless: bool) -> ResponseHead:
    """What a response says; `bodiless`: its content-length is of no body."""
    lines: list[bytes] = []
    names: list[bytes] = []
    status = head.status
    grpc_status = -1
    for name, value in head.fields:
        kind = KINDS.get(name, PLAIN)
        if kind == GRPC_STATUS:
            grpc_status = int(value) if value.isdigit() else -1
        elif kind == CONTENT_LENGTH:
            if not bodiless:
                continue  # `length` says it
        elif kind != PLAIN and kind != EXPECT:
            continue
        lines.append(name + b": " + value)
        names.append(name)
    length = 0 if ended or bodiless or status < 200 else head.length
    return ResponseHead(status, b"", lines, frozenset(names), length, grpc_status=grpc_status)


def request_pairs(head: RequestHead, path: bytes, authority: bytes, edits: Edits) -> list[Pair]:
    """A request's head for an upstream, pseudo fields first."""
    fields = head.fields
    if fields.upgrade:
        pairs = [(b":method", b"CONNECT"), (b":protocol", fields.upgrade)]
    else:
        pairs = [(b":method", head.method)]
    pairs += ((b":scheme", head.scheme), (b":authority", authority), (b":path", path))
    add_fields(pairs, fields, edits)
    if fields.length > 0 or (fields.length == 0 and head.method in (b"POST", b"PUT", b"PATCH")):
        pairs.append((b"content-length", b"%d" % fields.length))
    if fields.trailers and b"te" not in edits:
        pairs.append((b"te", b"trailers"))
    return pairs


def response_pairs(head: ResponseHead, edits: Edits, bodiless: bool) -> list[Pair]:
    """A response's head for a client. `bodiless` responses (HEAD, 204, 304) have no length of ours."""
    pairs = [STATUSES[head.status]]
    add_fields(pairs, head, edits)
    if bodiless and edits.get(b"content-length"):  # what GET would have got
        pairs.append((b"content-length", value_of(edits[b"content-length"])))
    if head.length >= 0 and not bodiless and head.grpc_status < 0 and head.status >= 200:
        pairs.append((b"content-length", b"%d" % head.length))
    return pairs


def add_fields(pairs: list[Pair], fields: Fields, edits: Edits) -> None:
    """The fields that came and are not edited, and those that the proxy says."""
    for line in fields.lines:
        pair = pair_of(line)
        if pair[0] not in edits:
            pairs.append(pair)
    for name, lines in edits.items():
        if lines and name not in CONNECTION_FIELDS and name != b"content-length":
            if lines.find(b"\r\n") < 0:
                pairs.append((name, lines[len(name) + 1 :].strip(b" \t")))
            else:
                pairs += [(name, value_of(line)) for line in lines.split(b"\r\n")]


def pair_of(line: bytes) -> Pair:
    """Name in lower case and value of a line that came from a peer."""
    field = CACHE.get(line) or read_line(line)
    return field.pair


def pairs_of(lines: list[bytes]) -> list[Pair]:
    """Trailers for a peer."""
    return [pair_of(line) for line in lines]


def lines_of(pairs: list[Pair]) -> list[bytes]:
    """Trailers of a peer."""
    return [name + b": " + value for name, value in pairs]
