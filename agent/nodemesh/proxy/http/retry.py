"""When a request is tried again, and when not: Envoy's retry conditions, without state."""

from __future__ import annotations

from random import Random
from typing import Final

from ...balance.outlier import Outcome
from ...reasons import Reason
from ...routing.decision import Retry
from .head import ResponseHead

#: Conditions that a failure without a response meets, by what failed. A retry needs one of them in the policy.
RESET_CONDITIONS: Final[dict[Reason, frozenset[str]]] = {
    Reason.UPSTREAM_CONNECTION_FAILURE: frozenset(
        {"connect-failure", "5xx", "gateway-error", "reset", "reset-before-request"}
    ),
    Reason.LOCAL_CONNECTION_FAILURE: frozenset(
        {"connect-failure", "5xx", "gateway-error", "reset", "reset-before-request"}
    ),
    Reason.UPSTREAM_CONNECTION_TIMEOUT: frozenset(
        {"connect-failure", "5xx", "gateway-error", "reset", "reset-before-request"}
    ),
    Reason.UPSTREAM_CONNECTION_TERMINATION: frozenset({"5xx", "gateway-error", "reset"}),
    Reason.UPSTREAM_REMOTE_RESET: frozenset({"5xx", "gateway-error", "reset"}),
    Reason.UPSTREAM_REFUSED_STREAM: frozenset(
        {"refused-stream", "5xx", "gateway-error", "reset", "reset-before-request"}
    ),
    Reason.UPSTREAM_PROTOCOL_ERROR: frozenset({"5xx", "gateway-error", "reset"}),
    Reason.PER_TRY_TIMEOUT: frozenset({"5xx", "gateway-error", "reset"}),
}

#: What a failure tells outlier detection. Of what is short here the endpoint knows nothing.
OUTCOMES: Final[dict[Reason, Outcome]] = {
    Reason.UPSTREAM_CONNECTION_FAILURE: Outcome.CONNECT_FAILED,
    Reason.UPSTREAM_CONNECTION_TIMEOUT: Outcome.TIMEOUT,
    Reason.UPSTREAM_CONNECTION_TERMINATION: Outcome.REQUEST_FAILED,
    Reason.UPSTREAM_REMOTE_RESET: Outcome.REQUEST_FAILED,
    Reason.UPSTREAM_PROTOCOL_ERROR: Outcome.REQUEST_FAILED,
    Reason.PER_TRY_TIMEOUT: Outcome.TIMEOUT,
    Reason.RESPONSE_TIMEOUT: Outcome.TIMEOUT,
}

GATEWAY_ERRORS: Final = frozenset({502, 503, 504})

#: gRPC statuses by the names that retryOn uses; only statuses in the head count.
GRPC_CONDITIONS: Final[dict[int, str]] = {
    1: "cancelled",
    4: "deadline-exceeded",
    8: "resource-exhausted",
    13: "internal",
    14: "unavailable",
}

GRPC_NAMES: Final = frozenset(GRPC_CONDITIONS.values())

#: An upstream's answer by a rate limit of its own.
RATE_LIMITED: Final = b"x-envoy-ratelimited"

#: A client gets no more retries by x-envoy-max-retries, unless the rule has more: each is a request at an upstream that
#: is in trouble already. Envoy has no limit.
MOST_ASKED: Final = 10

#: Members of a list in a client's field that count; the rest is not looked at.
MAX_MEMBERS: Final = 100

#: Methods that may be sent again without being asked to (RFC 9110 section 9.2.2).
IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})

#: One try, and that is it.
NO_RETRY: Final = Retry(attempts=0)


def wants_response(policy: Retry, head: ResponseHead) -> bool:
    """Whether a response is to be replaced by another try, since its status or a field of its head is one that the
    policy names. One that says `x-envoy-ratelimited` is where the policy has `envoy-ratelimited`, and never else."""
    status = head.status
    conditions = policy.on
    if RATE_LIMITED in head.names:
        return "envoy-ratelimited" in conditions
    if status >= 500:
        if "5xx" in conditions or (status in GATEWAY_ERRORS and "gateway-error" in conditions):
            return True
    elif status == 409 and "retriable-4xx" in conditions:
        return True
    if status in policy.status_codes and "retriable-status-codes" in conditions:
        return True
    if head.grpc_status > 0 and GRPC_CONDITIONS.get(head.grpc_status, "") in conditions:
        return True
    return (
        bool(policy.header_names)
        and "retriable-headers" in conditions
        and not head.names.isdisjoint(policy.header_names)
    )


def wants_failure(policy: Retry, reason: Reason) -> bool:
    """Whether a failure before any response is worth another try."""
    return not RESET_CONDITIONS.get(reason, frozenset()).isdisjoint(policy.on)


def backoff(policy: Retry, retry: int, rng: Random) -> float:
    """Seconds to wait before the nth retry (1, 2, …): fully jittered and exponential, as Envoy's
    JitteredExponentialBackOffStrategy."""
    ceiling: float = min(policy.backoff_base * 2.0**retry - policy.backoff_base, policy.backoff_max)
    return max(rng.random() * ceiling, policy.backoff_min)


def asked_by_client(policy: Retry | None, headers: dict[bytes, bytes]) -> Retry | None:
    """The policy with what the client's x-envoy-* fields say."""
    conditions = set(policy.on) if policy is not None else set()
    codes = set(policy.status_codes) if policy is not None else set()
    asked = False
    if b"x-envoy-retry-on" in headers:
        conditions |= tokens_of(headers[b"x-envoy-retry-on"]) - GRPC_NAMES
        asked = True
    if b"x-envoy-retry-grpc-on" in headers:
        conditions |= tokens_of(headers[b"x-envoy-retry-grpc-on"]) & GRPC_NAMES
        asked = True
    listed = headers.get(b"x-envoy-retriable-status-codes", b"")
    for code in listed.split(b",", MAX_MEMBERS)[:MAX_MEMBERS]:
        if code.strip().isdigit():
            codes.add(int(code.strip()[:9]))
    attempts = policy.attempts if policy is not None else 1
    most = headers.get(b"x-envoy-max-retries", b"")
    if most.isdigit():
        attempts = min(int(most[:9]), max(attempts, MOST_ASKED))
    per_try = policy.per_try_timeout if policy is not None else 0.0
    wanted = headers.get(b"x-envoy-upstream-rq-per-try-timeout-ms", b"")
    if wanted.isdigit():
        per_try = int(wanted[:12]) / 1000.0
    if policy is None and not asked and not per_try:
        return None
    base = policy if policy is not None else Retry(attempts=0)
    return Retry(
        attempts=attempts if asked or policy is not None else 0,
        per_try_timeout=per_try,
        on=frozenset(conditions),
        status_codes=frozenset(codes),
        header_names=frozenset(
            name.strip().lower()
            for name in headers.get(b"x-envoy-retriable-header-names", b"").split(b",", MAX_MEMBERS)[:MAX_MEMBERS]
            if name
        ),
        backoff_base=base.backoff_base,
        backoff_max=base.backoff_max,
        ignore_previous_hosts=base.ignore_previous_hosts,
        remote_localities=base.remote_localities,
    )


def tokens_of(value: bytes) -> set[str]:
    """The members of a comma-separated list."""
    return {token.strip() for token in value.decode("latin-1").split(",", MAX_MEMBERS)[:MAX_MEMBERS]}
