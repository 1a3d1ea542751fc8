"""The heads of messages as the proxy handles them, whichever codec read them.

What came is never changed, so that messages that say the same share it. What the proxy has to say stands beside it, in
`Edits`, until the two are written together."""

from __future__ import annotations

from typing import Final

from ...routing.decision import Decision
from ...routing.fields import NO_REPEATED, Repeated
from ...routing.match import VirtualHost
from ...routing.request import Request
from .lines import FieldLine

#: The length of a body whose end is told by the codec's own framing.
UNKNOWN: Final = -1

#: Whole field lines by their lower-case names, several under one name with CRLF between them: what stands there in
#: place of the lines that came. Nothing: they are removed.
Edits = dict[bytes, bytes]

NO_EDITS: Final[Edits] = {}

#: A request's head stays as long as the request does: of so many bytes on, it counts as several requests of its pod.
#: By HPACK's tables a pod has us keep 60 KiB for 30 bytes.
LIGHT: Final = 8 * 1024


class Fields:
    """End-to-end field lines as they came (`name: value`), without framing and hop-by-hop fields, and the lower-case
    names of all of them: what is not edited is forwarded byte for byte. For HTTP/2, once it has asked: `pairs` are the
    lines taken apart, `opening` is what its codec makes of the head, and `never` names the fields that the sender wants
    to be in nobody's table (RFC 7541 section 6.2.3)."""

    __slots__ = ("lines", "names", "pairs", "opening", "never")

    def __init__(self, lines: list[bytes], names: frozenset[bytes]) -> None:
        self.lines = lines
        self.names = names
        self.pairs: list[tuple[bytes, bytes]] | None = None
        self.opening: object = None
        self.never: tuple[bytes, ...] = ()


NO_FIELDS: Final = Fields([], frozenset())


class RequestMemory:
    """What was found out about requests that are the same to their last byte: how `rules` decided about them, and where
    they go by that, if all of them do."""

    __slots__ = ("rules", "decision", "placement")

    def __init__(self) -> None:
        self.rules: VirtualHost | None = None
        self.decision: Decision | None = None
        self.placement: object = None


class RequestFields(Fields):
    """What a request says beside its method and target; `lines` are without Host. `headers` are the values by their
    names, those of one name joined by `,`, with what steers the proxy and is not forwarded, and what rules see of the
    fields for one hop; `repeated` are the values of each name that came several times."""

    __slots__ = (
        "headers", "repeated", "authority", "length", "close", "http10", "upgrade", "controlled", "trailers",
    )  # fmt: skip

    def __init__(self, lines: list[bytes], names: frozenset[bytes], headers: dict[bytes, bytes]) -> None:
        self.lines = lines
        self.names = names
        self.pairs = None
        self.opening = None
        self.never = ()
        self.headers = headers
        self.repeated: Repeated = NO_REPEATED
        self.authority = b""
        self.length = 0  # of the body, in bytes, or UNKNOWN
        self.close = False  # the connection ends with this request
        self.http10 = False
        self.upgrade = b""  # the protocol that the client wants to change to
        self.controlled = False  # has x-envoy-* fields that steer retries and timeouts
        self.trailers = False  # `te: trailers`

    def with_values(self, lines: list[bytes], changed: list[FieldLine]) -> RequestFields:
        """The same fields in these lines, of which some have other values."""
        headers = self.headers.copy()
        for line in changed:
            headers[line.name] = line.value
        fields = RequestFields(lines, self.names, headers)
        fields.repeated = self.repeated
        fields.authority = self.authority
        fields.length = self.length
        fields.close = self.close
        fields.http10 = self.http10
        fields.upgrade = self.upgrade
        fields.controlled = self.controlled
        fields.trailers = self.trailers
        return fields


class RequestHead(Request):
    """A request without its body. `memory` is shared by those on one connection that are the same."""

    __slots__ = ("fields", "edits", "http2", "controlled", "client", "weight", "memory")

    def __init__(
        self, method: bytes, scheme: bytes, authority: bytes, path: bytes, query: bytes, fields: RequestFields
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.query = query
        self.headers = fields.headers
        self.repeated = fields.repeated
        self.fields = fields
        self.edits: Edits = {}  # for the upstream
        self.http2 = False  # it came over HTTP/2
        self.controlled = fields.controlled
        self.weight = 1  # as how many requests it counts
        self.memory: RequestMemory | None = None
        self.client = ""  # `address:port` that trusted proxies name; empty: the connection's


def weight_of(size: int) -> int:
    """As how many requests one counts whose head has so many bytes."""
    return 1 + size // LIGHT


class ResponseHead(Fields):
    """A response without its body; `lines` are without Server."""

    __slots__ = ("status", "phrase", "length", "close", "until_close", "upgrade", "grpc_status")

    def __init__(
        self,
        status: int,
        phrase: bytes,
        lines: list[bytes],
        names: frozenset[bytes] = NO_FIELDS.names,
        length: int = 0,
        close: bool = False,
        until_close: bool = False,
        upgrade: bytes = b"",
        grpc_status: int = -1,
    ) -> None:
        self.status = status
        self.phrase = phrase
        self.lines = lines
        self.names = names
        self.pairs = None
        self.opening = None
        self.never = ()
        self.length = length  # of the body, in bytes, or UNKNOWN
        self.close = close  # the connection ends with this response
        self.until_close = until_close  # the body has no other end
        self.upgrade = upgrade
        self.grpc_status = grpc_status

    def with_fields(self, lines: list[bytes], names: frozenset[bytes]) -> ResponseHead:
        """The same response with these fields."""
        return ResponseHead(
            self.status,
            self.phrase,
            lines,
            names,
            self.length,
            self.close,
            self.until_close,
            self.upgrade,
            self.grpc_status,
        )


def is_grpc(request: Request) -> bool:
    """Whether the client speaks gRPC, and expects gRPC's replies."""
    content_type = request.headers.get(b"content-type", b"")
    if content_type == b"application/grpc":
        return True
    return content_type.startswith(b"application/grpc") and content_type[16:17] in (b"", b"+", b";")
