"""Routes to rows and decisions, in the order of the specification: the same that VirtualServices give."""

from __future__ import annotations

from collections.abc import Iterable

from ...config import virtualservice
from ...config.gatewayapi.filters import ExternalAuthProtocol, HTTPRouteFilter
from ...config.gatewayapi.routes import HTTPRouteMatch, MatchType, PathMatchType
from ...config.virtualservice import PortSelector, StringMatch
from ...reasons import Reason
from ..clusters import seconds
from ..decision import Cluster, Decision, ExternalAuth, Failure, Mirror, Route, Rule, WeightedCluster
from ..match import HEADER, METHOD, PREFIX, QUERY, SEGMENTS, Check, MatchRow, TextMatch
from ..routes import RouteBuilder, is_hashed, session_of
from ..streams import ConnectionRow
from . import filters
from .rules import ResolvedRoute, RouteBackend, RouteRule

HTTP_KINDS = frozenset({"HTTPRoute", "GRPCRoute"})

Rank = tuple[int, int, int, int, int, float, str, int, int]


def rank_of(match: HTTPRouteMatch, route: ResolvedRoute, rule: int, place: int) -> Rank:
    """The smaller, the earlier: exact path, longest prefix, a method, most headers, most parameters, the oldest route,
    its name, its order (HTTPRouteRule's matches in the specification). Expressions come after prefixes, as in Istio."""
    order, length = 2, 0
    if match.path.type is PathMatchType.EXACT:
        order = 0
    elif match.path.type is PathMatchType.PATH_PREFIX:
        order, length = 1, len(match.path.value.rstrip("/"))
    method = 0 if match.method is not None else 1
    created, key = route.age
    return order, -length, method, -len(match.headers), -len(match.query_params), created, key, rule, place


def ranked(routes: Iterable[ResolvedRoute]) -> list[tuple[Rank, HTTPRouteMatch, RouteRule]]:
    """Every match of all routes, in the order in which they are tried."""
    found: list[tuple[Rank, HTTPRouteMatch, RouteRule]] = []
    for route in routes:
        for index, rule in enumerate(route.rules):
            for place, match in enumerate(rule.spec.matches or (HTTPRouteMatch(),)):
                found.append((rank_of(match, route, index, place), match, rule))
    found.sort(key=lambda entry: entry[0])
    return found


def http_rows(builder: RouteBuilder, routes: Iterable[ResolvedRoute]) -> tuple[MatchRow, ...]:
    """Those behind a row that matches everything are out of reach."""
    rows: list[MatchRow] = []
    for rank, match, rule in ranked(routes):
        rows.append(MatchRow(path_match(match), checks_of(match), http_decision(builder, rule, match), rank[-1]))
        if rows[-1].matches_all:
            break
    return tuple(rows)


def path_match(match: HTTPRouteMatch) -> TextMatch:
    path = match.path
    if path.type is PathMatchType.EXACT:
        return TextMatch(StringMatch(exact=path.value))
    if path.type is PathMatchType.REGULAR_EXPRESSION:
        return TextMatch(StringMatch(regex=path.value))
    stem = path.value.rstrip("/")
    text = TextMatch(StringMatch(prefix=stem or "/"))
    text.kind = SEGMENTS if stem else PREFIX
    return text


def text_match(kind: MatchType, value: str) -> TextMatch:
    return TextMatch(StringMatch(exact=value) if kind is MatchType.EXACT else StringMatch(regex=value))


def checks_of(match: HTTPRouteMatch) -> tuple[Check, ...]:
    checks = []
    if match.method is not None:
        checks.append(Check(METHOD, "", TextMatch(StringMatch(exact=match.method.value))))
    for header in match.headers:
        checks.append(Check(HEADER, header.name, text_match(header.type, header.value), whole=True))
    for param in match.query_params:
        checks.append(Check(QUERY, param.name, text_match(param.type, param.value)))
    return tuple(checks)


# === decisions


def failure(rule: Rule, name: str = "") -> Failure:
    """What requests get that no valid backend takes."""
    return Failure(name=name, rule=rule, reason=Reason.INVALID_BACKEND, status=500)


def http_decision(builder: RouteBuilder, rule: RouteRule, match: HTTPRouteMatch) -> Decision:
    spec = rule.spec
    name = spec.name or ""
    if rule.fault:
        return failure(rule.rule, name)
    response = filters.find(spec.filters, "response_header_modifier")
    response_headers = filters.header_changes(response.response_header_modifier if response is not None else None)
    redirect = filters.find(spec.filters, "request_redirect")
    if redirect is not None and redirect.request_redirect is not None:
        return filters.redirect_of(redirect.request_redirect, match, name, rule.rule, response_headers)
    if rule.auth is not None and rule.auth.fault:
        return failure(rule.rule, name)  # nobody can say that the request may pass
    destinations = tuple(
        destination_of(builder, rule, place, match) for place, backend in enumerate(rule.backends) if backend.weight
    )
    if not destinations or all(isinstance(entry.instead, Failure) for entry in destinations):
        return failure(rule.rule, name)
    request = filters.find(spec.filters, "request_header_modifier")
    cors = filters.find(spec.filters, "cors")
    return Route(
        name=name,
        rule=rule.rule,
        request_headers=filters.header_changes(request.request_header_modifier if request is not None else None),
        response_headers=response_headers,
        cors=filters.cors_of(cors.cors) if cors is not None and cors.cors is not None else None,
        destinations=destinations,
        total_weight=sum(entry.weight for entry in destinations),
        rewrite=filters.rewrite_of(spec.filters, match),
        timeout=seconds(spec.timeouts.request) if spec.timeouts is not None else 0.0,
        retry=filters.retries_of(spec, builder.lookup.tables.mesh, hashed=is_hashed(destinations)),
        mirrors=mirrors_of(builder, rule, rule.mirrors, spec.filters),
        session=filters.session_of(spec, f"{rule.rule.owner} {rule.rule.path}") or session_of(destinations),
        auth=auth_of(builder, rule),
    )


