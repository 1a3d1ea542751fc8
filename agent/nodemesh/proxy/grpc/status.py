"""gRPC's status: its number, what it is to HTTP and back, and its message (gRPC over HTTP/2, "Responses")."""

from __future__ import annotations

import re
from typing import Final

#: HTTP status -> gRPC status (gRPC's http-grpc-status-mapping, Envoy's Grpc::Utility::httpToGrpcStatus).
GRPC_STATUS: Final[dict[int, int]] = {
    400: 13,  # INTERNAL
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 12,  # UNIMPLEMENTED
    429: 14,  # UNAVAILABLE
    431: 13,
    502: 14,
    503: 14,
    504: 14,
}
GRPC_UNKNOWN: Final = 2

#: gRPC status -> HTTP status (Envoy's Grpc::Utility::grpcToHttpStatus): what a gRPC answer means to outlier detection.
HTTP_STATUS: Final = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)

#: No status was said, or none that is one.
NO_STATUS: Final = -1

#: A number that fits into what we keep; gRPC has none above 16, applications may.
STATUS_RULE: Final = re.compile(rb"[0-9]{1,9}")

PLAIN: Final = re.compile(rb"[\x20-\x24\x26-\x7e]*")


def read_status(value: bytes) -> int:
    """The number in a `grpc-status` field, or NO_STATUS."""
    return int(value) if STATUS_RULE.fullmatch(value) is not None else NO_STATUS


def status_of(http_status: int) -> int:
    """The gRPC status that stands for an HTTP one."""
    return GRPC_STATUS.get(http_status, GRPC_UNKNOWN)


def http_status_of(grpc_status: int, otherwise: int) -> int:
    """The HTTP status that a gRPC one stands for; `otherwise` where there is none, or no known one."""
    return HTTP_STATUS[grpc_status] if 0 <= grpc_status < len(HTTP_STATUS) else otherwise


def percent_encoded(message: bytes) -> bytes:
    """grpc-message's encoding: visible ASCII and spaces as they are, all else, and the percent sign, as %XX."""
    if PLAIN.fullmatch(message) is not None:
        return message
    return b"".join([bytes((byte,)) if 32 <= byte < 127 and byte != 37 else b"%%%02X" % byte for byte in message])
