"""Which fields may come after a body: none that says how a message is framed, routed, authenticated or read."""

from __future__ import annotations

from typing import Final

from ..grpc.status import HTTP_STATUS, NO_STATUS, read_status
from .lines import name_of, value_of

#: RFC 9110 section 6.5.1 leaves out fields for framing, routing, request modifiers, authentication, response control
#: and how content is processed; by the RFC's sections 7 to 14, RFC 9111, and RFC 6265 for cookies.
FORBIDDEN: Final = frozenset(
    {
        # framing, and what is for one hop
        b"transfer-encoding", b"content-length", b"trailer", b"connection", b"keep-alive", b"proxy-connection", b"te",
        b"upgrade", b"http2-settings",
        # routing
        b"host", b"via", b"max-forwards", b"forwarded", b"x-request-id", b"x-real-ip",
        # request modifiers: controls and conditions
        b"expect", b"cache-control", b"pragma", b"range", b"if-match", b"if-none-match", b"if-modified-since",
        b"if-unmodified-since", b"if-range",
        # authentication
        b"authorization", b"proxy-authorization", b"www-authenticate", b"proxy-authenticate", b"authentication-info",
        b"proxy-authentication-info", b"cookie", b"set-cookie",
        # response control
        b"age", b"expires", b"date", b"location", b"retry-after", b"vary", b"warning",
        # how content is processed
        b"content-encoding", b"content-type", b"content-range",
    }
)  # fmt: skip

#: What proxies tell each other of a request, and by what names they are steered.
FORBIDDEN_PREFIXES: Final = (b"x-forwarded-", b"x-envoy-", b"access-control-", b":")


#: The line of each status that gRPC has, as it is mostly written.
STATUS_LINES: Final[dict[bytes, int]] = {b"grpc-status: %d" % status: status for status in range(len(HTTP_STATUS))}


def is_trailer(name: bytes) -> bool:
    """Whether a field with this lower-case name is passed on behind a body. Underscores count as dashes: behind CGI
    (RFC 3875) nobody can tell them apart."""
    name = name.replace(b"_", b"-")
    return name not in FORBIDDEN and not name.startswith(FORBIDDEN_PREFIXES)


def grpc_status_of(trailers: list[bytes]) -> int:
    """What gRPC's status is in these lines; NO_STATUS where there is none."""
    for line in trailers:
        status = STATUS_LINES.get(line)
        if status is not None:
            return status
        if name_of(line) == b"grpc-status":
            return read_status(value_of(line))
    return NO_STATUS
