"""Rules of an HTTP route's retries, faults and CORS policy."""

from __future__ import annotations

import http

from ..meta import Path
from ..problems import Findings
from ..virtualservice import CorsPolicy, HTTPFaultInjection, HTTPRetry
from .common import check_duration, check_not_negative, check_percent, check_range, is_token
from .strings import check_match

RETRY_TOKENS = frozenset(
    {
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    }
)
GRPC_STATUSES = frozenset(
    {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    }
)
CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*")


def check_retries(retries: HTTPRetry, path: Path, findings: Findings) -> None:
    attempts = retries.attempts or 0
    check_not_negative(retries.attempts, (*path, "attempts"), findings)
    if attempts == 0:
        for name, value in (
            ("perTryTimeout", retries.per_try_timeout),
            ("retryOn", retries.retry_on or None),
            ("retryRemoteLocalities", retries.retry_remote_localities),
        ):
            if value is not None:
                message = f"{name} has no meaning without attempts; set attempts to 1 or more"
                findings.error("retry-without-attempts", (*path, name), message)
    check_duration(retries.per_try_timeout, (*path, "perTryTimeout"), findings)
    check_duration(retries.backoff, (*path, "backoff"), findings)
    for token in (retries.retry_on or "").split(",") if retries.retry_on else ():
        if token not in RETRY_TOKENS and not _is_status(token):
            hint = (
                "remove the space" if token.strip() in RETRY_TOKENS else f"right are {', '.join(sorted(RETRY_TOKENS))}"
            )
            message = f"`{token}` is not a condition for retries; {hint}, or a status code"
            findings.bad_value("bad-retry-on", (*path, "retryOn"), message)


def _is_status(token: str) -> bool:
    return token.isdigit() and len(token) == 3 and int(token) in {status.value for status in http.HTTPStatus}


def check_fault(fault: HTTPFaultInjection, path: Path, findings: Findings) -> None:
    if fault.abort is None and fault.delay is None:
        findings.warning("empty-fault", path, "the fault does nothing; set abort or delay")
    abort = fault.abort
    if abort is not None:
        here = (*path, "abort")
        kinds = [
            name
            for name, value in (
                ("httpStatus", abort.http_status),
                ("grpcStatus", abort.grpc_status),
                ("http2Error", abort.http2_error),
            )
            if value is not None
        ]
        if len(kinds) != 1:
            findings.error("one-of", here, "an abort needs one of httpStatus and grpcStatus")
        if abort.http_status is not None and not 200 <= abort.http_status <= 600:
            message = f"{abort.http_status} is not a status here; right is 200 to 600"
            findings.bad_value("bad-status", (*here, "httpStatus"), message)
        if abort.grpc_status is not None and abort.grpc_status not in GRPC_STATUSES:
            message = f"`{abort.grpc_status}` is not a gRPC status; right is a name such as UNAVAILABLE"
            findings.bad_value("bad-status", (*here, "grpcStatus"), message)
        if abort.http2_error is not None:
            findings.error(
                "unsupported-field", (*here, "http2Error"), "http2Error is not supported by Istio; use httpStatus"
            )
        if abort.percentage is None:
            findings.warning("no-percentage", here, "without a percentage no request is aborted")
        else:
            check_percent(abort.percentage.value, (*here, "percentage", "value"), findings)
    _delay(fault, (*path, "delay"), findings)


def _delay(fault: HTTPFaultInjection, path: Path, findings: Findings) -> None:
    delay = fault.delay
    if delay is None:
        return
    if delay.fixed_delay is None:
        name = (
            "exponentialDelay is not supported by Istio" if delay.exponential_delay is not None else "no delay is set"
        )
        findings.error("missing-field", (*path, "fixedDelay"), f"{name}; set fixedDelay, for instance 5s")
    elif delay.exponential_delay is not None:
        findings.error("one-of", (*path, "exponentialDelay"), "only fixedDelay is supported; remove exponentialDelay")
    check_duration(delay.fixed_delay, (*path, "fixedDelay"), findings)
    if delay.percent is not None:
        check_range(delay.percent, 0, 100, (*path, "percent"), findings)
        findings.warning("deprecated-field", (*path, "percent"), "percent is deprecated; write percentage: {value: …}")
    elif delay.percentage is None:
        findings.warning("no-percentage", path, "without a percentage no request is delayed")
    if delay.percentage is not None:
        check_percent(delay.percentage.value, (*path, "percentage", "value"), findings)


def check_cors(cors: CorsPolicy, path: Path, findings: Findings) -> None:
    for index, origin in enumerate(cors.allow_origins):
        check_match(origin, (*path, "allowOrigins", index), findings)
        if origin.exact == "":
            here = (*path, "allowOrigins", index, "exact")
            findings.bad_value("empty-match", here, "an origin cannot be empty")
    if cors.allow_origin:
        findings.warning("deprecated-field", (*path, "allowOrigin"), "allowOrigin is deprecated; use allowOrigins")
    for index, method in enumerate(cors.allow_methods):
        if method not in CORS_METHODS:
            message = f"`{method}` is not a method; right are {', '.join(CORS_METHODS)}"
            findings.bad_value("bad-method", (*path, "allowMethods", index), message)
    for field, names in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, name in enumerate(names):
            if name != "*" and not is_token(name):
                findings.bad_value("bad-header", (*path, field, index), f"`{name}` is not a header's name")
    check_duration(cors.max_age, (*path, "maxAge"), findings)
    if cors.max_age is not None and cors.max_age % 1000:
        findings.bad_value("bad-duration", (*path, "maxAge"), "maxAge is whole seconds, for instance 24h")
