"""VirtualService as Istio's networking API defines it: routing rules for HTTP, TLS and TCP."""

from __future__ import annotations

from enum import StrEnum

from .base import Base64, Duration, Int32, Model, UInt32


class VirtualServiceSpec(Model, frozen=True, kw_only=True):
    """Rules for the requests to some hosts; without hosts it is a delegate that other VirtualServices include. No
    gateways means `mesh`: all workloads; no exportTo means the mesh's default (all namespaces)."""

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()


class Destination(Model, frozen=True, kw_only=True):
    """A service of the registry, by full name or by short name in the rule's namespace, with a subset of its
    DestinationRule. Without a port the service's only one is taken, or else the one that was dialled."""

    host: str | None = None
    subset: str | None = None
    port: PortSelector | None = None


class HTTPRoute(Model, frozen=True, kw_only=True):
    """One rule: what it matches (any of `match`; nothing matches all) and what is done. Rules are tried in order.
    Unset, `timeout` is none and `retries` is the mesh's default; mirror percentages default to 100."""

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
    """The VirtualService without hosts whose rules stand in this one's place; its namespace defaults to the root's."""

    name: str | None = None
    namespace: str | None = None


class Headers(Model, frozen=True, kw_only=True):
    """Changes to the headers of the request on its way out and of the response on its way back."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HeaderOperations(Model, frozen=True, kw_only=True):
    """Headers to overwrite, to append and to remove, in Envoy's format strings (`%%` is a percent sign)."""

    set: dict[str, str] = {}
    add: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class TLSRoute(Model, frozen=True, kw_only=True):
    """A rule for TLS connections that are passed on unopened, matched by SNI."""

    match: tuple[TLSMatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class TCPRoute(Model, frozen=True, kw_only=True):
    """A rule for connections of unknown content."""

    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class HTTPMatchRequest(Model, frozen=True, kw_only=True):
    """Conditions that all have to hold. `port` is the one that was dialled; `gateways` replaces the
    VirtualService's list. An empty StringMatch in headers and query_params asks for presence alone."""

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
    """A destination with its share: the weight relative to the sum of all; a single one takes everything."""

    destination: Destination | None = None
    weight: Int32 | None = None
    headers: Headers | None = None


class RouteDestination(Model, frozen=True, kw_only=True):
    """A destination of connections with its share."""

    destination: Destination | None = None
    weight: Int32 | None = None


class L4MatchAttributes(Model, frozen=True, kw_only=True):
    """Conditions on a connection that all have to hold; `source_subnet` is not used by Istio."""

    destination_subnets: tuple[str, ...] = ()
    port: UInt32 | None = None
    source_subnet: str | None = None
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    source_namespace: str | None = None


class TLSMatchAttributes(Model, frozen=True, kw_only=True):
    """Conditions on a TLS connection that all have to hold; sni_hosts may have a wildcard as first label."""

    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    port: UInt32 | None = None
    source_labels: dict[str, str] = {}
    gateways: tuple[str, ...] = ()
    source_namespace: str | None = None


class HTTPRedirect(Model, frozen=True, kw_only=True):
    """A redirect answered by the proxy; `redirect_code` defaults to 301, what is unset stays as it was asked for."""

    uri: str | None = None
    authority: str | None = None
    port: UInt32 | None = None
    derive_port: RedirectPortSelection | None = None
    scheme: str | None = None
    redirect_code: UInt32 | None = None
    prefix_rewrite: str | None = None


class RedirectPortSelection(StrEnum):
    """Where a redirect's port comes from: the scheme's default (no port) or the port that was dialled."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPDirectResponse(Model, frozen=True, kw_only=True):
    """An answer that the proxy gives by itself."""

    status: UInt32 | None = None
    body: HTTPBody | None = None


class HTTPBody(Model, frozen=True, kw_only=True):
    """A body as text or as bytes, at most 1 MB."""

    string: str | None = None
    bytes: Base64 | None = None


class HTTPRewrite(Model, frozen=True, kw_only=True):
    """Replaces the matched prefix (or the whole matched path) and the authority before the request goes on."""

    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None


class RegexRewrite(Model, frozen=True, kw_only=True):
    """Replaces every match of an RE2 expression in the path; `\\1` stands for a group."""

    match: str | None = None
    rewrite: str | None = None


class StringMatch(Model, frozen=True, kw_only=True):
    """One of: equality, prefix, or an RE2 expression that matches the whole; the first two mind the case."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HTTPRetry(Model, frozen=True, kw_only=True):
    """How often a failed request is sent again (after the first time) and why. `per_try_timeout` defaults to the
    route's timeout, `backoff` to 25 ms; the mesh's default is 2 attempts on connect failures and the like."""

    attempts: Int32 | None = None
    per_try_timeout: Duration | None = None
    retry_on: str | None = None
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


class CorsPolicy(Model, frozen=True, kw_only=True):
    """Which pages of other origins may read the answers; `max_age` is whole seconds. `allow_origin` is deprecated."""

    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: UnmatchedPreflights | None = None


class UnmatchedPreflights(StrEnum):
    """What becomes of a preflight request from another origin: sent on (the default) or answered without the
    headers."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class HTTPFaultInjection(Model, frozen=True, kw_only=True):
    """Errors made on purpose: a delay and an abort, each drawn by itself."""

    delay: Delay | None = None
    abort: Abort | None = None


class Delay(Model, frozen=True, kw_only=True):
    """Holds a share of the requests back; without a percentage none. `percent` (0 to 100) is the deprecated form."""

    percent: Int32 | None = None
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percentage: Percent | None = None


class Abort(Model, frozen=True, kw_only=True):
    """Answers a share of the requests with a status; without a percentage none."""

    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPMirrorPolicy(Model, frozen=True, kw_only=True):
    """A destination that gets a copy of a share of the requests, 100 % unless said; its answers are dropped."""

    destination: Destination | None = None
    percentage: Percent | None = None


class PortSelector(Model, frozen=True, kw_only=True):
    """A port by its number."""

    number: UInt32 | None = None


class Percent(Model, frozen=True, kw_only=True):
    """A percentage from 0 to 100, as fine as 0.0001."""

    value: float | None = None
