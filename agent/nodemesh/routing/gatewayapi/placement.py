"""One route at its parents: the listeners and Services that it attaches to, before its rivals are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...config.gatewayapi import GROUP
from ...config.gatewayapi.common import ParentReference
from ...config.kinds import ISTIO_GROUP
from ...config.meta import Object
from ...registry.snapshot import Resolution, Service, Snapshot
from . import GATEWAY_CONTROLLER, MESH_CONTROLLER
from .backends import BackendResolver, Resolved, ServiceReads
from .conditions import Condition, ParentVerdict, accepted, refused
from .grants import Grants
from .hosts import intersection
from .listeners import ListenerSpot, allows_namespace
from .rules import ListenerRoute, MeshRoute

#: Why a UDPRoute has no Service as its parent.
UDP_TEXT = "UDP between pods is left alone; a UDPRoute is for a Gateway"

#: A route by its kind and `namespace/name`.
RouteKey = tuple[str, str]
#: A listener by the kind and key of the object that it stands in and its name, or a Service by its host.
Where = tuple[str, str, str] | str


class RoutePlace(NamedTuple):
    """A route on a listener or a Service, by one of its parentRefs."""

    where: Where
    what: ListenerRoute | MeshRoute
    ref: ParentReference


class RoutePlacement:
    """What became of one route. It holds as long as the object, the services in `reads` and what stands in Gateways,
    grants and namespaces are the same."""

    __slots__ = ("entries", "item", "places", "reads", "resolved", "verdicts")

    def __init__(self, item: Object[Any]) -> None:
        self.item = item
        self.verdicts: list[ParentVerdict] = []
        self.places: list[RoutePlace] = []
        self.resolved: dict[bool, Resolved] = {}  # by whether it is of the mesh
        self.reads: ServiceReads = {}
        self.entries: set[str] = set()  # ServiceEntries among the parents, whose hosts are looked for

    @property
    def key(self) -> RouteKey:
        return self.item.kind, self.item.meta.key

    @property
    def age(self) -> tuple[float, str]:
        return self.item.meta.created, self.item.meta.key


def table_key(item: Object[Any], *, mesh: bool) -> str:
    """A route's key in the tables: backends of the mesh need no grants, so that it may be there twice."""
    return f"{item.kind} {item.meta.key}{' mesh' if mesh else ''}"


