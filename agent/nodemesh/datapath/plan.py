"""What the kernel's service maps are to hold, from what the clients see: pure, the same for the same views, and how one
such content becomes another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple, Protocol

from ..config.meshconfig import FailurePolicy
from ..registry.snapshot import Endpoint
from ..registry.snapshot import Protocol as PortProtocol
from ..routing import frontend as routing
from ..routing.decision import Algorithm
from ..routing.frontend import Frontend
from .maps import MAPPED_PREFIX, Backend, Mode, NetworkKey, ServiceEntry, ServiceFlag, ServiceKey, pack_address
from .slots import slots

_MODES = {
    routing.Mode.PASS: Mode.PASS,
    routing.Mode.KERNEL: Mode.KERNEL,
    routing.Mode.PROXY: Mode.PROXY,
}
_PASS = ServiceEntry(Mode.PASS)

Key = ServiceKey | NetworkKey


class View(Protocol):
    """What plan needs of routing's view of one client."""

    def frontends(self) -> Iterable[Frontend]: ...


@dataclass(frozen=True)
class Plan:
    """The maps' contents: `entries` by their key in `services` or `networks`; `backends` has each set's slots by the
    set's name, which is made from the slots, so that a set never changes. `owners` names the service port that a key
    belongs to: its keys are in the maps all or none."""

    entries: Mapping[Key, ServiceEntry] = field(default_factory=dict)
    backends: Mapping[int, tuple[Backend, ...]] = field(default_factory=dict)
    owners: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What to do to the maps. Owners whose keys are set wait for their backends."""

    set: Mapping[Key, ServiceEntry]
    delete: tuple[Key, ...]
    backends: Mapping[int, tuple[Backend, ...]]
    delete_backends: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.set or self.delete or self.backends or self.delete_backends)


class _Place(NamedTuple):
    """A dialled network (full prefix: one address) and port, within one view."""

    address: bytes
    prefix: int
    port: int

    def covers(self, other: _Place) -> bool:
        shift = 128 - self.prefix
        same = int.from_bytes(self.address, "big") >> shift == int.from_bytes(other.address, "big") >> shift
        return same and self.prefix <= other.prefix and self.port in (0, other.port)


#: All of IPv4, as it is kept.
_IPV4 = _Place(MAPPED_PREFIX + bytes(4), 96, 0)


class _Wanted(NamedTuple):
    entry: ServiceEntry
    owner: str


class _Read(NamedTuple):
    """What a frontend means: what to write where, and the sets that this names."""

    frontend: Frontend
    places: list[tuple[_Place, _Wanted]]
    sets: dict[int, tuple[Backend, ...]]


class Planner:
    """Makes one plan after the other. What a frontend means is read once, however many views share it and however many
    plans it outlives: a change costs what changed, and a comparison of the rest."""

    def __init__(self) -> None:
        self._known: dict[int, _Read] = {}  # by the frontend's id, which the value keeps taken
        self._without: frozenset[Backend] = frozenset()

    def plan(
        self, views: Iterable[tuple[int, View]], reverse: bool = False, without: frozenset[Backend] = frozenset()
    ) -> Plan:
        """The maps' contents for these (number, view) pairs. View 0, if given, is written once for all: the other
        views get what differs from it. With `reverse`, endpoints of services that the proxy serves lead to their
        service too, for hosts where another program has rewritten the virtual address before us. The endpoints in
        `without` are left out wherever others remain."""
        before = self._known if without == self._without else {}
        self._known = {}
        self._without = without
        seen = {number: self._see(view, before, reverse) for number, view in views}
        base = seen.get(0, {})
        content: dict[Key, _Wanted] = {}
        for number, places in seen.items():
            for place, wanted in places.items():
                if _is_network(place):
                    content[NetworkKey(number, place.address, place.prefix, place.port)] = wanted
            for place, wanted in _differences(base if number else {}, places):
                content[ServiceKey(number, place.address, place.port)] = wanted
        entries = {key: wanted.entry for key, wanted in content.items()}
        used = {entry.backends for entry in entries.values() if entry.slots}
        return Plan(
            entries=entries,
            backends={name: set_ for one in self._known.values() for name, set_ in one.sets.items() if name in used},
            owners={key: wanted.owner for key, wanted in content.items()},
        )

    def _read(self, frontend: Frontend, before: Mapping[int, _Read]) -> _Read:
        known = self._known.get(id(frontend)) or before.get(id(frontend))
        if known is None:
            owner = _owner(frontend)
            sets: dict[int, tuple[Backend, ...]] = {}
            places = [
                (place, _Wanted(_entry(frontend, place, self._without, sets), owner)) for place in _places(frontend)
            ]
            known = _Read(frontend, places, sets)
        self._known[id(frontend)] = known
        return known

    def _see(self, view: View, before: Mapping[int, _Read], reverse: bool) -> dict[_Place, _Wanted]:
        """One view's contents, complete by itself; the first of several frontends for a place counts."""
        places: dict[_Place, _Wanted] = {}
        passed: dict[_Place, _Wanted] = {}
        frontends = [frontend for frontend in view.frontends() if frontend.protocol is not PortProtocol.UDP]
        for frontend in frontends:
            for place, wanted in self._read(frontend, before).places:
                if place not in places and place not in passed:
                    kept = passed if wanted.entry.mode is Mode.PASS else places
                    kept[place] = wanted
        for place, wanted in list(places.items()):
            # IPv4 addresses are kept as ::ffff:a.b.c.d, but no IPv6 network means them.
            mapped = _IPV4._replace(port=place.port)
            if place.prefix < mapped.prefix and place.covers(mapped):
                places.setdefault(mapped, _Wanted(_PASS, wanted.owner))
        networks = [place for place in places if _is_network(place)]
        for place, wanted in passed.items():
            # Passing is what happens anyway, except inside a network that does not pass.
            if networks and any(network.covers(place) for network in networks):
                places[place] = wanted
        if reverse:
            _add_endpoints(frontends, places)
        return places


