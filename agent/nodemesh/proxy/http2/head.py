"""What a field section says: RFC 9113 section 8 on pseudo fields, and on fields that HTTP/2 does not have."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ..http.head import RequestFields, RequestMemory, ResponseHead
from ..http.trailers import is_trailer
from .codes import PROTOCOL_ERROR
from .fault import StreamFault
from .field import (
    AUTHORITY,
    CONTENT_LENGTH,
    COOKIE,
    DROPPED,
    HOST,
    LAST_PSEUDO,
    MALFORMED,
    METHOD,
    PATH,
    PLAIN,
    PROTOCOL,
    SCHEME,
    STATUS,
    TE,
    Field,
)

#: The length of a body of which the head says nothing.
UNKNOWN: Final = -1

#: One field for who handles heads: name and value.
Pair = tuple[bytes, bytes]


#: The pseudo fields that a request has, one bit each.
NEEDED: Final = 1 << METHOD | 1 << SCHEME | 1 << PATH


class Head:
    """A request's head (`status` is 0) or a response's. `fields` are without pseudo fields and Host, all of a cookie is
    one of them, and `never` names those that nobody may index. `length` is by content-length, or UNKNOWN. The same one
    serves all messages with the same head."""

    __slots__ = (
        "method", "scheme", "authority", "path", "protocol", "status", "fields", "length", "never", "size", "ended",
        "request", "target", "weight", "response", "memory",
    )  # fmt: skip

    def __init__(self) -> None:
        self.method = b""
        self.scheme = b""
        self.authority = b""
        self.path = b""
        self.protocol = b""  # of an extended CONNECT (RFC 8441)
        self.status = 0
        self.fields: list[Pair] = []
        self.length = UNKNOWN
        self.never: tuple[bytes, ...] = ()
        self.size = 0  # bytes of the section it came in, decoded
        #: What `heads` found it to say, if the stream ended with it, or did not.
        self.ended = False
        self.request: RequestFields | None = None
        self.memory: RequestMemory | None = None
        self.target: tuple[bytes, bytes] = (b"", b"")  # path and query
        self.weight = 1
        self.response: ResponseHead | None = None


def read_request(fields: list[Field], connect: bool) -> Head:
    """A request's head; `connect`: we serve extended CONNECT. Raises StreamFault."""
    head = Head()
    seen = read_fields(fields, head)
    if not head.authority:
        raise violation("no :authority")
    if seen & NEEDED != NEEDED or seen & 1 << PROTOCOL:
        read_connect(head, seen, connect)
    elif head.method == b"CONNECT":
        raise violation(":scheme and :path in CONNECT without :protocol")
    if head.path == b"*" and head.method != b"OPTIONS":
        raise violation(":path is *")
    if seen & 1 << STATUS:
        raise violation(":status in a request")
    return head


def read_connect(head: Head, seen: int, connect: bool) -> None:
    """What only a CONNECT may have, or not have (RFC 9113 section 8.5, RFC 8441 section 4). Raises StreamFault."""
    missing = NEEDED & ~seen
    if seen & 1 << PROTOCOL:
        if not connect or head.method != b"CONNECT":
            raise violation(":protocol where it is not served")
    elif head.method == b"CONNECT" and missing == NEEDED & ~(1 << METHOD):
        return
    if missing:
        raise violation("a request has one :method, :scheme and :path, and CONNECT none of the last two")


def read_response(fields: list[Field]) -> Head:
    """A response's head. Raises StreamFault."""
    head = Head()
    seen = read_fields(fields, head)
    if seen & ~(1 << STATUS | 1 << HOST) or not head.status:
        raise violation("a response has :status, and no other pseudo field")
    if head.status == 101:  # RFC 9113 section 8.6
        raise violation(":status 101")
    return head


def read_partly(fields: list[Field]) -> Head:
    """What is known of a request that was too large: its pseudo fields, for the log."""
    head = Head()
    for field in fields:
        if 0 < field.kind <= LAST_PSEUDO:
            take_pseudo(head, field.kind, field.value)
    return head


def read_trailers(fields: list[Field]) -> list[bytes]:
    """A trailer section's lines: no pseudo fields, and none that frames or routes a message. Raises StreamFault."""
    trailers: list[bytes] = []
    for field in fields:
        kind = field.kind
        if kind == MALFORMED or (PLAIN < kind <= LAST_PSEUDO):
            raise invalid(f"{shown(field.name)} in trailers")
        if is_trailer(field.name):
            trailers.append(field.name + b": " + field.value)
    return trailers


def read_fields(fields: list[Field], head: Head) -> int:
    """Take all fields; returns the kinds that came, one bit each. Raises StreamFault."""
    pairs = head.fields
    seen = 0
    crumbs: list[bytes] = []
    regular = False
    place = 0  # of the first crumb
    host = b""
    for field in fields:
        kind = field.kind
        if kind == PLAIN:
            regular = True
            pairs.append(field.pair)
        elif kind <= LAST_PSEUDO:
            if regular or seen & 1 << kind:
                raise violation(f"{shown(field.name)} twice, or after other fields")
            seen |= 1 << kind
            take_pseudo(head, kind, field.value)
        else:
            regular = True
            if kind == COOKIE:
                if not crumbs:
                    place = len(pairs)
                    pairs.append(field.pair)
                crumbs.append(field.value)
            elif kind == HOST:
                if seen & 1 << HOST:
                    raise invalid("host twice")
                seen |= 1 << HOST
                host = field.value
            elif kind == CONTENT_LENGTH:
                if head.length != UNKNOWN:
                    raise invalid("content-length twice")
                head.length = int(field.value)
                pairs.append(field.pair)
            elif kind == TE:
                pairs.append(field.pair)
            elif kind != DROPPED:
                raise invalid(f"{shown(field.name)}: {shown(field.value)}")
        if field.never and field.name not in head.never:
            head.never = (*head.never, field.name)
    if len(crumbs) > 1:
        pairs[place] = (b"cookie", b"; ".join(crumbs))  # RFC 9113 section 8.2.3
    if host and not seen & 1 << AUTHORITY:
        head.authority = host  # beside :authority it says nothing (RFC 9113 section 8.3.1)
    return seen


def take_pseudo(head: Head, kind: int, value: bytes) -> None:
    if kind == METHOD:
        head.method = value
    elif kind == SCHEME:
        head.scheme = value
    elif kind == AUTHORITY:
        head.authority = value
    elif kind == PATH:
        head.path = value
    elif kind == PROTOCOL:
        head.protocol = value
    else:
        head.status = int(value)


def shown(value: bytes) -> str:
    """Part of a peer's bytes, for a message."""
    return repr(value[:32])[1:]


def invalid(text: str) -> StreamFault:
    return StreamFault(PROTOCOL_ERROR, Reason.HTTP2_INVALID_FIELD, text)


def violation(text: str) -> StreamFault:
    return StreamFault(PROTOCOL_ERROR, Reason.HTTP2_MESSAGING_VIOLATION, text)
