"""The x-envoy-* fields by which a client steers timeouts and retries of its own requests.

Envoy heeds them from internal clients; a mesh's pods are such."""

from __future__ import annotations

from ..grpc.timeout import read_timeout
from .call import NO_RETRY, Call
from .retry import asked_by_client


def apply_grpc_timeout(call: Call, value: bytes) -> None:
    """A gRPC client's own deadline; the route's timeout is its ceiling."""
    seconds = read_timeout(value)
    if seconds >= 0.0:
        call.timeout = min(seconds, call.timeout) if call.timeout else max(seconds, 0.001)


def apply_controls(call: Call, headers: dict[bytes, bytes]) -> None:
    """Change a call's timeout and retry policy as its client asks."""
    wanted = headers.get(b"x-envoy-upstream-rq-timeout-ms", b"")
    if wanted.isdigit():
        call.timeout = int(wanted[:12]) / 1000.0
    policy = call.policy if call.policy is not NO_RETRY else None
    call.policy = asked_by_client(policy, headers) or NO_RETRY
