"""VirtualService as Istio's networking API defines it: routing rules for HTTP, TLS and TCP."""

from __future__ import annotations

from enum import StrEnum

from .base import Base64, Duration, Int32, Model, UInt32


class VirtualServiceSpec(Model, frozen=True, kw_only=True):
    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()


class Destination(Model, frozen=True, kw_only=True):
    host: str | None = None
    subset: str | None = None
    port: PortSelector | None = None


class HTTPRoute(Model, frozen=True, kw_only=True):
    name: str | None = None
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: UInt32 | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class Delegate(Model, frozen=True, kw_only=True):
    name: str | None = None
    namespace: str | None = None


class Headers(Model, frozen=True, kw_only=True):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HeaderOperations(Model, frozen=True, kw_only=True):
    set: dict[str, str] = {}
    add: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class TLSRoute(Model, frozen=True, kw_only=True):
    match: tuple[TLSMatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class TCPRoute(Model, frozen=True, kw_only=True):
    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class HTTPMatchRequest(Model, frozen=True, kw_only=True):
    name: str | None = None
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    port: UInt32 | None = None
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    query_params: dict[str, StringMatch] = {}
    ignore_uri_case: bool | None = None
    without_headers: dict[str, StringMatch] = {}
    source_namespace: str | None = None
    stat_prefix: str | None = None


class HTTPRouteDestination(Model, frozen=True, kw_only=True):
    destination: Destination | None = None
    weight: Int32 | None = None
    headers: Headers | None = None


class RouteDestination(Model, frozen=True, kw_only=True):
    destination: Destination | None = None
    weight: Int32 | None = None


class L4MatchAttributes(Model, frozen=True, kw_only=True):
    destination_subnets: tuple[str, ...] = ()
    port: UInt32 | None = None
    source_subnet: str | None = None
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    source_namespace: str | None = None


class TLSMatchAttributes(Model, frozen=True, kw_only=True):
    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    port: UInt32 | None = None
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    source_namespace: str | None = None


class HTTPRedirect(Model, frozen=True, kw_only=True):
    uri: str | None = None
    authority: str | None = None
    port: UInt32 | None = None
    derive_port: RedirectPortSelection | None = None
    scheme: str | None = None
    redirect_code: UInt32 | None = None
    prefix_rewrite: str | None = None


class RedirectPortSelection(StrEnum):
    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPDirectResponse(Model, frozen=True, kw_only=True):
    status: UInt32 | None = None
    body: HTTPBody | None = None


class HTTPBody(Model, frozen=True, kw_only=True):
    string: str | None = None
    bytes: Base64 | None = None


class HTTPRewrite(Model, frozen=True, kw_only=True):
    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None


class RegexRewrite(Model, frozen=True, kw_only=True):
    match: str | None = None
    rewrite: str | None = None


class StringMatch(Model, frozen=True, kw_only=True):
    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HTTPRetry(Model, frozen=True, kw_only=True):
    attempts: Int32 | None = None
    per_try_timeout: Duration | None = None
    retry_on: str | None = None
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


class CorsPolicy(Model, frozen=True, kw_only=True):
    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: UnmatchedPreflights | None = None


class UnmatchedPreflights(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class HTTPFaultInjection(Model, frozen=True, kw_only=True):
    delay: Delay | None = None
    abort: Abort | None = None


class Delay(Model, frozen=True, kw_only=True):
    percent: Int32 | None = None
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percentage: Percent | None = None


class Abort(Model, frozen=True, kw_only=True):
    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPMirrorPolicy(Model, frozen=True, kw_only=True):
    destination: Destination | None = None
    percentage: Percent | None = None


class PortSelector(Model, frozen=True, kw_only=True):
    number: UInt32 | None = None


class Percent(Model, frozen=True, kw_only=True):
    value: float | None = None
