"""Answers that the proxy gives itself: status, body and headers as Envoy has them, and gRPC's form for gRPC clients."""

from __future__ import annotations

from typing import Final, NamedTuple

from ...reasons import Reason
from ..grpc.status import percent_encoded, status_of
from .head import Edits, RequestHead, ResponseHead, is_grpc

RESET: Final = "upstream connect error or disconnect/reset before headers. reset reason: "
RESET_AGAIN: Final = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "

# Fields that the proxy writes.
DATE: Final = b"date"
SERVER: Final = b"server"

#: A client that has the second gets 204 in place of a 504 (Envoy's x-envoy-upstream-rq-timeout-alt-response).
TIMEOUTS: Final = (Reason.RESPONSE_TIMEOUT, Reason.PER_TRY_TIMEOUT)
ALTERNATIVE: Final = b"x-envoy-upstream-rq-timeout-alt-response"


class Reply(NamedTuple):
    """What to answer. `body` of a reset (`reset` is true) is the reason after Envoy's fixed words."""

    status: int
    body: str = ""
    reset: bool = False
    overloaded: bool = False


#: Too much was asked for: of an upstream, or of what a pod may use.
OVERLOADED: Final = Reply(503, "overflow", reset=True, overloaded=True)


REPLIES: Final[dict[Reason, Reply]] = {
    Reason.ROUTE_NOT_FOUND: Reply(404),
    Reason.HOST_NOT_FOUND: Reply(404),
    Reason.CLUSTER_NOT_FOUND: Reply(503),
    Reason.BLACKHOLE: Reply(502),
    Reason.INVALID_BACKEND: Reply(500),
    Reason.MISDIRECTED: Reply(421),
    Reason.NO_HEALTHY_UPSTREAM: Reply(503, "no healthy upstream"),
    Reason.UPSTREAM_CONNECTION_FAILURE: Reply(503, "remote connection failure", reset=True),
    Reason.LOCAL_CONNECTION_FAILURE: Reply(503, "local connection failure", reset=True),
    Reason.UPSTREAM_CONNECTION_TIMEOUT: Reply(503, "connection timeout", reset=True),
    Reason.UPSTREAM_CONNECTION_TERMINATION: Reply(503, "connection termination", reset=True),
    Reason.UPSTREAM_REMOTE_RESET: Reply(503, "remote reset", reset=True),
    Reason.UPSTREAM_REFUSED_STREAM: Reply(503, "remote refused stream reset", reset=True),
    Reason.UPSTREAM_OVERFLOW: OVERLOADED,
    Reason.UPSTREAM_RETRY_OVERFLOW: Reply(503, "the budget of retries is spent"),
    Reason.UPSTREAM_PROTOCOL_ERROR: Reply(502, "protocol error", reset=True),
    Reason.RESPONSE_TIMEOUT: Reply(504, "upstream request timeout"),
    Reason.PER_TRY_TIMEOUT: Reply(504, "upstream request timeout"),
    Reason.EXTERNAL_AUTH_FAILED: Reply(403),
    Reason.FAULT_ABORT: Reply(503, "fault filter abort"),
    Reason.RETRY_BUFFER_LIMIT: Reply(507, "exceeded request buffer limit while retrying upstream"),
    Reason.UPGRADE_REFUSED: Reply(403),
    Reason.HTTP10_REFUSED: Reply(426),
    Reason.MISSING_HOST: Reply(400),
    Reason.DOWNSTREAM_PROTOCOL_ERROR: Reply(400),
    Reason.REQUEST_HEADERS_TOO_LARGE: Reply(431),
    Reason.HTTP2_HEAD_TOO_LARGE: Reply(431),
    Reason.HTTP2_TOO_MANY_FIELDS: Reply(431),
    Reason.LIMIT_PER_POD: OVERLOADED,
    Reason.ORIGINAL_DESTINATION_UNKNOWN: Reply(503),
    Reason.RULES_TOO_COSTLY: Reply(503, "the regular expressions of this host's rules are too costly for this request"),
}


def body_of(reason: Reason, retried: bool, transport_failure: str) -> bytes:
    """The body for a reason; `transport_failure` is why a connection was not made."""
    reply = REPLIES[reason]
    if not reply.reset:
        return reply.body.encode()
    text = (RESET_AGAIN if retried else RESET) + reply.body
    if transport_failure and reason in (Reason.UPSTREAM_CONNECTION_FAILURE, Reason.LOCAL_CONNECTION_FAILURE):
        text += f", transport failure reason: {transport_failure}"
    return text.encode()


def failure(reason: Reason, request: RequestHead, retried: bool, detail: str, edits: Edits) -> tuple[int, bytes]:
    """Status and body for a request that could not be served; what else its client gets to know goes to `edits`."""
    reply = REPLIES[reason]
    if reply.overloaded:
        edits[b"x-envoy-overloaded"] = b"x-envoy-overloaded: true"
    if reason in TIMEOUTS and request.controlled and ALTERNATIVE in request.headers:
        return 204, b""
    return reply.status, body_of(reason, retried, detail)


def reply_to(
    request: RequestHead, status: int, body: bytes, grpc_status: int, edits: Edits
) -> tuple[ResponseHead, bytes]:
    """Head and body of an answer, in the form that the request's client reads."""
    if is_grpc(request):
        return grpc_reply(status, body, grpc_status, edits), b""
    head = http_reply(status, body, edits)
    if request.method == b"HEAD":
        edits[b"content-length"] = b"content-length: %d" % len(body)
        return head, b""
    return head, body


def http_reply(status: int, body: bytes, edits: Edits) -> ResponseHead:
    """A plain reply's head, whose fields are all in `edits`; text/plain unless they name another type."""
    if body and b"content-type" not in edits:
        edits[b"content-type"] = b"content-type: text/plain"
    return ResponseHead(status, b"", [], length=len(body))


def grpc_reply(status: int, body: bytes, grpc_status: int, edits: Edits) -> ResponseHead:
    """The same for a gRPC client: 200, with gRPC's status (-1: the one that stands for the HTTP status) and the body as
    its message, all in the head (the gRPC protocol's Trailers-Only)."""
    if grpc_status < 0:
        grpc_status = status_of(status)
    edits[b"content-type"] = b"content-type: application/grpc"
    edits[b"grpc-status"] = b"grpc-status: %d" % grpc_status
    if body:
        edits[b"grpc-message"] = b"grpc-message: " + percent_encoded(body)
    head = ResponseHead(200, b"", [])
    head.grpc_status = grpc_status
    return head
