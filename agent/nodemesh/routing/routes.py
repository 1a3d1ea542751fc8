"""Rules to decisions: destinations looked up, policies resolved, one decision per rule and match entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from ..config import virtualservice
from ..config.meshconfig import OutboundMode
from ..config.virtualservice import (
    HTTPMatchRequest,
    HTTPRoute,
    HTTPRouteDestination,
    RedirectPortSelection,
    RouteDestination,
)
from ..reasons import Reason
from ..registry.snapshot import Service
from .clusters import (
    BLACKHOLE_CLUSTER,
    build_cluster,
    cluster_name,
    dynamic_dns_cluster,
    passthrough_cluster,
    seconds,
)
from .decision import (
    Cluster,
    Decision,
    DirectResponse,
    Failure,
    HeaderOps,
    HttpReason,
    HttpVersion,
    Mirror,
    Redirect,
    Route,
    Rule,
    StickySession,
    WeightedCluster,
)
from .headers import authority_of, header_ops, joined
from .lookup import Lookup, Read
from .match import MatchRow, http_row
from .memo import ValuePool
from .policies import cors_of, fault_of, matched_prefix, retry_of, rewrite_of
from .servername import ClusterServerName
from .tables import HttpRule, TcpRule, TlsRule, VirtualService

Weighted = TypeVar("Weighted", RouteDestination, HTTPRouteDestination)

#: Host (or the server name that stands for it), port and subset.
ClusterKey = tuple[str, int, str]

DEFAULT_ROUTE = "default"
#: The codes that Envoy's redirect action knows; a rule with another one has no action and is dropped.
REDIRECT_CODES = frozenset({301, 302, 303, 307, 308})


class BuiltCluster(NamedTuple):
    """A cluster (None: there is no such subset) and what it was made from."""

    cluster: Cluster | None
    reads: list[Read]


class Clusters:
    """The clusters of one view, so that equal groups are one object; equal ones of the view before, and of the other
    views in `pool`, are taken over."""

    __slots__ = ("_before", "_pool", "made")

    def __init__(self, before: dict[ClusterKey, BuiltCluster], pool: ValuePool[ClusterKey, Cluster | None]) -> None:
        self._before = before
        self._pool = pool
        self.made: dict[ClusterKey, BuiltCluster] = {}

    def keep(self, key: ClusterKey, cluster: Cluster | None, reads: list[Read]) -> Cluster | None:
        before = self._before.get(key)
        if before is not None and before.cluster == cluster:
            cluster = before.cluster
        self.made[key] = BuiltCluster(*self._pool.of(key, cluster, reads))
        return self.made[key].cluster


class RouteBuilder:
    """Makes decisions for one client out of what its lookup finds."""

    __slots__ = ("_clusters", "lookup")

    def __init__(self, lookup: Lookup, clusters: Clusters) -> None:
        self.lookup = lookup
        self._clusters = clusters

    # === destinations

    def cluster(
        self, service: Service, port: int, subset: str, *, passthrough: bool = False, grpc: bool = False
    ) -> Cluster | None:
        """None where the service has no such port or subset. `passthrough`: for TLS that somebody else has begun;
        `grpc`: for calls alone, whatever the port is declared for."""
        if service.port(port) is None:
            return None
        lookup = self.lookup
        host = str(ClusterServerName(port, subset, service.host)) if passthrough else service.host
        key = (f"{host}|grpc" if grpc else host, port, subset)
        made = self._clusters.made.get(key)
        if made is not None:
            lookup.reads.extend(made.reads)
            return made.cluster
        start = len(lookup.reads)
        lookup.service(service.host)  # for the record: the cluster holds the service's endpoints
        rule = lookup.destination_rule(service)
        cluster = None
        if not subset or (rule is not None and rule.subset(subset) is not None):
            mesh, shadowed = lookup.tables.mesh, lookup.is_shadowed(service)
            cluster = build_cluster(
                service, port, subset, rule, lookup.client, mesh, shadowed=shadowed, passthrough=passthrough
            )
            tls = lookup.backend_tls(service, port)
            if tls is not None and cluster.tls is None and not passthrough:
                # Others speak to it in plain, or show another certificate.
                cluster = replace(cluster, tls=tls, key=f"{cluster.key}|tls{tls.pair}")
            traffic = lookup.backend_traffic(service) if not passthrough else None
            if traffic is not None:
                budget = cluster.retry_budget or traffic.retry_budget
                cluster = replace(cluster, retry_budget=budget, session=traffic.session)
            if grpc and cluster.upstream_http is not HttpVersion.HTTP2:
                cluster = replace(
                    cluster,
                    upstream_http=HttpVersion.HTTP2,
                    http_reason=HttpReason.GRPC_ROUTE,
                    key=f"{cluster.key}|grpc",
                )
        return self._clusters.keep(key, cluster, lookup.reads[start:])

    def target(
        self, destination: virtualservice.Destination | None, port: int, *, grpc: bool = False
    ) -> tuple[Cluster | None, str]:
        """The cluster of a destination and its name. The port is the destination's, else the only one that the service
        has, else the one that was dialled."""
        host = destination.host or "" if destination is not None else ""
        subset = destination.subset or "" if destination is not None else ""
        service = self.lookup.service(host)
        if destination is not None and destination.port is not None and destination.port.number:
            port = destination.port.number
        elif service is not None and len(service.ports) == 1:
            port = service.ports[0].number
        if service is None:
            declared = self.lookup.declared_service(host)
            return None, cluster_name(declared.alias_of if declared is not None else host, port, subset)
        return self.cluster(service, port, subset, grpc=grpc), cluster_name(service.host, port, subset)

    def service_route(self, service: Service, port: int) -> Route:
        """The default route: everything to the service itself."""
        cluster = self.cluster(service, port, "")
        destination = WeightedCluster(cluster=cluster, cluster_name=cluster_name(service.host, port))
        return Route(
            name=DEFAULT_ROUTE,
            destinations=(destination,),
            total_weight=destination.weight,
            retry=retry_of(None, self.lookup.tables.mesh, hashed=is_hashed((destination,))),
            session=session_of((destination,)),
        )

    def unknown_destination(self) -> Decision:
        """What becomes of traffic to a host that the registry does not know."""
        if self.lookup.scope.policy is OutboundMode.REGISTRY_ONLY:
            return Failure(name=BLACKHOLE_CLUSTER, reason=Reason.BLACKHOLE, status=502)
        if self.lookup.scope.egress_proxy is not None:
            proxy, name = self.target(self.lookup.scope.egress_proxy, 0)
            destination = WeightedCluster(cluster=proxy, cluster_name=name)
            return Route(name="egress_proxy", destinations=(destination,), total_weight=destination.weight)
        return self.passed_through()

    def unknown_host(self) -> Decision:
        """The same for a plain HTTP request."""
        scope = self.lookup.scope
        if not scope.by_host or self.lookup.client.gateway:
            return self.unknown_destination()
        return self.passed_through("allow_any_dynamic_dns", dynamic_dns_cluster(self.lookup.tables.mesh))

    def passed_through(self, name: str = "allow_any", cluster: Cluster | None = None) -> Route:
        """What is left alone goes where it was dialled."""
        cluster = cluster or passthrough_cluster(self.lookup.tables.mesh)
        destination = WeightedCluster(cluster=cluster, cluster_name=cluster.name)
        return Route(
            name=name,
            reason=Reason.PASSTHROUGH,
            destinations=(destination,),
            total_weight=destination.weight,
        )

    # === HTTP

    def http_rows(self, virtual_service: VirtualService, port: int) -> tuple[MatchRow, ...]:
        """The rows of all rules that can apply to this client on this port; those behind a row that matches everything
        are out of reach."""
        rows: list[MatchRow] = []
        for rule in virtual_service.http:
            for index, match in applicable(rule, virtual_service, self.lookup, port):
                decision = self.http_decision(rule, match, port)
                if decision is None:
                    continue
                rows.append(http_row(match, decision, index))
                if rows[-1].matches_all:
                    return tuple(rows)
        return tuple(rows)

    def http_decision(self, rule: HttpRule, match: HTTPMatchRequest | None, port: int) -> Decision | None:
        """None for a rule without an action."""
        route = rule.route
        name = ".".join(part for part in (route.name, match.name if match is not None else None) if part)
        headers = route.headers
        request_headers = header_ops(headers.request) if headers is not None else None
        response_headers = header_ops(headers.response) if headers is not None else None
        if route.redirect is not None:
            return redirect_of(route, route.redirect, match, name, rule.rule, response_headers)
        if route.direct_response is not None:
            return DirectResponse(
                name=name,
                rule=rule.rule,
                reason=Reason.DIRECT_RESPONSE,
                response_headers=response_headers,
                cors=cors_of(route.cors_policy),
                status=route.direct_response.status or 200,
                body=body_of(route.direct_response),
            )
        destinations = self._http_destinations(route, port)
        if not destinations:
            return None
        if len(destinations) == 1:
            only = destinations[0]
            request_headers = joined(request_headers, only.request_headers)
            response_headers = joined(response_headers, only.response_headers)
            destinations = (replace(only, request_headers=None, response_headers=None),)
        rewrite = rewrite_of(route, match)
        if rewrite is not None and rewrite.authority:
            destinations = tuple(replace(entry, authority=b"") for entry in destinations)
        return Route(
            name=name,
            rule=rule.rule,
            request_headers=request_headers,
            response_headers=response_headers,
            fault=fault_of(route.fault),
            cors=cors_of(route.cors_policy),
            destinations=destinations,
            total_weight=sum(entry.weight for entry in destinations),
            rewrite=rewrite,
            timeout=seconds(route.timeout),
            retry=retry_of(route.retries, self.lookup.tables.mesh, hashed=is_hashed(destinations)),
            mirrors=self._mirrors(route, port),
            session=session_of(destinations),
        )

    def _http_destinations(self, route: HTTPRoute, port: int) -> tuple[WeightedCluster, ...]:
        found = []
        for entry in weighted(route.route):
            cluster, name = self.target(entry.destination, port)
            headers = entry.headers
            found.append(
                WeightedCluster(
                    cluster=cluster,
                    cluster_name=name,
                    weight=weight_of(entry.weight, len(route.route)),
                    request_headers=header_ops(headers.request) if headers is not None else None,
                    response_headers=header_ops(headers.response) if headers is not None else None,
                    authority=authority_of(headers.request) if headers is not None else b"",
                )
            )
        return tuple(found)

    def _mirrors(self, route: HTTPRoute, port: int) -> tuple[Mirror, ...]:
        wanted: list[tuple[virtualservice.Destination | None, float]] = []
        if route.mirror is not None:
            percent = 100.0 if route.mirror_percent is None else float(route.mirror_percent)
            if route.mirror_percentage is not None:
                percent = route.mirror_percentage.value or 0.0
            wanted.append((route.mirror, percent))
        for policy in route.mirrors:
            wanted.append((policy.destination, 100.0 if policy.percentage is None else policy.percentage.value or 0.0))
        mirrors = []
        for destination, percent in wanted:
            if percent > 0:
                cluster, name = self.target(destination, port)
                mirrors.append(Mirror(cluster=cluster, cluster_name=name, percent=percent))
        return tuple(mirrors)

    # === connections

    def passthrough_route(self, service: Service, port: int, subset: str) -> Route | None:
        """Where TLS goes on to that asked for a cluster by its server name; None: there is no such port or subset."""
        cluster = self.cluster(service, port, subset, passthrough=True)
        if cluster is None:
            return None
        destination = WeightedCluster(cluster=cluster, cluster_name=cluster.name)
        return Route(name="auto_passthrough", destinations=(destination,), total_weight=destination.weight)

    def connection_route(self, rule: TlsRule | TcpRule, port: int) -> Route | None:
        """A TCP or TLS rule's decision; None for a rule without destinations."""
        found = []
        for entry in weighted(rule.route.route):
            cluster, name = self.target(entry.destination, port)
            found.append(
                WeightedCluster(
                    cluster=cluster, cluster_name=name, weight=weight_of(entry.weight, len(rule.route.route))
                )
            )
        if not found:
            return None
        return Route(rule=rule.rule, destinations=tuple(found), total_weight=sum(entry.weight for entry in found))


