"""The x-envoy-* fields by which a client steers timeouts and retries of its own requests.

Envoy heeds them from internal clients; a mesh's pods are such."""

from __future__ import annotations

import re
from typing import Final

from .call import NO_RETRY, Call
from .retry import asked_by_client

#: grpc-timeout's units in seconds (the gRPC over HTTP/2 protocol, "Timeout").
GRPC_UNITS: Final[dict[bytes, float]] = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

GRPC_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")


def apply_grpc_timeout(call: Call, value: bytes) -> None:
    """A gRPC client's own deadline; the route's timeout is its ceiling."""
    match = GRPC_TIMEOUT.fullmatch(value)
    if match is None:
        return
    seconds = int(match[1]) * GRPC_UNITS[match[2]]
    call.timeout = min(seconds, call.timeout) if call.timeout else max(seconds, 0.001)


def apply_controls(call: Call, headers: dict[bytes, bytes]) -> None:
    """Change a call's timeout and retry policy as its client asks."""
    wanted = headers.get(b"x-envoy-upstream-rq-timeout-ms", b"")
    if wanted.isdigit():
        call.timeout = int(wanted[:12]) / 1000.0
    policy = call.policy if call.policy is not NO_RETRY else None
    call.policy = asked_by_client(policy, headers) or NO_RETRY
