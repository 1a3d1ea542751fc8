"""The heads of messages as the proxy handles them, whichever codec read them."""

from __future__ import annotations

from typing import Final

from ..routing.request import Request

#: `RequestHead.length` and `ResponseHead.length` of a body whose end is told by the codec's own framing.
UNKNOWN: Final = -1


class RequestHead:
    """A request without its body. `lines` are the end-to-end field lines as they came (`name: value`), without host,
    framing and hop-by-hop fields: what is not changed is forwarded byte for byte."""

    __slots__ = (
        "request", "lines", "length", "close", "http10", "expect", "upgrade", "request_id", "controlled", "trailers",
    )  # fmt: skip

    def __init__(self, request: Request, lines: list[bytes]) -> None:
        self.request = request
        self.lines = lines
        self.length = 0  # of the body, in bytes, or UNKNOWN
        self.close = False  # the connection ends with this request
        self.http10 = False
        self.expect = False  # the client waits for a 100
        self.upgrade = b""  # the protocol that the client wants to change to
        self.request_id = b""
        self.controlled = False  # has x-envoy-* fields that steer retries and timeouts
        self.trailers = False  # `te: trailers`


class ResponseHead:
    """A response without its body; `lines` as in RequestHead, also without date and server."""

    __slots__ = (
        "status",
        "phrase",
        "lines",
        "length",
        "close",
        "until_close",
        "upgrade",
        "date",
        "grpc_status",
        "limited",
    )

    def __init__(self, status: int, phrase: bytes, lines: list[bytes]) -> None:
        self.status = status
        self.phrase = phrase
        self.lines = lines
        self.length = 0
        self.close = False
        self.until_close = False  # the body has no other end
        self.upgrade = b""
        self.date = b""  # the whole field line
        self.grpc_status = -1
        self.limited = False  # x-envoy-ratelimited: by a rate limit of the upstream's own


def is_grpc(request: Request) -> bool:
    """Whether the client speaks gRPC, and expects gRPC's replies."""
    content_type = request.headers.get(b"content-type", b"")
    return content_type.startswith(b"application/grpc") and content_type[16:17] in (b"", b"+", b";")