def applicable(
    rule: HttpRule, virtual_service: VirtualService, lookup: Lookup, port: int
) -> list[tuple[int, HTTPMatchRequest | None]]:
    """The match entries (with their index; one None for a rule without any) that hold for the client and port."""
    bound = any(name in lookup.gateways for name in virtual_service.gateways)
    if not rule.route.match:
        return [(-1, None)] if bound else []
    return [(index, match) for index, match in enumerate(rule.route.match) if applies_to(match, bound, lookup, port)]


def applies_to(match: HTTPMatchRequest, bound: bool, lookup: Lookup, port: int) -> bool:
    """A match's own gateways stand in for the VirtualService's, and sourceLabels and sourceNamespace then do not count
    (Istio's sourceMatchHTTP)."""
    if match.port and match.port != port:
        return False
    if match.gateways:
        return any(name in lookup.gateways for name in match.gateways)
    if not bound:
        return False
    client = lookup.client
    if match.source_namespace and match.source_namespace != client.namespace:
        return False
    return all(client.labels.get(key) == value for key, value in match.source_labels.items())


def redirect_of(
    route: virtualservice.HTTPRoute,
    redirect: virtualservice.HTTPRedirect,
    match: HTTPMatchRequest | None,
    name: str,
    rule: Rule,
    response_headers: HeaderOps | None,
) -> Redirect | None:
    status = redirect.redirect_code or 301
    if status not in REDIRECT_CODES:
        return None
    uri = redirect.prefix_rewrite if redirect.prefix_rewrite is not None else redirect.uri
    return Redirect(
        name=name,
        rule=rule,
        reason=Reason.REDIRECT,
        response_headers=response_headers,
        cors=cors_of(route.cors_policy),
        status=status,
        scheme=(redirect.scheme or "").encode(),
        authority=(redirect.authority or "").encode(),
        port=redirect.port or 0,
        from_request_port=redirect.derive_port is RedirectPortSelection.FROM_REQUEST_PORT,
        uri=uri.encode() if uri else None,
        prefix=max(matched_prefix(match), 0) if redirect.prefix_rewrite else -1,
    )


def body_of(response: virtualservice.HTTPDirectResponse) -> bytes:
    body = response.body
    if body is None:
        return b""
    return body.string.encode() if body.string is not None else bytes(body.bytes or b"")


def weighted(entries: Sequence[Weighted]) -> list[Weighted]:
    """A single destination counts whatever its weight; of several those without weight are dropped."""
    if len(entries) == 1:
        return list(entries)
    return [entry for entry in entries if entry.weight]


def weight_of(weight: int | None, count: int) -> int:
    return 100 if count == 1 else weight or 0


def session_of(destinations: Sequence[WeightedCluster]) -> StickySession | None:
    """How clients keep their endpoint among all of a route's: as the first of its Services has it that asks for it."""
    clusters = (entry.cluster for entry in destinations)
    return next((cluster.session for cluster in clusters if cluster is not None and cluster.session is not None), None)


def is_hashed(destinations: Sequence[WeightedCluster]) -> bool:
    return any(entry.cluster is not None and entry.cluster.load_balancer.hash is not None for entry in destinations)