class Placer:
    """Places routes on one snapshot's listeners and Services. `known` are former placements."""

    def __init__(
        self,
        snapshot: Snapshot,
        grants: Grants,
        spots: Mapping[str, list[ListenerSpot]],
        known: Mapping[RouteKey, RoutePlacement],
    ) -> None:
        self._snapshot = snapshot
        self._grants = grants
        self._own = {key: [spot for spot in found if spot.item.kind == "Gateway"] for key, found in spots.items()}
        self._by_set: dict[str, list[ListenerSpot]] = {}
        for found in spots.values():
            for spot in found:
                if spot.item.kind == "ListenerSet":
                    self._by_set.setdefault(spot.item.meta.key, []).append(spot)
        self._known = known
        self._entries: dict[str, list[str]] | None = None  # the hosts of each ServiceEntry, where a route names one
        self._now = RoutePlacement(None)  # type: ignore[arg-type]  # the one at hand

    def place(self, item: Object[Any]) -> RoutePlacement:
        """None of the parents may be ours: then nothing is said."""
        now = self._now = RoutePlacement(item)
        for ref in item.spec.parent_refs:
            namespace = ref.namespace or item.meta.namespace
            key = f"{namespace}/{ref.name}"
            kind = (ref.group, ref.kind)
            if kind == (GROUP, "Gateway") and key in self._own:
                now.verdicts.append(self._at_listeners(item, ref, self._own[key]))
            elif kind == (GROUP, "ListenerSet") and key in self._by_set:
                now.verdicts.append(self._at_listeners(item, ref, self._by_set[key]))
            elif kind == ("", "Service"):
                host = f"{ref.name}.{namespace}.svc.{self._snapshot.mesh.cluster_domain}"
                now.verdicts.append(self._at_service(item, ref, [host]))
            elif kind == (ISTIO_GROUP, "ServiceEntry"):
                now.entries.add(key)
                now.verdicts.append(self._at_service(item, ref, self._hosts_of_entry(key)))
        for resolved in now.resolved.values():
            now.reads |= resolved.reads
        return now

    def _hosts_of_entry(self, key: str) -> list[str]:
        """All are gone through once, whatever the number of routes that name one."""
        if self._entries is None:
            self._entries = {}
            for host, services in self._snapshot.services.items():
                for entry in {entry_of(service) for service in services}:
                    self._entries.setdefault(entry, []).append(host)
        return self._entries.get(key, [])

    def _at_listeners(self, item: Object[Any], ref: ParentReference, spots: list[ListenerSpot]) -> ParentVerdict:
        """The listeners of a Gateway or a ListenerSet that the route attaches to."""
        fitting = [
            spot
            for spot in spots
            if ref.section_name in (None, spot.listener.name) and ref.port in (None, spot.listener.port)
        ]
        key = table_key(item, mesh=False)
        references = self._resolve(item, mesh=False).references
        if not fitting:
            text = f"{ref.kind} {ref.name} has no such listener"
            return ParentVerdict(ref, GATEWAY_CONTROLLER, (refused("NoMatchingParent", text), references))
        allowing = [spot for spot in fitting if self._allows(spot, item)]
        if not allowing:
            text = f"no listener lets {item.kind} of namespace {item.meta.namespace} attach (allowedRoutes)"
            return ParentVerdict(ref, GATEWAY_CONTROLLER, (refused("NotAllowedByListeners", text), references))
        found = False
        for spot in allowing:
            wanted = getattr(item.spec, "hostnames", ()) or ("",)
            meetings = [meeting for host in wanted if (meeting := intersection(spot.hostname, host)) is not None]
            if not meetings:
                continue
            found = True
            if spot.valid:
                place = ListenerRoute(key=key, kind=item.kind, hosts=tuple(dict.fromkeys(meetings)))
                self._now.places.append(RoutePlace(spot.name, place, ref))
        if not found:
            text = "no hostname of the route is one of a listener"
            return ParentVerdict(ref, GATEWAY_CONTROLLER, (refused("NoMatchingListenerHostname", text), references))
        return ParentVerdict(ref, GATEWAY_CONTROLLER, (accepted(), references))

    def _allows(self, spot: ListenerSpot, item: Object[Any]) -> bool:
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
            self._now.reads[host] = services
            service = next((one for one in services or () if one.kind == ref.kind), None)
            fault = self._service_fault(item, ref, service) if service is not None else trouble
            if fault is not None or service is None:
                trouble = fault or trouble
                continue
            attached = True
            named = next((port.number for port in service.ports if port.name == ref.section_name), 0)
            place = MeshRoute(
                key=table_key(item, mesh=True),
                kind=item.kind,
                namespace=item.meta.namespace,
                port=ref.port or (named if ref.section_name else 0),
            )
            self._now.places.append(RoutePlace(host, place, ref))
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

    def _resolve(self, item: Object[Any], *, mesh: bool) -> Resolved:
        found = self._now.resolved.get(mesh)
        if found is None:
            before = self._known.get((item.kind, item.meta.key))
            known = before.resolved.get(mesh) if before is not None else None
            same = known is not None and known.grants == self._grants.version(mesh=mesh)
            if known is not None and same and known.holds(item, self._snapshot):
                found = known
            else:
                found = BackendResolver(self._snapshot, self._grants, mesh=mesh).route(item)
            self._now.resolved[mesh] = found
        return found


def entry_of(service: Service) -> str:
    """The ServiceEntry behind it, `namespace/name`; empty where there is none."""
    return f"{service.namespace}/{service.entry}" if service.entry else ""
