"""The one stage in which routes find their parents: listeners, attachments, and every condition with its reason.

What one route comes to (placement.py) is kept until its object or a service that it names changes; then its rivals
(rivals.py) are settled again where it was and is, and nowhere else. Another Gateway, grant or namespace is rare, and
makes everything again."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from ...config.gatewayapi.common import ParentReference
from ...config.meta import Object
from ...registry.changed import changed_keys
from ...registry.snapshot import Snapshot
from . import CLASS, GATEWAY_CONTROLLER, MESH_CONTROLLER
from .backend_tls import BackendPolicies, client_pair
from .backend_traffic import TrafficPolicies
from .backends import ServiceReads, shape_of, stands
from .conditions import (
    AncestorVerdict,
    Condition,
    GatewayVerdict,
    ParentVerdict,
    accepted,
    holds,
    refused,
)
from .facts import AllIsWell, StatusFacts
from .grants import Grants
from .listeners import ListenerJudge, ListenerSpot, allows_namespace, sets_by_gateway
from .placement import Placer, RouteKey, RoutePlacement, Where, entry_of
from .rivals import PRECEDENCE, Lost, on_listener, on_service
from .rules import BackendTls, BackendTraffic, ListenerRoute, MeshRoute, ResolvedRoute, ServedListener
from .verdicts import GatewayVerdicts

#: The attributes of a Snapshot that hold routes, the most specific kind first.
ROUTES = ("grpc_routes", "http_routes", "tls_routes", "tcp_routes", "udp_routes")
KINDS = (*PRECEDENCE, "UDPRoute")
#: Those that all routes depend on.
GROUND = ("gateway_classes", "kubernetes_gateways", "listener_sets", "reference_grants", "meshes", "namespaces")
#: Those of the policies on Services.
POLICIES = ("backend_tls_policies", "backend_traffic_policies")

#: How a Gateway of a class whose controller is somebody else is treated: as if it were not there.
ALL_IS_WELL = AllIsWell()

#: The routes at one listener or Service, each with how it is there.
Guests = dict[RouteKey, list[tuple[ListenerRoute | MeshRoute, ParentReference]]]


class AttachResult:
    """The result: what is served, and what is to be said of each object (by kind and `namespace/name`)."""

    def __init__(self, snapshot: Snapshot, facts: StatusFacts) -> None:
        self.classes: dict[str, tuple[Condition, ...]] = {}
        self.meshes: dict[str, tuple[Condition, ...]] = {}
        self.gateways: dict[str, GatewayVerdict] = {}
        self.sets: dict[str, GatewayVerdict] = {}
        self.parents: dict[RouteKey, tuple[ParentVerdict, ...]] = {}
        self.listeners: dict[str, ServedListener] = {}
        self.mesh_routes: dict[str, tuple[MeshRoute, ...]] = {}  # by the Service's host
        self.routes: dict[str, ResolvedRoute] = {}
        self.spots: dict[str, list[ListenerSpot]] = {}  # by Gateway
        self.backend_tls: dict[str, tuple[BackendTls, ...]] = {}  # by the Service's host
        self.backend_traffic: dict[str, BackendTraffic] = {}  # likewise
        self.policies: dict[str, tuple[AncestorVerdict, ...]] = {}  # by BackendTLSPolicy
        self.traffic_policies: dict[str, tuple[AncestorVerdict, ...]] = {}  # by XBackendTrafficPolicy
        self.traffic_verdicts: dict[str, tuple[Condition, ...]] = {}  # of each target of such a one
        self.grants = Grants(snapshot.reference_grants.values())
        # What it was made of, and how far.
        self.snapshot = snapshot
        self.facts = facts
        self.placements: dict[RouteKey, RoutePlacement] = {}
        self.guests: dict[Where, Guests] = {}
        self.lost: dict[Where, Lost] = {}
        self.winners: dict[Where, frozenset[str]] = {}  # keys of routes in the tables
        self.readers: dict[str, set[RouteKey]] = {}  # by the host of a service that they look at
        self.policy_reads: ServiceReads = {}

    def successor(self, snapshot: Snapshot) -> AttachResult:
        """The same, to be changed where the snapshot has changed."""
        after = copy.copy(self)
        after.snapshot = snapshot
        for name in (
            "gateways", "sets", "parents", "listeners", "mesh_routes", "routes", "placements", "guests", "lost",
            "winners", "readers",
        ):  # fmt: skip
            setattr(after, name, dict(getattr(self, name)))
        return after

    def ground_holds(self, snapshot: Snapshot, facts: StatusFacts) -> bool:
        """Whether all listeners are the same, and what routes may name."""
        before = self.snapshot
        same = all(getattr(snapshot, name) is getattr(before, name) for name in GROUND)
        return same and facts is self.facts and snapshot.mesh is before.mesh

    def policies_hold(self, snapshot: Snapshot) -> bool:
        same = all(getattr(snapshot, name) is getattr(self.snapshot, name) for name in POLICIES)
        return same and stands(snapshot.services, self.policy_reads)

    def changed_routes(self, snapshot: Snapshot) -> set[RouteKey]:
        """Those whose object has changed, or a service that they look at, as far as routes care."""
        found: set[RouteKey] = set()
        for kind, attribute in zip(KINDS, ROUTES, strict=True):
            now: Mapping[str, object] = getattr(snapshot, attribute)
            found |= {(kind, key) for key in changed_keys(now, getattr(self.snapshot, attribute))}
        entries: dict[str, set[RouteKey]] = {}  # the routes that name each ServiceEntry
        for placement in self.placements.values():
            for entry in placement.entries:
                entries.setdefault(entry, set()).add(placement.key)
        for host in changed_keys(snapshot.services, self.snapshot.services):
            now_there, before = snapshot.services.get(host), self.snapshot.services.get(host)
            if not (readers := self.readers.get(host)) and not entries or shape_of(now_there) == shape_of(before):
                continue
            found |= readers or set()
            for service in (*(now_there or ()), *(before or ())):
                found |= entries.get(entry_of(service), set())
        return found


def attach(snapshot: Snapshot, facts: StatusFacts = ALL_IS_WELL, previous: AttachResult | None = None) -> AttachResult:
    """What of `previous` is the same is taken over; all of it where nothing has changed that it depends on."""
    if previous is None or not previous.ground_holds(snapshot, facts):
        known = previous.placements if previous is not None else {}
        return Attachment(snapshot, facts, AttachResult(snapshot, facts), known).whole()
    changed = previous.changed_routes(snapshot)
    if not changed and previous.policies_hold(snapshot):
        previous.snapshot = snapshot  # nothing that is said depends on it, and the next one is compared with this
        return previous
    return Attachment(snapshot, facts, previous.successor(snapshot), previous.placements).again(changed, previous)


class Attachment:
    """One run over a snapshot. `known` are former placements; what `result` shares with a former one is copied before
    it is changed."""

    def __init__(
        self, snapshot: Snapshot, facts: StatusFacts, result: AttachResult, known: Mapping[RouteKey, RoutePlacement]
    ) -> None:
        self._snapshot = snapshot
        self._facts = facts
        self._result = result
        self._grants = result.grants
        self._known = known
        self._spots: dict[Where, ListenerSpot] = {}
        self._touched: set[Where] = set()
        self._copied: set[tuple[int, Where]] = set()

    def whole(self) -> AttachResult:
        self._classes()
        self._gateways()
        self._spots = spots_of(self._result)
        self._touched.update(self._spots)
        self._change({(item.kind, item.meta.key) for item in routes_of(self._snapshot)})
        self._verdicts(self._result.spots)
        self._policies()
        return self._result

    def again(self, changed: set[RouteKey], before: AttachResult) -> AttachResult:
        result = self._result
        self._spots = spots_of(result)
        self._change(changed)
        counted = {
            self._spots[where].gateway
            for where in self._touched & self._spots.keys()
            if len(result.guests.get(where, ())) != len(before.guests.get(where, ()))
        }
        if counted:
            self._verdicts({gateway: result.spots[gateway] for gateway in counted})
        if any(getattr(one, name) for one in (self._snapshot, before.snapshot) for name in POLICIES):
            self._policies()
        return result

    def _verdicts(self, spots: dict[str, list[ListenerSpot]]) -> None:
        counts = {where: len(self._result.guests.get(where, ())) for where in self._spots}
        said = GatewayVerdicts(self._snapshot, self._facts, self._grants, spots, counts)
        self._result.gateways |= said.gateways
        self._result.sets |= said.sets

    def _policies(self) -> None:
        policies = BackendPolicies(self._snapshot, self._facts, self._result.listeners, self._result.routes)
        self._result.backend_tls, self._result.policies = policies.tls, policies.said
        traffic = TrafficPolicies(self._snapshot, self._result.listeners, self._result.routes)
        self._result.backend_traffic, self._result.traffic_policies = traffic.settings, traffic.said
        self._result.traffic_verdicts = traffic.verdicts
        self._result.policy_reads = policies.reads | traffic.reads

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
            spots = ListenerJudge(gateway, self._grants, self._facts).spots(sets[key])
            self._result.spots[key] = spots

    # === routes

    def _change(self, keys: set[RouteKey]) -> None:
        """Place these routes again, and settle wherever they were and are."""
        placements = self._result.placements
        placer = Placer(self._snapshot, self._grants, self._result.spots, self._known)
        for key in sorted(keys):
            before = placements.pop(key, None)
            if before is not None:
                self._leave(key, before)
            item: Object[Any] | None = getattr(self._snapshot, ROUTES[KINDS.index(key[0])]).get(key[1])
            placement = placer.place(item) if item is not None else None
            if placement is not None and placement.verdicts:
                placements[key] = placement
                self._enter(key, placement)
        affected = set(keys)
        for where in self._touched:
            affected |= self._settle(where)
        for key in affected:
            self._finish(key, placements.get(key))

    def _leave(self, key: RouteKey, placement: RoutePlacement) -> None:
        result = self._result
        for place in placement.places:
            self._touched.add(place.where)
            self._own(result.guests, place.where).pop(key, None)
        for host in placement.reads:
            readers = self._own(result.readers, host)
            readers.discard(key)
            if not readers:
                del result.readers[host]
                self._copied.discard((id(result.readers), host))

    def _enter(self, key: RouteKey, placement: RoutePlacement) -> None:
        result = self._result
        for place in placement.places:
            self._touched.add(place.where)
            self._own(result.guests, place.where).setdefault(key, []).append((place.what, place.ref))
        for host in placement.reads:
            self._own(result.readers, host).add(key)

    def _own(self, held: dict[Any, Any], key: Where) -> Any:
        """What stands there, as a copy that may be changed."""
        mark = (id(held), key)
        if mark not in self._copied:
            self._copied.add(mark)
            held[key] = copy.copy(held[key]) if key in held else {} if held is self._result.guests else set()
        return held[key]

    # === who wins

    def _settle(self, where: Where) -> set[RouteKey]:
        """Find who stays at a listener or a Service; the routes for which that is not as it was."""
        result = self._result
        guests = result.guests.get(where, {})
        placements = sorted((result.placements[key] for key in guests), key=precedence)
        places: list[Any] = [(one, what, ref) for one in placements for what, ref in guests[one.key]]
        winners: tuple[ListenerRoute | MeshRoute, ...]
        if isinstance(where, str):
            winners, lost = on_service(places)
            if winners:
                result.mesh_routes[where] = winners
            else:
                result.mesh_routes.pop(where, None)
        else:
            winners, lost = on_listener(places)
            self._serve(self._spots[where], winners)
        if not guests:
            result.guests.pop(where, None)
        keys = frozenset(winner.key for winner in winners)
        turned = {route_of(key) for key in keys ^ result.winners.get(where, frozenset())}
        turned |= {key for (key, _), _ in lost.items() ^ result.lost.get(where, Lost()).items()}
        result.winners[where], result.lost[where] = keys, lost
        return turned

    def _serve(self, spot: ListenerSpot, routes: tuple[ListenerRoute, ...]) -> None:
        if not spot.valid:
            return
        listener = ServedListener(
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

    # === what is said

    def _finish(self, key: RouteKey, placement: RoutePlacement | None) -> None:
        """What the tables have of a route, and what is to be said of it."""
        result = self._result
        for mesh in (False, True):
            result.routes.pop(f"{key[0]} {key[1]}{' mesh' if mesh else ''}", None)
        if placement is None:
            result.parents.pop(key, None)
            return
        for place in placement.places:
            if place.what.key in result.winners[place.where]:
                mesh = isinstance(place.where, str)
                result.routes[place.what.key] = placement.resolved[mesh].route
        result.parents[key] = tuple(self._finish_parent(placement, verdict) for verdict in placement.verdicts)

    def _finish_parent(self, placement: RoutePlacement, verdict: ParentVerdict) -> ParentVerdict:
        lost = ""
        for place in placement.places:
            if place.ref == verdict.parent:
                lost = lost or self._result.lost[place.where].get((placement.key, place.ref), "")
        resolution = placement.resolved[verdict.controller == MESH_CONTROLLER]
        faults = resolution.faults
        if not lost and not faults:
            return verdict
        conditions = list(verdict.conditions)
        if lost:
            conditions[0] = refused("Conflicted", lost)
        if faults and conditions[0].status:
            text = "; ".join(faults)
            if len(faults) == len(resolution.route.rules):
                conditions[0] = refused("UnsupportedValue", text)
            else:
                conditions.append(Condition("PartiallyInvalid", True, "UnsupportedValue", f"Dropped Rule: {text}"))
        return verdict._replace(conditions=tuple(conditions))


def spots_of(attached: AttachResult) -> dict[Where, ListenerSpot]:
    return {spot.name: spot for found in attached.spots.values() for spot in found}


def precedence(placement: RoutePlacement) -> tuple[int, float, str]:
    return KINDS.index(placement.item.kind), *placement.age


def route_of(table_key: str) -> RouteKey:
    kind, _, rest = table_key.partition(" ")
    return kind, rest.removesuffix(" mesh")


def routes_of(snapshot: Snapshot) -> Iterable[Object[Any]]:
    """All routes, of whatever kind."""
    for attribute in ROUTES:
        items: Mapping[str, Object[Any]] = getattr(snapshot, attribute)
        yield from items.values()
