"""The heads of messages as the proxy handles them, whichever codec read them."""

from __future__ import annotations

from typing import Final

from ..routing.request import Request

#: `RequestHead.length` and `ResponseHead.length` of a body whose end is told by the codec's own framing.
UNKNOWN: Final = -1


class RequestHead:
    """A request without its body. `lines` are the end-to-end field lines as they came (`name: value`), without host,
    framing and hop-by-hop fields: what is not changed is forwarded byte for byte."""

    __slots__ = ("request", "lines", "length", "close", "http10", "upgrade", "request_id", "controlled", "trailers")

    def __init__(
        self,
        request: Request,
        lines: list[bytes],
        length: int = 0,
        close: bool = False,
        http10: bool = False,
        upgrade: bytes = b"",
        request_id: bytes = b"",
        controlled: bool = False,
        trailers: bool = False,
    ) -> None:
        self.request = request
        self.lines = lines
        self.length = length  # of the body, in bytes, or UNKNOWN
        self.close = close  # the connection ends with this request
        self.http10 = http10
        self.upgrade = upgrade  # the protocol that the client wants to change to
        self.request_id = request_id
        self.controlled = controlled  # has x-envoy-* fields that steer retries and timeouts
        self.trailers = trailers  # `te: trailers`

    def again(self, request: Request) -> RequestHead:
        """Another request with the same fields."""
        return RequestHead(
            request,
            self.lines.copy(),
            self.length,
            self.close,
            self.http10,
            self.upgrade,
            self.request_id,
            self.controlled,
            self.trailers,
        )


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

    def __init__(
        self,
        status: int,
        phrase: bytes,
        lines: list[bytes],
        length: int = 0,
        close: bool = False,
        until_close: bool = False,
        upgrade: bytes = b"",
        date: bytes = b"",
        grpc_status: int = -1,
        limited: bool = False,
    ) -> None:
        self.status = status
        self.phrase = phrase
        self.lines = lines
        self.length = length
        self.close = close
        self.until_close = until_close  # the body has no other end
        self.upgrade = upgrade
        self.date = date  # the whole field line
        self.grpc_status = grpc_status
        self.limited = limited  # x-envoy-ratelimited: by a rate limit of the upstream's own

    def again(self) -> ResponseHead:
        """Another response that says the same."""
        return ResponseHead(
            self.status,
            self.phrase,
            self.lines.copy(),
            self.length,
            self.close,
            self.until_close,
            self.upgrade,
            self.date,
            self.grpc_status,
            self.limited,
        )


def is_grpc(request: Request) -> bool:
    """Whether the client speaks gRPC, and expects gRPC's replies."""
    content_type = request.headers.get(b"content-type", b"")
    return content_type.startswith(b"application/grpc") and content_type[16:17] in (b"", b"+", b";")
