"""Who stays where several routes are on one listener or one port of a Service; pure."""

from __future__ import annotations

from collections.abc import Iterable

from ...config.gatewayapi.common import ParentReference
from .placement import RouteKey, RoutePlacement
from .rules import ListenerRoute, MeshRoute

#: The order of kinds on one port of a Service.
PRECEDENCE = ("GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute")

#: Why a route lost its place, by the route and its parentRef.
Lost = dict[tuple[RouteKey, ParentReference], str]


def on_listener(
    places: Iterable[tuple[RoutePlacement, ListenerRoute, ParentReference]],
) -> tuple[tuple[ListenerRoute, ...], Lost]:
    """On one host of one listener HTTPRoutes and GRPCRoutes are not mixed: the kind of the oldest stays."""
    places = list(places)
    kinds: dict[str, tuple[tuple[float, str], str]] = {}  # host -> the oldest route there, and its kind
    for placement, place, _ in places:
        for host in place.hosts:
            age = (placement.age, placement.item.kind)
            kinds[host] = min(kinds.get(host, age), age)
    kept, lost = [], Lost()
    for placement, place, ref in places:
        hosts = tuple(host for host in place.hosts if kinds[host][1] == placement.item.kind)
        if hosts:
            kept.append(ListenerRoute(key=place.key, kind=place.kind, hosts=hosts))
        else:
            lost[placement.key, ref] = "an older route of another kind has its hosts"
    return tuple(kept), lost


def on_service(
    places: Iterable[tuple[RoutePlacement, MeshRoute, ParentReference]],
) -> tuple[tuple[MeshRoute, ...], Lost]:
    """On one port of a Service the most specific kind counts, among the routes of one namespace."""
    places = list(places)
    kept, lost = [], Lost()
    known = firsts_of(place for _, place, _ in places)
    for placement, place, ref in places:
        rival = rival_of(place, known)
        if rival is None:
            kept.append(place)
        else:
            lost[placement.key, ref] = f"{rival.key.removesuffix(' mesh')} is more specific"
    return tuple(kept), lost


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
