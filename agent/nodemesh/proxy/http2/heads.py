"""Between the codec's heads and HTTP's: fields are pairs of name and value here, and lines there."""

from __future__ import annotations

from typing import Final

from ...routing.fields import gather, leave_hop
from ..grpc.status import NO_STATUS, read_status
from ..http.errors import ProtocolError
from ..http.fields import CONTENT_LENGTH, CONTROL, EXPECT, GRPC_STATUS, HOP, HOST, KINDS, OURS, PLAIN, SERVER
from ..http.head import Edits, Fields, RequestFields, RequestHead, RequestMemory, ResponseHead, weight_of
from ..http.lines import CACHE, KNOWN_LENGTH, read_line, value_of
from ..http.paths import split_path
from .head import Head, Pair
from .writer import Opening

LENGTH: Final = b"content-length"

STATUSES: Final[dict[int, Pair]] = {status: (b":status", b"%d" % status) for status in range(100, 600)}

#: What is passed on of a request's fields, and what neither rules nor upstreams see.
FORWARDED: Final = frozenset({PLAIN, SERVER, GRPC_STATUS, EXPECT})
DROPPED: Final = frozenset({HOP, OURS, HOST})

#: The names of a response's fields that are not passed on; of one with a body its head says the length by itself.
NOT_ANSWERED: Final = frozenset(
    [name for name, kind in KINDS.items() if kind not in (PLAIN, EXPECT, GRPC_STATUS, CONTENT_LENGTH)]
)
NOT_ANSWERED_WITH_BODY: Final = NOT_ANSWERED | {LENGTH}

#: The protocol that a stream may change to: an extended CONNECT for it is the request that HTTP/1.1 makes with GET and
#: Upgrade (RFC 8441 section 5).
WEBSOCKET: Final = b"websocket"


def request_of(head: Head, ended: bool) -> RequestHead:
    """A client's request. Raises ProtocolError with the status to answer."""
    fields = head.request
    if fields is None or head.ended != ended:
        head.target = split_path(head.path)
        head.weight = weight_of(head.size)
        fields = head.request = read_fields(head, ended)
        head.ended = ended
        head.memory = None
    elif head.memory is None:  # it has come again, and may do so yet
        head.memory = RequestMemory()
    path, query = head.target
    method = b"GET" if head.protocol else head.method
    request = RequestHead(method, head.scheme, head.authority, path, query, fields)
    request.http2 = True
    request.weight = head.weight
    request.memory = head.memory
    return request


def read_fields(head: Head, ended: bool) -> RequestFields:
    """What a request says beside its method and target. Raises ProtocolError."""
    pairs: list[Pair] = []
    headers: dict[bytes, bytes] = {}
    fields = RequestFields([], frozenset(), headers)
    for pair in head.fields:
        name, value = pair
        kind = KINDS.get(name, PLAIN)
        if kind == PLAIN or kind in FORWARDED:
            if kind == EXPECT and value.lower() != b"100-continue":
                raise ProtocolError(f"unknown expectation {value[:60]!r}", 417)
            pairs.append(pair)
        elif kind in DROPPED:
            continue
        elif kind == CONTROL:
            fields.controlled = True
        if name in headers:
            fields.repeated = gather(headers, fields.repeated, name, value)
        else:
            headers[name] = value
    fields.lines = lines_of(pairs)
    fields.names = names_of(pairs)
    fields.pairs = pairs
    fields.never = head.never
    fields.authority = head.authority
    fields.length = 0 if ended else head.length
    if head.protocol:
        fields.upgrade = headers[b"upgrade"] = head.protocol
        headers[b"connection"] = b"upgrade"
        fields.length = 0  # what follows is the other protocol's
    elif head.method == b"CONNECT":
        raise ProtocolError("CONNECT is refused", 403)
    if b"te" in headers:  # which says `trailers`, or its field would be malformed
        fields.trailers = True
        if b"te" in fields.repeated:
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
    left_out = NOT_ANSWERED if bodiless else NOT_ANSWERED_WITH_BODY
    pairs = [pair for pair in head.fields if pair[0] not in left_out]
    names = names_of(pairs)
    grpc_status = NO_STATUS
    if b"grpc-status" in names:
        grpc_status = [read_status(value) for name, value in pairs if name == b"grpc-status"][-1]
    length = 0 if ended or bodiless or head.status < 200 else head.length
    response = ResponseHead(head.status, b"", lines_of(pairs), names, length, grpc_status=grpc_status)
    response.pairs = pairs
    response.never = head.never
    return response


def request_opening(head: RequestHead, path: bytes, authority: bytes) -> Opening:
    """A request's head for an upstream, but for what the proxy says in it."""
    fields = head.fields
    opening = fields.opening
    key = (head.method, head.scheme, authority, path)
    if not isinstance(opening, Opening) or opening.key != key:
        names = fields.names | {b"te"} if fields.trailers else fields.names
        opening = Opening(key, request_pairs(head, path, authority), names, fields.never)
        if len(path) <= KNOWN_LENGTH:  # the fields may be remembered for longer than this request
            fields.opening = opening
    return opening


def request_pairs(head: RequestHead, path: bytes, authority: bytes) -> list[Pair]:
    """What all requests like this one say, pseudo fields first."""
    fields = head.fields
    if fields.upgrade:
        pairs = [(b":method", b"CONNECT"), (b":protocol", fields.upgrade)]
    else:
        pairs = [(b":method", head.method)]
    pairs += ((b":scheme", head.scheme), (b":authority", authority), (b":path", path))
    pairs += came(fields)
    if fields.length > 0 or (fields.length == 0 and head.method in (b"POST", b"PUT", b"PATCH")):
        pairs.append((LENGTH, b"%d" % fields.length))
    if fields.trailers:
        pairs.append((b"te", b"trailers"))
    return pairs


def response_opening(head: ResponseHead, edits: Edits, bodiless: bool) -> Opening:
    """A response's head for a client, but for `edits`. `bodiless` responses (HEAD, 204, 304) have no length of ours."""
    opening = head.opening
    if not isinstance(opening, Opening) or opening.key != bodiless:
        opening = head.opening = Opening(bodiless, response_pairs(head, bodiless), head.names, head.never)
    if bodiless and edits.get(LENGTH):  # what GET would have got
        pairs = [pair for pair in opening.pairs if pair[0] != LENGTH]
        pairs.append((LENGTH, value_of(edits[LENGTH])))
        opening = Opening(bodiless, pairs, head.names - {LENGTH}, head.never)
    return opening


def response_pairs(head: ResponseHead, bodiless: bool) -> list[Pair]:
    """What all responses like this one say."""
    pairs = [STATUSES[head.status], *came(head)]
    if head.length >= 0 and not bodiless and head.grpc_status < 0 and head.status >= 200:
        pairs.append((LENGTH, b"%d" % head.length))
    return pairs


def came(fields: Fields) -> list[Pair]:
    """The fields that came."""
    pairs = fields.pairs
    if pairs is None:
        pairs = fields.pairs = pairs_of(fields.lines)
    return pairs


def pairs_of(lines: list[bytes]) -> list[Pair]:
    """Names in lower case and values of lines that came from a peer."""
    return [(CACHE.get(line) or read_line(line)).pair for line in lines]


def lines_of(pairs: list[Pair]) -> list[bytes]:
    """The other way round."""
    return [name + b": " + value for name, value in pairs]


def names_of(pairs: list[Pair]) -> frozenset[bytes]:
    return frozenset([pair[0] for pair in pairs])
