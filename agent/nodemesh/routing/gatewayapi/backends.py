"""What a route's backendRefs mean: services of the registry, or why one cannot take its share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...config import regex
from ...config.gatewayapi import GROUP, X_GROUP
from ...config.gatewayapi.common import BackendReference
from ...config.gatewayapi.filters import GRPCRouteFilter, HTTPRouteFilter, HTTPRouteFilterType
from ...config.gatewayapi.routes import (
    GRPCMethodMatch,
    GRPCRouteRule,
    GRPCRouteSpec,
    HTTPBackendRef,
    HTTPHeaderMatch,
    HTTPPathMatch,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPRouteSpec,
    MatchType,
    PathMatchType,
    TCPRouteSpec,
    TLSRouteSpec,
    UDPRouteSpec,
)
from ...config.kinds import ISTIO_GROUP
from ...config.meta import Object
from ...registry.snapshot import Protocol, Service, Snapshot
from ..decision import Owner, Rule
from .conditions import Condition, resolved, unresolved
from .grants import Grants
from .rules import ResolvedRoute, RouteBackend, RouteRule

#: What was read of the snapshot's services while a route was resolved: by host what stood there.
ServiceReads = dict[str, tuple[Service, ...] | None]


def stands(services: Mapping[str, tuple[Service, ...]], reads: ServiceReads) -> bool:
    """Whether what was read is the same as far as routes care. Most of it is the very same object."""
    for host, seen in reads.items():
        now = services.get(host)
        if now is not seen and shape_of(now) != shape_of(seen):
            return False
    return True


def shape_of(services: Iterable[Service] | None) -> tuple[object, ...]:
    """What routes care for: kinds and ports; endpoints come and go without them."""
    return tuple((one.kind, one.namespace, one.name, one.entry, one.ports, one.resolution) for one in services or ())


class Resolved:
    """A route as it goes into the tables, with what its references are."""

    __slots__ = ("faults", "grants", "item", "reads", "references", "route")

    def __init__(
        self,
        item: Object[HTTPRouteSpec],
        route: ResolvedRoute,
        references: Condition,
        faults: list[str],
        reads: ServiceReads,
        grants: frozenset[object],
    ) -> None:
        self.grants = grants
        self.item = item
        self.route = route
        self.references = references
        self.faults = faults  # rules that cannot be carried out, each with the reason
        self.reads = reads

    def holds(self, item: object, snapshot: Snapshot) -> bool:
        """Whether it would come out the same."""
        return self.item is item and self.services_hold(snapshot.services)

    def services_hold(self, services: Mapping[str, tuple[Service, ...]]) -> bool:
        return stands(services, self.reads)


class BackendResolver:
    """Resolves routes against one snapshot. `mesh`: routes on Services need no grants."""

    def __init__(self, snapshot: Snapshot, grants: Grants, *, mesh: bool) -> None:
        self._services = snapshot.services
        self._domain = snapshot.mesh.cluster_domain
        self._grants = grants
        self._mesh = mesh
        self._reads: ServiceReads = {}
        self._conditions: list[Condition] = []

    def route(self, item: Object[HTTPRouteSpec]) -> Resolved:
        """Of any kind of route."""
        self._reads, self._conditions = {}, []
        faults: list[str] = []
        rules = []
        for index, spec in enumerate(rules_of(item.spec)):
            rule = Rule(
                owner=owner_of(item),
                path=f"spec.rules[{index}]",
                location=item.locate("spec", "rules", index),
            )
            fault = fault_of(spec)
            if fault:
                faults.append(f"{rule.path}: {fault}")
            self._extensions(spec.filters)
            backends = tuple(self._backend(item, ref, index, place) for place, ref in enumerate(spec.backend_refs))
            mirrors = tuple(self._mirrors(item, spec.filters))
            auth = next((one.external_auth for one in spec.filters if one.external_auth is not None), None)
            extended = any(entry.type is HTTPRouteFilterType.EXTENSION_REF for entry in spec.filters)
            rules.append(
                RouteRule(
                    rule=rule,
                    spec=spec,
                    backends=backends,
                    mirrors=mirrors,
                    auth=self.backend(item, auth.backend_ref) if auth is not None else None,
                    fault="UnsupportedValue" if fault else "InvalidKind" if extended else "",
                )
            )
        hostnames = tuple(getattr(item.spec, "hostnames", ()))
        route = ResolvedRoute(owner=owner_of(item), created=item.meta.created, hostnames=hostnames, rules=tuple(rules))
        references = self._conditions[0] if self._conditions else resolved()
        return Resolved(item, route, references, faults, self._reads, self._grants.version(mesh=self._mesh))

    def _backend(self, item: Object[HTTPRouteSpec], ref: HTTPBackendRef, rule: int, place: int) -> RouteBackend:
        found = self.backend(item, ref)
        self._extensions(ref.filters)
        mirrors = tuple(self._mirrors(item, ref.filters))
        fault = found.fault
        if not fault and any(entry.type in UNSUPPORTED_AT_BACKENDS for entry in ref.filters):
            fault = "UnsupportedValue"
        return RouteBackend(host=found.host, port=found.port, weight=ref.weight, fault=fault, mirrors=mirrors)

    def _mirrors(self, item: Object[HTTPRouteSpec], filters: Sequence[HTTPRouteFilter]) -> Iterable[RouteBackend]:
        for entry in filters:
            if entry.request_mirror is not None:
                yield self.backend(item, entry.request_mirror.backend_ref)

    def _extensions(self, filters: Sequence[HTTPRouteFilter]) -> None:
        for entry in filters:
            if entry.extension_ref is not None:
                ref = entry.extension_ref
                self._conditions.append(unresolved("InvalidKind", f"filter {ref.kind}.{ref.group} is not known here"))

    def backend(self, item: Object[HTTPRouteSpec], ref: BackendReference) -> RouteBackend:
        """A backend without its share; what is wrong with it goes into the condition."""
        namespace = ref.namespace or item.meta.namespace
        origin = (GROUP, item.kind, item.meta.namespace)
        if (ref.group, ref.kind) == (ISTIO_GROUP, "Hostname"):
            for service in self._services.get(ref.name, ()):
                if service.kind == "Service" and not self._may_use(origin, service.namespace, service.name):
                    self._reads[ref.name] = self._services.get(ref.name)
                    return self._refuse(item, service.namespace, service.name)
            return self._named(item, ref, ref.name)
        if (ref.group, ref.kind) != ("", "Service"):
            shown = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
            right = f"a ServiceEntry, by a Hostname of {ISTIO_GROUP}" if ref.group == X_GROUP else "a Service"
            return self._fault("InvalidKind", f"{shown} {ref.name} is not a kind of backend; right is {right}")
        if not self._may_use(origin, namespace, ref.name):
            return self._refuse(item, namespace, ref.name)
        return self._named(item, ref, f"{ref.name}.{namespace}.svc.{self._domain}")

    def _may_use(self, origin: tuple[str, str, str], namespace: str, name: str) -> bool:
        """Whether a route may name this Service, by whichever of its names."""
        return self._mesh or self._grants.allows(origin, "", "Service", namespace, name)

    def _refuse(self, item: Object[HTTPRouteSpec], namespace: str, name: str) -> RouteBackend:
        text = f"no ReferenceGrant in {namespace} lets {item.kind} of {item.meta.namespace} use Service {name}"
        return self._fault("RefNotPermitted", text)

    def _named(self, item: Object[HTTPRouteSpec], ref: BackendReference, host: str) -> RouteBackend:
        services = self._services.get(host)
        self._reads[host] = services
        wanted = "Service" if ref.kind == "Service" else ""
        service = next((entry for entry in services or () if not wanted or entry.kind == wanted), None)
        if service is None:
            return self._fault("BackendNotFound", f"there is no {ref.kind} {host}")
        ports = [port for port in service.ports if port.number == ref.port or not ref.port and len(service.ports) == 1]
        if not ports:
            right = ", ".join(str(entry.number) for entry in service.ports) or "none"
            return self._fault("BackendNotFound", f"{ref.kind} {host} has no port {ref.port}; it has {right}")
        over_udp = item.kind == "UDPRoute"
        if all((port.protocol is Protocol.UDP) is not over_udp for port in ports):  # TCP and UDP may share a number
            spoken = "TCP" if over_udp else "UDP"
            return self._fault("UnsupportedProtocol", f"port {ports[0].number} of {host} is for {spoken}")
        return RouteBackend(host=host, port=ports[0].number)

    def _fault(self, reason: str, message: str) -> RouteBackend:
        self._conditions.append(unresolved(reason, message))
        return RouteBackend(fault=reason)


#: What a backend's own filters cannot do.
UNSUPPORTED_AT_BACKENDS = frozenset(
    {HTTPRouteFilterType.CORS, HTTPRouteFilterType.EXTERNAL_AUTH, HTTPRouteFilterType.EXTENSION_REF}
)


#: What would be done before another service has let the request pass.
UNGUARDED = frozenset({HTTPRouteFilterType.REQUEST_REDIRECT, HTTPRouteFilterType.REQUEST_MIRROR})


def owner_of(item: Object[HTTPRouteSpec]) -> Owner:
    return Owner(kind=item.kind, namespace=item.meta.namespace, name=item.meta.name, location=item.location)


def fault_of(rule: HTTPRouteRule) -> str:
    """Why a rule cannot be carried out at all; empty where it can."""
    filters = [*rule.filters, *(entry for ref in rule.backend_refs for entry in ref.filters)]
    if any(entry.external_auth is not None for entry in rule.filters):
        for entry in filters:
            if entry.type in UNGUARDED:
                return f"the filter {entry.type.value} is not carried out beside ExternalAuth"
    for match in rule.matches:
        texts = [(match.path.type is PathMatchType.REGULAR_EXPRESSION, match.path.value)]
        texts += [(entry.type is MatchType.REGULAR_EXPRESSION, entry.value) for entry in match.headers]
        texts += [(entry.type is MatchType.REGULAR_EXPRESSION, entry.value) for entry in match.query_params]
        for is_regex, value in texts:
            if is_regex:
                try:
                    regex.compile(value)
                except regex.RegexError as error:
                    return f"`{value}` is not an RE2 expression: {error}"
    return ""


def rules_of(spec: object) -> Iterable[HTTPRouteRule]:
    """The rules in the form that an HTTPRoute gives them."""
    if isinstance(spec, HTTPRouteSpec):
        return spec.rules
    if isinstance(spec, GRPCRouteSpec):
        return tuple(http_rule(rule) for rule in spec.rules)
    if isinstance(spec, (TLSRouteSpec, TCPRouteSpec, UDPRouteSpec)):
        return tuple(
            HTTPRouteRule(
                name=rule.name,
                backend_refs=tuple(
                    HTTPBackendRef(
                        group=ref.group, kind=ref.kind, namespace=ref.namespace, name=ref.name, port=ref.port,
                        weight=ref.weight,
                    )
                    for ref in rule.backend_refs
                ),
            )
            for rule in spec.rules
        )  # fmt: skip
    return ()


def http_rule(rule: GRPCRouteRule) -> HTTPRouteRule:
    """A gRPC call is a request to /service/method."""
    matches = tuple(
        HTTPRouteMatch(
            path=path_of(match.method),
            headers=tuple(HTTPHeaderMatch(type=one.type, name=one.name, value=one.value) for one in match.headers),
        )
        for match in rule.matches
    )
    return HTTPRouteRule(
        name=rule.name,
        matches=matches or (HTTPRouteMatch(),),
        filters=tuple(map(http_filter, rule.filters)),
        backend_refs=tuple(
            HTTPBackendRef(
                group=ref.group, kind=ref.kind, namespace=ref.namespace, name=ref.name, port=ref.port,
                weight=ref.weight, filters=tuple(map(http_filter, ref.filters)),
            )
            for ref in rule.backend_refs
        ),
        session_persistence=rule.session_persistence,
    )  # fmt: skip


def http_filter(entry: GRPCRouteFilter) -> HTTPRouteFilter:
    return HTTPRouteFilter(
        type=HTTPRouteFilterType(entry.type.value),
        request_header_modifier=entry.request_header_modifier,
        response_header_modifier=entry.response_header_modifier,
        request_mirror=entry.request_mirror,
        extension_ref=entry.extension_ref,
    )


def path_of(method: GRPCMethodMatch | None) -> HTTPPathMatch:
    if method is None:
        return HTTPPathMatch()
    if method.type is MatchType.REGULAR_EXPRESSION:
        service, name = method.service or "[^/]+", method.method or "[^/]+"
        return HTTPPathMatch(type=PathMatchType.REGULAR_EXPRESSION, value=f"/{service}/{name}")
    service = (method.service or "").removeprefix(".")
    if service and method.method:
        return HTTPPathMatch(type=PathMatchType.EXACT, value=f"/{service}/{method.method}")
    if service:
        return HTTPPathMatch(value=f"/{service}")
    return HTTPPathMatch(type=PathMatchType.REGULAR_EXPRESSION, value=f"/[^/]+/{method.method}")