def plan(views: Iterable[tuple[int, View]], reverse: bool = False, without: frozenset[Backend] = frozenset()) -> Plan:
    """A plan from scratch; see Planner.plan."""
    return Planner().plan(views, reverse, without)


def diff(current: Plan, wanted: Plan) -> Changes:
    """From one content to the other; empty (false) where they are equal."""
    return Changes(
        set={key: entry for key, entry in wanted.entries.items() if current.entries.get(key) != entry},
        delete=tuple(key for key in current.entries if key not in wanted.entries),
        backends={name: slots_ for name, slots_ in wanted.backends.items() if name not in current.backends},
        delete_backends=tuple(name for name in current.backends if name not in wanted.backends),
    )


def set_name(slots_: tuple[Backend, ...]) -> int:
    """A set's name: a hash of its slots, never 0."""
    digest = blake2b(b"".join(backend.pack() for backend in slots_), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _is_network(place: _Place) -> bool:
    return place.prefix < 128 or place.port == 0


def _differences(base: Mapping[_Place, _Wanted], places: Mapping[_Place, _Wanted]) -> Iterator[tuple[_Place, _Wanted]]:
    """What must be written of a view beside view 0: other entries, and for what view 0 alone has, what the client gets
    instead."""
    for place, wanted in places.items():
        if not _is_network(place) and base.get(place) != wanted:
            yield place, wanted
    networks = sorted((place for place in places if _is_network(place)), key=lambda one: (one.port == 0, -one.prefix))
    for place, theirs in base.items():
        if not _is_network(place) and place not in places:
            instead = next((network for network in networks if network.covers(place)), None)
            yield place, places[instead] if instead is not None else _Wanted(_PASS, theirs.owner)


def _places(frontend: Frontend) -> Iterator[_Place]:
    """Host names among the addresses are left out: nobody can dial them."""
    for address in frontend.addresses:
        try:
            yield _place(address, frontend.port)
        except ValueError:
            continue
    if _is_api_server(frontend):
        # Its real port differs from the service's, and clients outside the mesh's DNS dial it directly.
        for endpoint in _endpoints(frontend):
            yield _place(endpoint.address, endpoint.port)


def _place(address: str, port: int) -> _Place:
    if "/" not in address:
        return _Place(pack_address(address), 128, port)
    network: IPv4Network | IPv6Network = ip_network(address, strict=False)
    prefix = network.prefixlen + (96 if network.version == 4 else 0)
    return _Place(pack_address(str(network.network_address)), prefix, port)


def _is_api_server(frontend: Frontend) -> bool:
    """The Kubernetes API is never taken over: what the cluster's own controllers need must not depend on us."""
    service = frontend.service
    return service is not None and service.name == "kubernetes" and service.namespace == "default"


def _endpoints(frontend: Frontend) -> tuple[Endpoint, ...]:
    service = frontend.service
    return service.endpoints.get(frontend.service_port or frontend.port, ()) if service is not None else ()


def _owner(frontend: Frontend) -> str:
    host = frontend.service.host if frontend.service is not None else ",".join(frontend.addresses)
    return f"{host}:{frontend.port}"


def _entry(
    frontend: Frontend, place: _Place, without: frozenset[Backend], sets: dict[int, tuple[Backend, ...]]
) -> ServiceEntry:
    mode = Mode.PASS if _is_api_server(frontend) else _MODES[frontend.mode]
    if mode is Mode.PASS:
        return _PASS
    if mode is Mode.KERNEL:
        if frontend.tcp is None:
            return _PASS
        chosen = slots(frontend.tcp, place.address.startswith(MAPPED_PREFIX), without)
        name = set_name(chosen)
        sets[name] = chosen
        turns = any(one.cluster and one.cluster.load_balancer.algorithm is Algorithm.ROUND_ROBIN
                    for one in frontend.tcp.destinations)  # fmt: skip
        flags = ServiceFlag.ROUND_ROBIN if turns else ServiceFlag.NONE
        return ServiceEntry(mode, flags, name, len(chosen))
    closed = frontend.failure_policy is FailurePolicy.CLOSED
    return ServiceEntry(mode, ServiceFlag.FAIL_CLOSED if closed else ServiceFlag.NONE)


def _add_endpoints(frontends: list[Frontend], places: dict[_Place, _Wanted]) -> None:
    """Entries for the endpoints of services that the proxy serves, with the service's own address as alias."""
    for frontend in frontends:
        if frontend.mode is not routing.Mode.PROXY or _is_api_server(frontend):
            continue
        virtual = {place.address.startswith(MAPPED_PREFIX): place for place in _places(frontend) if place.prefix == 128}
        for endpoint in _endpoints(frontend):
            try:
                place = _place(endpoint.address, endpoint.port)
            except ValueError:
                continue
            alias = virtual.get(place.address.startswith(MAPPED_PREFIX))
            if alias is None or alias not in places or place in places:
                continue
            entry = places[alias].entry._replace(alias=alias.address, alias_port=alias.port)
            places[place] = _Wanted(entry, _owner(frontend))
