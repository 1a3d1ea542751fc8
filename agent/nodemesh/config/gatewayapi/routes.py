"""HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute: what becomes of requests and connections."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from ..base import Model
from .common import (
    BackendReference,
    GatewayDuration,
    HeaderName,
    HeaderValue,
    Hostname,
    ParentReference,
    SectionName,
)
from .filters import GRPCRouteFilter, HTTPRouteFilter
from .gateways import DefaultScope
from .policies import SessionPersistence

ParentReferences = Annotated[tuple[ParentReference, ...], msgspec.Meta(max_length=32)]
Hostnames = Annotated[tuple[Hostname, ...], msgspec.Meta(max_length=16)]
Weight = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class RouteSpec(Model, frozen=True, kw_only=True):
    """What all routes have in common."""

    parent_refs: ParentReferences = ()
    use_default_gateways: DefaultScope | None = None


class PathMatchType(StrEnum):
    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


class MatchType(StrEnum):
    EXACT = "Exact"
    REGULAR_EXPRESSION = "RegularExpression"


class HTTPMethod(StrEnum):
    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


class HTTPPathMatch(Model, frozen=True, kw_only=True):
    """A prefix counts whole segments: `/abc` takes `/abc/d` and not `/abcd`."""

    type: PathMatchType = PathMatchType.PATH_PREFIX
    value: Annotated[str, msgspec.Meta(max_length=1024)] = "/"


class HTTPHeaderMatch(Model, frozen=True, kw_only=True):
    type: MatchType = MatchType.EXACT
    name: HeaderName
    value: HeaderValue


class HTTPQueryParamMatch(Model, frozen=True, kw_only=True):
    type: MatchType = MatchType.EXACT
    name: HeaderName
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class HTTPRouteMatch(Model, frozen=True, kw_only=True):
    """Conditions that all have to hold."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: Annotated[tuple[HTTPHeaderMatch, ...], msgspec.Meta(max_length=16)] = ()
    query_params: Annotated[tuple[HTTPQueryParamMatch, ...], msgspec.Meta(max_length=16)] = ()
    method: HTTPMethod | None = None


class BackendRef(BackendReference, frozen=True, kw_only=True):
    """A backend with its share: the weight relative to the sum of all."""

    weight: Weight = 1


class HTTPBackendRef(BackendRef, frozen=True, kw_only=True):
    filters: Annotated[tuple[HTTPRouteFilter, ...], msgspec.Meta(max_length=16)] = ()


class HTTPRouteTimeouts(Model, frozen=True, kw_only=True):
    """`request` is for the whole exchange, `backend_request` for each try; 0s is none."""

    request: GatewayDuration | None = None
    backend_request: GatewayDuration | None = None


class HTTPRouteRetry(Model, frozen=True, kw_only=True):
    """GEP-1731: `attempts` counts retries; failed connections are retried whatever the codes."""

    codes: tuple[Annotated[int, msgspec.Meta(ge=400, le=599)], ...] = ()
    attempts: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    backoff: GatewayDuration | None = None


class HTTPRouteRule(Model, frozen=True, kw_only=True):
    name: SectionName | None = None
    matches: Annotated[tuple[HTTPRouteMatch, ...], msgspec.Meta(max_length=64)] = (HTTPRouteMatch(),)
    filters: Annotated[tuple[HTTPRouteFilter, ...], msgspec.Meta(max_length=16)] = ()
    backend_refs: Annotated[tuple[HTTPBackendRef, ...], msgspec.Meta(max_length=16)] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(RouteSpec, frozen=True, kw_only=True):
    """Rules for HTTP requests to some hosts."""

    hostnames: Hostnames = ()
    rules: Annotated[tuple[HTTPRouteRule, ...], msgspec.Meta(min_length=1, max_length=16)] = (HTTPRouteRule(),)


class GRPCMethodMatch(Model, frozen=True, kw_only=True):
    """The service, the method, or both; with their names or expressions for them."""

    type: MatchType = MatchType.EXACT
    service: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    method: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class GRPCHeaderMatch(Model, frozen=True, kw_only=True):
    type: MatchType = MatchType.EXACT
    name: HeaderName
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class GRPCRouteMatch(Model, frozen=True, kw_only=True):
    method: GRPCMethodMatch | None = None
    headers: Annotated[tuple[GRPCHeaderMatch, ...], msgspec.Meta(max_length=16)] = ()


class GRPCBackendRef(BackendRef, frozen=True, kw_only=True):
    filters: Annotated[tuple[GRPCRouteFilter, ...], msgspec.Meta(max_length=16)] = ()


class GRPCRouteRule(Model, frozen=True, kw_only=True):
    name: SectionName | None = None
    matches: Annotated[tuple[GRPCRouteMatch, ...], msgspec.Meta(max_length=64)] = ()
    filters: Annotated[tuple[GRPCRouteFilter, ...], msgspec.Meta(max_length=16)] = ()
    backend_refs: Annotated[tuple[GRPCBackendRef, ...], msgspec.Meta(max_length=16)] = ()
    session_persistence: SessionPersistence | None = None


class GRPCRouteSpec(RouteSpec, frozen=True, kw_only=True):
    """Rules for gRPC calls to some hosts."""

    hostnames: Hostnames = ()
    rules: Annotated[tuple[GRPCRouteRule, ...], msgspec.Meta(max_length=16)] = ()


class ConnectionRule(Model, frozen=True, kw_only=True):
    name: SectionName | None = None
    backend_refs: Annotated[tuple[BackendRef, ...], msgspec.Meta(min_length=1, max_length=16)]


ConnectionRules = Annotated[tuple[ConnectionRule, ...], msgspec.Meta(min_length=1, max_length=1)]


class TLSRouteSpec(RouteSpec, frozen=True, kw_only=True):
    """Where TLS connections for some server names go."""

    hostnames: Annotated[tuple[Hostname, ...], msgspec.Meta(min_length=1, max_length=1024)]
    rules: ConnectionRules


class TCPRouteSpec(RouteSpec, frozen=True, kw_only=True):
    rules: ConnectionRules


class UDPRouteSpec(RouteSpec, frozen=True, kw_only=True):
    rules: ConnectionRules
