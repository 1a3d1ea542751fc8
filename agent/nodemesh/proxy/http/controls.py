"""The x-envoy-* fields by which a client steers timeouts and retries of its own requests.

Envoy heeds them from internal clients; a mesh's pods are such."""

from __future__ import annotations

from ...routing.decision import Retry
from ..grpc.timeout import read_timeout
from .retry import NO_RETRY, asked_by_client


def grpc_limit(timeout: float, value: bytes) -> float:
    """A gRPC client's own deadline; the route's timeout is its ceiling."""
    seconds = read_timeout(value)
    if seconds < 0.0:
        return timeout
    return min(seconds, timeout) if timeout else max(seconds, 0.001)


def time_limit(timeout: float, headers: dict[bytes, bytes]) -> float:
    """The timeout that a client asks for, else the route's."""
    wanted = headers.get(b"x-envoy-upstream-rq-timeout-ms", b"")
    return int(wanted[:12]) / 1000.0 if wanted.isdigit() else timeout


def retry_for(retry: Retry, headers: dict[bytes, bytes]) -> Retry:
    """The route's policy with what its client asks for."""
    return asked_by_client(retry if retry is not NO_RETRY else None, headers) or NO_RETRY
