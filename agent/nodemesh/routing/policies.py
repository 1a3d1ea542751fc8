"""Retries, faults, CORS and rewrites of HTTP rules, with Istio's defaults filled in."""

from __future__ import annotations

from ..config import regex
from ..config.meshconfig import MeshConfigSpec
from ..config.virtualservice import (
    CorsPolicy,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    Percent,
    StringMatch,
    UnmatchedPreflights,
)
from .clusters import seconds
from .decision import Cors, Fault, Retry, Rewrite
from .headers import authority_of
from .match import TextMatch

#: Istio's default retryOn. `retriable-status-codes` is there without codes: a 503 of the upstream is not retried.
DEFAULT_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")

#: gRPC status names by number (google.rpc.Code).
GRPC_STATUS = {
    name: number
    for number, name in enumerate(
        (
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
            "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
            "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
        )
    )
}  # fmt: skip


#: What Istio gives to all who say nothing, made once: with a consistent hash or without.
DEFAULT_RETRIES = {
    hashed: Retry(attempts=2, on=frozenset(DEFAULT_RETRY_ON), ignore_previous_hosts=not hashed)
    for hashed in (False, True)
}


def retry_of(settings: HTTPRetry | None, mesh: MeshConfigSpec, *, hashed: bool = False) -> Retry | None:
    """None where retries are off. `hashed`: a consistent hash picks the endpoint, and is kept from it only where the
    rule says so."""
    settings = settings if settings is not None else mesh.default_http_retry_policy
    if settings is None:
        return DEFAULT_RETRIES[hashed]
    if not settings.attempts:
        return None
    tokens: set[str] = set()
    codes: set[int] = set()
    given = settings.retry_on.split(",") if settings.retry_on else DEFAULT_RETRY_ON
    for token in (entry.strip() for entry in given):
        if token.isdigit():
            codes.add(int(token))
            tokens.add("retriable-status-codes")
        elif token:
            tokens.add(token)
    base = seconds(settings.backoff) or 0.025
    others = settings.retry_ignore_previous_hosts
    return Retry(
        attempts=settings.attempts,
        per_try_timeout=seconds(settings.per_try_timeout),
        on=frozenset(tokens),
        status_codes=frozenset(codes),
        backoff_base=base,
        backoff_max=base * 10,
        ignore_previous_hosts=not hashed if others is None else others,
        remote_localities=bool(settings.retry_remote_localities),
    )


def percent_of(percentage: Percent | None, fallback: float) -> float:
    if percentage is None:
        return fallback
    return percentage.value or 0.0


def fault_of(settings: HTTPFaultInjection | None) -> Fault | None:
    """Without a percentage nothing is ever aborted or delayed, as in Istio."""
    if settings is None:
        return None
    fault = Fault()
    delay, abort = settings.delay, settings.abort
    if delay is not None and delay.fixed_delay is not None:
        fault = Fault(
            delay=seconds(delay.fixed_delay), delay_percent=percent_of(delay.percentage, float(delay.percent or 0))
        )
    if abort is not None:
        grpc = GRPC_STATUS.get((abort.grpc_status or "").upper(), -1)
        fault = Fault(
            delay=fault.delay,
            delay_percent=fault.delay_percent,
            abort_status=abort.http_status or 0,
            abort_grpc=grpc,
            abort_percent=percent_of(abort.percentage, 0.0),
        )
    return fault if fault.delay_percent or fault.abort_percent else None


class OriginMatcher:
    """Which origins a CORS policy allows."""

    __slots__ = ("_any", "_matches")

    def __init__(self, matches: tuple[StringMatch, ...]) -> None:
        self._any = any(match.exact == "*" for match in matches)
        self._matches = tuple(TextMatch(match) for match in matches)

    def __str__(self) -> str:
        return "any" if self._any else " or ".join(map(str, self._matches))

    def __call__(self, origin: bytes) -> bool:
        return self._any or any(match.matches(origin) for match in self._matches)


def cors_of(settings: CorsPolicy | None) -> Cors | None:
    if settings is None:
        return None
    origins = settings.allow_origins or tuple(StringMatch(exact=origin) for origin in settings.allow_origin)
    return Cors(
        allow_origin=OriginMatcher(origins),
        methods=",".join(settings.allow_methods).encode(),
        headers=",".join(settings.allow_headers).encode(),
        expose=",".join(settings.expose_headers).encode(),
        max_age=b"" if settings.max_age is None else str(settings.max_age // 1000).encode(),
        credentials=bool(settings.allow_credentials),
        forward_unmatched=settings.unmatched_preflights is not UnmatchedPreflights.IGNORE,
    )


class Substitution:
    """uriRegexRewrite: every match in the path replaced."""

    __slots__ = ("_pattern", "_replacement")

    def __init__(self, pattern: str, replacement: str) -> None:
        self._pattern = regex.compile(pattern)
        self._replacement = replacement.encode()

    def __str__(self) -> str:
        return f"each match of {self._pattern.text} by {self._replacement.decode()}"

    def __call__(self, path: bytes) -> bytes:
        return self._pattern.sub(self._replacement, path)


def matched_prefix(match: HTTPMatchRequest | None) -> int:
    """How much of the path a rewrite replaces: the matched prefix's length; all of it (-1) after an exact or regex
    match; the leading slash where no path was asked for."""
    uri = match.uri if match is not None else None
    if uri is None or (uri.exact is None and uri.prefix is None and uri.regex is None):
        return 1
    return len(uri.prefix.encode()) if uri.prefix is not None else -1


def rewrite_of(route: HTTPRoute, match: HTTPMatchRequest | None) -> Rewrite | None:
    """Path and Host as the rule changes them; rewrite.authority comes before a Host among the header operations."""
    settings = route.rewrite
    authority = settings.authority.encode() if settings is not None and settings.authority else b""
    if not authority and route.headers is not None:
        authority = authority_of(route.headers.request)
    rewrite = Rewrite(authority=authority)
    if settings is not None and settings.uri_regex_rewrite is not None:
        change = settings.uri_regex_rewrite
        rewrite = Rewrite(authority=authority, substitute=Substitution(change.match or "", change.rewrite or ""))
    elif settings is not None and settings.uri:
        rewrite = Rewrite(authority=authority, uri=settings.uri.encode(), prefix=matched_prefix(match))
    return rewrite if rewrite != Rewrite() else None
