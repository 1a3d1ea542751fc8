"""The one stage in which routes find their parents: listeners, attachments, and every condition with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...config.gatewayapi import GROUP
from ...config.gatewayapi.common import ParentReference
from ...config.kinds import ISTIO_GROUP
from ...config.meta import Object
from ...registry.snapshot import Resolution, Service, Snapshot
from . import CLASS, GATEWAY_CONTROLLER, MESH_CONTROLLER
from .backend_tls import BackendPolicies, client_pair
from .backends import Resolved, Resolver, ServiceReads, stands
from .conditions import (
    AncestorVerdict,
    Condition,
    GatewayVerdict,
    ParentVerdict,
    accepted,
    holds,
    refused,
)
from .facts import AllIsWell, Facts
from .grants import Grants
from .hosts import intersection
from .listeners import UDP_TEXT, Judge, Spot, allows_namespace, sets_by_gateway
from .rules import BackendTls, Listener, ListenerRoute, MeshRoute, Route
from .verdicts import GatewayVerdicts

#: The attributes of a Snapshot that hold routes, the most specific kind first.
ROUTES = ("grpc_routes", "http_routes", "tls_routes", "tcp_routes", "udp_routes")
#: The order of kinds on one port of a Service.
PRECEDENCE = ("GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute")

#: How a Gateway of a class whose controller is somebody else is treated: as if it were not there.
ALL_IS_WELL = AllIsWell()


class Attached:
    """The result: what is served, and what is to be said of each object (by kind and `namespace/name`)."""

    def __init__(self) -> None:
        self.classes: dict[str, tuple[Condition, ...]] = {}
        self.meshes: dict[str, tuple[Condition, ...]] = {}
        self.gateways: dict[str, GatewayVerdict] = {}
        self.sets: dict[str, GatewayVerdict] = {}
        self.parents: dict[tuple[str, str], tuple[ParentVerdict, ...]] = {}  # by route: kind, key
        self.listeners: dict[str, Listener] = {}
        self.mesh_routes: dict[str, tuple[MeshRoute, ...]] = {}  # by the Service's host
        self.routes: dict[str, Route] = {}
        self.spots: dict[str, list[Spot]] = {}  # by Gateway
        self.resolved: dict[str, Resolved] = {}  # by the route's key in `routes`
        self.backend_tls: dict[str, tuple[BackendTls, ...]] = {}  # by the Service's host
        self.policies: dict[str, tuple[AncestorVerdict, ...]] = {}  # by BackendTLSPolicy
        self.grants = Grants(())
        self.reads: ServiceReads = {}  # the services that were looked at, by host

    def services_hold(self, snapshot: Snapshot) -> bool:
        """Whether it would come out the same with these services."""
        services = snapshot.services
        if not stands(services, self.reads):
            return False
        return all(found.services_hold(services) for found in self.resolved.values())


def attach(snapshot: Snapshot, facts: Facts = ALL_IS_WELL, previous: Attached | None = None) -> Attached:
    """Everything anew, but for routes whose objects and services are the same in `previous`."""
    return Attachment(snapshot, facts, previous).run()


class Attachment:
    """One run over a snapshot."""

    def __init__(self, snapshot: Snapshot, facts: Facts, previous: Attached | None) -> None:
        self._snapshot = snapshot
        self._facts = facts
        self._grants = Grants(snapshot.reference_grants.values())
        self._result = Attached()
        self._result.grants = self._grants
        self._known = previous.resolved if previous is not None else {}
        self._by_set: dict[str, list[Spot]] = {}
        self._on_listeners: dict[tuple[str, str, str], list[tuple[ListenerRoute, Object[Any], ParentReference]]] = {}
        self._on_services: dict[str, list[tuple[MeshRoute, Object[Any], ParentReference]]] = {}
        self._pending: dict[tuple[str, str], list[ParentVerdict]] = {}
        self._lost: dict[tuple[str, str, ParentReference], str] = {}

    def run(self) -> Attached:
        self._classes()
        self._gateways()
        for attribute in ROUTES:
            items: Mapping[str, Object[Any]] = getattr(self._snapshot, attribute)
            for item in items.values():
                self._route(item)
        self._settle_listeners()
        self._settle_services()
        self._finish_routes()
        said = GatewayVerdicts(self._snapshot, self._facts, self._grants, self._result.spots)
        self._result.gateways = said.gateways
        self._result.sets |= said.sets
        policies = BackendPolicies(self._snapshot, self._facts, self._result.listeners, self._result.routes)
        self._result.backend_tls, self._result.policies = policies.tls, policies.said
        return self._result

    # === classes and Gateways

    def _classes(self) -> None:
        for items, controller, into in (
            (self._snapshot.gateway_classes, GATEWAY_CONTROLLER, self._result.classes),
            (self._snapshot.meshes, MESH_CONTROLLER, self._result.meshes),
        ):
            entries: Mapping[str, Object[Any]] = items
            for name, item in entries.items():
                if item.spec.controller_name != controller:
                    continue
                verdict = accepted()
                if item.spec.parameters_ref is not None:
                    verdict = refused("InvalidParameters", "parametersRef: there are no parameters; remove it")
                into[name] = (verdict, Condition("SupportedVersion", True, "SupportedVersion"))

    def _is_ours(self, name: str) -> bool:
        """Whether a class is served by us; the one of our name needs no object."""
        item = self._snapshot.gateway_classes.get(name)
        if item is None:
            return name == CLASS
        return holds(self._result.classes.get(name, ()), "Accepted")

    def _gateways(self) -> None:
        gateways = self._snapshot.kubernetes_gateways
        ours = {key: item for key, item in gateways.items() if self._is_ours(item.spec.gateway_class_name)}
        sets: dict[str, list[Object[Any]]] = {key: [] for key in ours}
        for key, item in sets_by_gateway(self._snapshot.listener_sets.values()):
            if key not in ours:
                continue
            allowed = ours[key].spec.allowed_listeners.namespaces
            if allows_namespace(
                allowed.from_, allowed.selector, ours[key].meta.namespace, item.meta.namespace,
                self._snapshot.namespaces,
            ):  # fmt: skip
                sets[key].append(item)
            else:
                text = (
                    f"Gateway {key} lets no ListenerSets of namespace {item.meta.namespace} attach (allowedListeners)"
                )
                conditions = (refused("NotAllowed", text), Condition("Programmed", False, "NotAllowed", text))
                self._result.sets[item.meta.key] = GatewayVerdict(conditions, ())
        for key, gateway in ours.items():
            spots = Judge(gateway, self._grants, self._facts).spots(sets[key])
            self._result.spots[key] = spots
            self._by_set |= {one.meta.key: [] for one in sets[key]}
            for spot in spots:
                if spot.item is not gateway:
                    self._by_set[spot.item.meta.key].append(spot)

    # === routes

    def _route(self, item: Object[Any]) -> None:
        verdicts: list[ParentVerdict] = []
        for ref in item.spec.parent_refs:
            namespace = ref.namespace or item.meta.namespace
            key = f"{namespace}/{ref.name}"
            kind = (ref.group, ref.kind)
            if kind == (GROUP, "Gateway") and key in self._result.spots:
                spots = [spot for spot in self._result.spots[key] if spot.item.kind == "Gateway"]
                verdicts.append(self._at_listeners(item, ref, spots))
            elif kind == (GROUP, "ListenerSet") and key in self._by_set:
                verdicts.append(self._at_listeners(item, ref, self._by_set[key]))
            elif kind == ("", "Service"):
                host = f"{ref.name}.{namespace}.svc.{self._snapshot.mesh.cluster_domain}"
                verdicts.append(self._at_service(item, ref, [host]))
            elif kind == (ISTIO_GROUP, "ServiceEntry"):
                verdicts.append(self._at_service(item, ref, self._hosts_of_entry(key)))
        if verdicts:
            self._pending[item.kind, item.meta.key] = verdicts

    def _hosts_of_entry(self, key: str) -> list[str]:
        namespace, _, name = key.partition("/")
        return [
            host
            for host, services in self._snapshot.services.items()
            if any((one.kind, one.namespace, one.name) == ("ServiceEntry", namespace, name) for one in services)
        ]

    def _at_listeners(self, item: Object[Any], ref: ParentReference, spots: list[Spot]) -> ParentVerdict:
        """The listeners of a Gateway or a ListenerSet that the route attaches to."""
        fitting = [
            spot
            for spot in spots
            if ref.section_name in (None, spot.listener.name) and ref.port in (None, spot.listener.port)
        ]
        key = self._key(item, mesh=False)
        references = self._resolve(item, mesh=False).references
        if not fitting:
            text = f"{ref.kind} {ref.name} has no such listener"
            return ParentVerdict(ref, GATEWAY_CONTROLLER, (refused("NoMatchingParent", text), references))
        allowing = [spot for spot in fitting if self._allows(spot, item)]
        if not allowing:
            text = f"no listener lets {item.kind} of namespace {item.meta.namespace} attach (allowedRoutes)"
            return ParentVerdict(ref, GATEWAY_CONTROLLER, (refused("NotAllowedByListeners", text), references))
        if item.kind == "UDPRoute":
            return ParentVerdict(ref, GATEWAY_CONTROLLER, (refused("UnsupportedValue", UDP_TEXT), references))
        found = False
        for spot in allowing:
            wanted = getattr(item.spec, "hostnames", ()) or ("",)
            meetings = [meeting for host in wanted if (meeting := intersection(spot.hostname, host)) is not None]
            if not meetings:
                continue
            found = True
            if spot.valid:
                place = ListenerRoute(key=key, kind=item.kind, hosts=tuple(dict.fromkeys(meetings)))
                self._on_listeners.setdefault(spot.name, []).append((place, item, ref))
        if not found:
            text = "no hostname of the route is one of a listener"
            return ParentVerdict(ref, GATEWAY_CONTROLLER, (refused("NoMatchingListenerHostname", text), references))
        return ParentVerdict(ref, GATEWAY_CONTROLLER, (accepted(), references))

    def _allows(self, spot: Spot, item: Object[Any]) -> bool:
        allowed = spot.listener.allowed_routes.namespaces
        return item.kind in spot.kinds and allows_namespace(
            allowed.from_, allowed.selector, spot.item.meta.namespace, item.meta.namespace, self._snapshot.namespaces
        )

    def _at_service(self, item: Object[Any], ref: ParentReference, hosts: list[str]) -> ParentVerdict:
        references = self._resolve(item, mesh=True).references
        trouble = refused("NoMatchingParent", f"there is no {ref.kind} {ref.name}")
        attached = False
        for host in hosts:
            services = self._snapshot.services.get(host)
            self._result.reads[host] = services
            service = next((one for one in services or () if one.kind == ref.kind), None)
            fault = self._service_fault(item, ref, service) if service is not None else trouble
            if fault is not None or service is None:
                trouble = fault or trouble
                continue
            attached = True
            named = next((port.number for port in service.ports if port.name == ref.section_name), 0)
            place = MeshRoute(
                key=self._key(item, mesh=True),
                kind=item.kind,
                namespace=item.meta.namespace,
                port=ref.port or (named if ref.section_name else 0),
            )
            self._on_services.setdefault(host, []).append((place, item, ref))
        condition = accepted() if attached else trouble
        return ParentVerdict(ref, MESH_CONTROLLER, (condition, references))

    def _service_fault(self, item: Object[Any], ref: ParentReference, service: Service) -> Condition | None:
        if item.kind == "UDPRoute":
            return refused("UnsupportedValue", UDP_TEXT)
        if service.resolution is Resolution.HEADLESS:
            return refused("UnsupportedValue", f"{service.host} is headless: clients dial its endpoints themselves")
        if ref.kind == "Service" and service.resolution is not Resolution.STATIC:
            return refused("UnsupportedValue", f"{service.host} is a name for something else (ExternalName)")
        if ref.port is not None and service.port(ref.port) is None:
            return refused("NoMatchingParent", f"{service.host} has no port {ref.port}")
        if ref.section_name is not None and all(port.name != ref.section_name for port in service.ports):
            return refused("NoMatchingParent", f"{service.host} has no port named {ref.section_name}")
        return None

    # === what routes say

    def _key(self, item: Object[Any], *, mesh: bool) -> str:
        return f"{item.kind} {item.meta.key}{' mesh' if mesh else ''}"

    def _resolve(self, item: Object[Any], *, mesh: bool) -> Resolved:
        key = self._key(item, mesh=mesh)
        found = self._result.resolved.get(key)
        if found is None:
            known = self._known.get(key)
            if (
                known is not None
                and known.grants == self._grants.version(mesh=mesh)
                and known.holds(item, self._snapshot)
            ):
                found = known
            else:
                found = Resolver(self._snapshot, self._grants, mesh=mesh).route(item)
            self._result.resolved[key] = found
        return found

    # === who wins

    def _settle_listeners(self) -> None:
        """On one host of one listener HTTPRoutes and GRPCRoutes are not mixed: the kind of the oldest stays. Of the
        TCPRoutes of a listener only the oldest gets traffic."""
        for spots in self._result.spots.values():
            for spot in spots:
                places = self._on_listeners.get(spot.name, [])
                spot.count = len({(item.kind, item.meta.key) for _, item, _ in places})
                if spot.valid:
                    served = tuple(self._winners(places))
                    self._add_listener(spot, served)

    def _winners(self, places: list[tuple[ListenerRoute, Object[Any], ParentReference]]) -> Iterator[ListenerRoute]:
        kinds: dict[str, tuple[tuple[float, str], str]] = {}  # host -> the oldest route there, and its kind
        for place, item, _ in places:
            for host in place.hosts:
                age = ((item.meta.created, item.meta.key), item.kind)
                kinds[host] = min(kinds.get(host, age), age)
        for place, item, ref in places:
            hosts = tuple(host for host in place.hosts if kinds[host][1] == item.kind)
            if not hosts:
                self._lost[item.kind, item.meta.key, ref] = "an older route of another kind has its hosts"
                continue
            yield ListenerRoute(key=place.key, kind=place.kind, hosts=hosts)

    def _add_listener(self, spot: Spot, routes: tuple[ListenerRoute, ...]) -> None:
        listener = Listener(
            gateway=spot.gateway,
            owner=spot.owner,
            name=spot.listener.name,
            port=spot.listener.port,
            protocol=spot.listener.protocol,
            hostname=spot.hostname,
            tls=spot.tls,
            client_pair=client_pair(self._snapshot.kubernetes_gateways[spot.gateway], self._grants),
            routes=routes,
        )
        self._result.listeners["/".join((spot.gateway, *spot.name))] = listener
        for route in routes:
            self._result.routes.setdefault(route.key, self._result.resolved[route.key].route)

    def _settle_services(self) -> None:
        """On one port of a Service the most specific kind counts, among the routes of one namespace."""
        for host, places in self._on_services.items():
            kept = []
            known = firsts_of(place for place, _, _ in places)
            for place, item, ref in places:
                rival = rival_of(place, known)
                if rival is not None:
                    self._lost[item.kind, item.meta.key, ref] = f"{rival.key.removesuffix(' mesh')} is more specific"
                    continue
                kept.append(place)
                self._result.routes.setdefault(place.key, self._result.resolved[place.key].route)
            if kept:
                self._result.mesh_routes[host] = tuple(kept)

    # === what is said

    def _finish_routes(self) -> None:
        for (kind, key), verdicts in self._pending.items():
            self._result.parents[kind, key] = tuple(self._finish_parent(kind, key, verdict) for verdict in verdicts)

    def _finish_parent(self, kind: str, key: str, verdict: ParentVerdict) -> ParentVerdict:
        lost = self._lost.get((kind, key, verdict.parent)) if self._lost else None
        mesh = verdict.controller == MESH_CONTROLLER
        resolution = self._result.resolved[f"{kind} {key} mesh" if mesh else f"{kind} {key}"]
        faults = resolution.faults
        if lost is None and not faults:
            return verdict
        conditions = list(verdict.conditions)
        if lost is not None:
            conditions[0] = refused("Conflicted", lost)
        if faults and conditions[0].status:
            text = "; ".join(faults)
            if len(faults) == len(resolution.route.rules):
                conditions[0] = refused("UnsupportedValue", text)
            else:
                conditions.append(Condition("PartiallyInvalid", True, "UnsupportedValue", f"Dropped Rule: {text}"))
        return verdict._replace(conditions=tuple(conditions))


#: Among a Service's ports: whichever it is.
ANY_PORT = -1

#: By namespace, kind and port the first route that is there, with its number.
Firsts = dict[tuple[str, str, int], tuple[int, MeshRoute]]


def firsts_of(places: Iterable[MeshRoute]) -> Firsts:
    """A tenant may have as many routes as it likes at one Service: none is held against all others."""
    found: Firsts = {}
    for number, place in enumerate(places):
        for port in (place.port, ANY_PORT):
            found.setdefault((place.namespace, place.kind, port), (number, place))
    return found


def rival_of(place: MeshRoute, known: Firsts) -> MeshRoute | None:
    """The first route of the same namespace on the same port that is of a more specific kind."""
    ports = (place.port, 0) if place.port else (ANY_PORT,)
    kinds = PRECEDENCE[: PRECEDENCE.index(place.kind)]
    rivals = [known.get((place.namespace, kind, port)) for kind in kinds for port in ports]
    first = min((rival for rival in rivals if rival is not None), key=number_of, default=None)
    return None if first is None else first[1]


def number_of(entry: tuple[int, MeshRoute]) -> int:
    return entry[0]


def routes_of(snapshot: Snapshot) -> Iterable[Object[Any]]:
    """All routes, of whatever kind."""
    for attribute in ROUTES:
        items: Mapping[str, Object[Any]] = getattr(snapshot, attribute)
        yield from items.values()