def destination_of(builder: RouteBuilder, rule: RouteRule, place: int, match: HTTPRouteMatch) -> WeightedCluster:
    """One backend with its share and its own filters."""
    backend, spec = rule.backends[place], rule.spec.backend_refs[place]
    if backend.fault:
        return WeightedCluster(cluster=None, cluster_name="", weight=backend.weight, instead=failure(rule.rule))
    response = filters.find(spec.filters, "response_header_modifier")
    response_headers = filters.header_changes(response.response_header_modifier if response is not None else None)
    redirect = filters.find(spec.filters, "request_redirect")
    if redirect is not None and redirect.request_redirect is not None:
        name = rule.spec.name or ""
        instead = filters.redirect_of(redirect.request_redirect, match, name, rule.rule, response_headers)
        return WeightedCluster(cluster=None, cluster_name="", weight=backend.weight, instead=instead)
    cluster, name = target_of(builder, rule, backend)
    request = filters.find(spec.filters, "request_header_modifier")
    return WeightedCluster(
        cluster=cluster,
        cluster_name=name,
        weight=backend.weight,
        request_headers=filters.header_changes(request.request_header_modifier if request is not None else None),
        response_headers=response_headers,
        rewrite=filters.rewrite_of(spec.filters, match),
        mirrors=mirrors_of(builder, rule, backend.mirrors, spec.filters),
    )


def target_of(builder: RouteBuilder, rule: RouteRule, backend: RouteBackend) -> tuple[Cluster | None, str]:
    """The cluster of a backend and its name."""
    destination = virtualservice.Destination(host=backend.host, port=PortSelector(number=backend.port))
    return builder.target(destination, backend.port, grpc=rule.rule.owner.kind == "GRPCRoute")


def auth_of(builder: RouteBuilder, rule: RouteRule) -> ExternalAuth | None:
    """Who says whether the rule's requests may pass."""
    found = filters.find(rule.spec.filters, "external_auth")
    if found is None or found.external_auth is None or rule.auth is None:
        return None
    wish = found.external_auth
    destination = virtualservice.Destination(host=rule.auth.host, port=PortSelector(number=rule.auth.port))
    grpc = wish.protocol is ExternalAuthProtocol.GRPC
    cluster, name = builder.target(destination, rule.auth.port, grpc=grpc)
    settings = wish.grpc if grpc else wish.http
    return ExternalAuth(
        cluster=cluster,
        cluster_name=name,
        grpc=grpc,
        authority=f"{rule.auth.host}:{rule.auth.port}".encode(),
        path=(wish.http.path or "").encode() if wish.http is not None else b"",
        headers=names_of(settings.allowed_headers if settings is not None else ()),
        response_headers=names_of(wish.http.allowed_response_headers if wish.http is not None else ()),
        body=(wish.forward_body.max_size or 0) if wish.forward_body is not None else 0,
    )


def names_of(names: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(sorted({name.lower().encode() for name in names}))


def mirrors_of(
    builder: RouteBuilder, rule: RouteRule, backends: tuple[RouteBackend, ...], entries: Iterable[HTTPRouteFilter]
) -> tuple[Mirror, ...]:
    """The copies; a backend that cannot be found gets none."""
    found = []
    wanted = [entry.request_mirror for entry in entries if entry.request_mirror is not None]
    for mirror, backend in zip(wanted, backends, strict=True):
        percent = filters.percent_of(mirror)
        if backend.fault or not percent:
            continue
        cluster, name = target_of(builder, rule, backend)
        found.append(Mirror(cluster=cluster, cluster_name=name, percent=percent))
    return tuple(found)


def connection_row(builder: RouteBuilder, route: ResolvedRoute, names: tuple[str, ...]) -> ConnectionRow:
    """A TLSRoute or TCPRoute; the share of a backend that is not there is refused."""
    rule = route.rules[0]
    found = []
    for backend in rule.backends:
        if not backend.weight:
            continue
        cluster, name = (None, "") if backend.fault else target_of(builder, rule, backend)
        found.append(WeightedCluster(cluster=cluster, cluster_name=name, weight=backend.weight))
    decision: Decision = failure(rule.rule)
    if any(entry.cluster is not None for entry in found):
        total = sum(entry.weight for entry in found)
        decision = Route(rule=rule.rule, destinations=tuple(found), total_weight=total)
    return ConnectionRow(names, (), decision, rule.rule, -1)
