"""What one view has to have in the service maps, place by place, kept in step with what its client sees."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from ..config.annotations import FAILURE_POLICY_ANNOTATION
from ..config.meshconfig import FailurePolicy
from ..registry.snapshot import Endpoint, Protocol
from ..routing import frontend as routing
from ..routing.decision import Algorithm
from ..routing.frontend import Frontend
from ..routing.ownership import ENTRY
from .maps import MAPPED_PREFIX, Backend, EntryMode, ServiceEntry, ServiceFlag, pack_address
from .slots import set_name, slots

_MODES = {
    routing.Mode.PASS: EntryMode.PASS,
    routing.Mode.KERNEL: EntryMode.KERNEL,
    routing.Mode.PROXY: EntryMode.PROXY,
}
PASS = ServiceEntry(EntryMode.PASS)


class DialledPlace(NamedTuple):
    """A dialled network (full prefix: one address) and port, within one view."""

    address: bytes
    prefix: int
    port: int

    def covers(self, other: DialledPlace) -> bool:
        shift = 128 - self.prefix
        same = int.from_bytes(self.address, "big") >> shift == int.from_bytes(other.address, "big") >> shift
        return same and self.prefix <= other.prefix and self.port in (0, other.port)


#: All of IPv4, as it is kept.
_IPV4 = DialledPlace(MAPPED_PREFIX + bytes(4), 96, 0)


class PlannedEntry(NamedTuple):
    """An entry, the service port that it belongs to, and the slots of the set that it names. `claimant` is the
    namespace of the (Istio's) ServiceEntry that says so."""

    entry: ServiceEntry
    owner: str
    slots: tuple[Backend, ...] = ()
    claimant: str = ""


class _Read(NamedTuple):
    """What a frontend means: what to write where."""

    frontend: Frontend
    places: list[tuple[DialledPlace, PlannedEntry]]
    hosts: frozenset[str] = frozenset()  # where one of them is restless, the proxy has it


class ViewPlaces:
    """One view's contents, complete by itself; of several frontends for a place the first counts. Of a big cluster
    little changes at a time: `update` costs what changed and a look at the rest. Only where the outcome depends on the
    order of the frontends, or on networks, is all of it made again."""

    __slots__ = (
        "_contested", "_order", "_passed", "_reads", "_restless", "_reverse", "_without", "closed", "networks",
        "wanted",
    )  # fmt: skip

    def __init__(self, without: frozenset[Backend] = frozenset(), closed: bool = False) -> None:
        """The endpoints in `without` are left out wherever others remain; `closed` as for Planner.plan."""
        self.wanted: dict[DialledPlace, PlannedEntry] = {}
        self.networks: list[DialledPlace] = []  # those of one port first, then the smallest
        self._passed: dict[
            DialledPlace, PlannedEntry
        ] = {}  # what passes is written only inside of networks that do not
        self._contested: set[DialledPlace] = set()  # that more than one frontend is for
        self._reads: dict[int, _Read] = {}  # by the frontend's id, which the value keeps taken
        self._order: list[int] = []  # of the frontends, by id
        self._restless: frozenset[str] = frozenset()
        self._reverse = False
        self._without = without
        self.closed = closed

    def update(
        self,
        frontends: Iterable[Frontend],
        reverse: bool = False,
        base: ViewPlaces | None = None,
        restless: frozenset[str] = frozenset(),
    ) -> set[DialledPlace] | None:
        """Follow the view; the places whose content is another one now, None where any may be. With `reverse`,
        endpoints of services that the proxy serves lead to their service too. What `base` has read is shared. Services
        with endpoints of `restless` hosts are the proxy's."""
        listed = list(frontends)
        order, before = list(map(id, listed)), self._order
        again = self._stirred(restless)
        gone = [self._reads.pop(key) for key in again]
        come, left = exchanged(order, before)
        new = come.union(again) - left
        gone += [self._reads.pop(key) for key in left.difference(again)]
        fresh = self._take_in((frontend for frontend in listed if id(frontend) in new) if new else (), base)
        whole = reverse or self._reverse or not before or bool(self._contested) and reordered(before, order)
        self._order, self._reverse = order, reverse
        touched = self._touched(gone, fresh) if not whole else None
        if touched is None:
            self._make(reverse)
        return touched

    def settle(self, restless: frozenset[str], base: ViewPlaces | None = None) -> set[DialledPlace] | None:
        """As `update` for a view that is the same as before: a pod leaves, and connections fail until that is known."""
        gone = [self._reads.pop(key) for key in self._stirred(restless)]
        fresh = self._take_in([read.frontend for read in gone], base)
        touched = self._touched(gone, fresh) if not self._reverse or not gone else None
        if touched is None:
            self._make(self._reverse)
        return touched

    def _stirred(self, restless: frozenset[str]) -> list[int]:
        """The frontends whose connections yield now and did not before, or the other way round."""
        stirred, self._restless = restless ^ self._restless, restless
        return [key for key, read in self._reads.items() if not stirred.isdisjoint(read.hosts)] if stirred else []

    def _take_in(self, frontends: Iterable[Frontend], base: ViewPlaces | None) -> list[_Read]:
        """Read these frontends; what `base` has read is shared."""
        shared = base._reads if base is not None and base.closed == self.closed else {}
        fresh = [shared.get(id(frontend)) or self._read(frontend) for frontend in frontends]
        self._reads.update((id(read.frontend), read) for read in fresh)
        return fresh

    def _touched(self, gone: Iterable[_Read], fresh: Iterable[_Read]) -> set[DialledPlace] | None:
        """Put what is fresh in the place of what is gone; None, and nothing done, where that is not all there is to
        it."""
        before = {place: wanted for read in gone for place, wanted in read.places}
        rows = [row for read in fresh for row in read.places]
        after = dict(rows)
        either = before.keys() | after.keys()
        if len(after) < len(rows) or not self._contested.isdisjoint(either):
            return None
        if any(place in self.wanted or place in self._passed for place in after.keys() - before.keys()):
            return None
        touched = {place for place in either if before.get(place) != after.get(place)}
        for place in touched:
            passes = any(one.entry.mode is EntryMode.PASS for one in (before.get(place), after.get(place)) if one)
            if is_network(place) or passes and self.networks:
                return None
        for place in touched:
            self.wanted.pop(place, None)
            self._passed.pop(place, None)
            if place in after:
                self._hold(after[place])[place] = after[place]
        return touched

    def _hold(self, wanted: PlannedEntry) -> dict[DialledPlace, PlannedEntry]:
        return self._passed if wanted.entry.mode is EntryMode.PASS else self.wanted

    def _make(self, reverse: bool) -> None:
        self.wanted, self._passed, self._contested = {}, {}, set()
        places, passed = self.wanted, self._passed
        for key in self._order:
            for place, wanted in self._reads[key].places:
                if place in places or place in passed:
                    self._contested.add(place)
                else:
                    self._hold(wanted)[place] = wanted
        for place, wanted in list(places.items()):
            # IPv4 addresses are kept as ::ffff:a.b.c.d, but no IPv6 network means them.
            mapped = _IPV4._replace(port=place.port)
            if place.prefix < mapped.prefix and place.covers(mapped):
                places.setdefault(mapped, PlannedEntry(PASS, wanted.owner, claimant=wanted.claimant))
        networks = [place for place in places if is_network(place)]
        for place, wanted in passed.items():
            # Passing is what happens anyway, except inside a network that does not pass.
            if networks and any(network.covers(place) for network in networks):
                places[place] = wanted
        self.networks = sorted(filter(is_network, places), key=lambda place: (place.port == 0, -place.prefix))
        if reverse:
            _add_endpoints([self._reads[key].frontend for key in self._order], places)

    def _read(self, frontend: Frontend) -> _Read:
        if frontend.protocol is Protocol.UDP:
            return _Read(frontend, [])
        owner, hosts = _owner(frontend), frozenset() if _is_api_server(frontend) else frontend.kernel_hosts
        yields = not self._restless.isdisjoint(hosts)
        closed = _fails_closed(frontend, self.closed)
        wanted = [
            (place, _wanted(frontend, place, owner, self._without, yields, closed)) for place in _places(frontend)
        ]
        claimant = _claimant(frontend)
        if claimant:
            wanted = [(place, entry._replace(claimant=claimant)) for place, entry in wanted]
        return _Read(frontend, wanted, hosts)


def exchanged(now: list[int], before: list[int]) -> tuple[set[int], set[int]]:
    """What has come and what has left. As good as always the one stands in the place of the other, and the places that
    differ are found several times as fast as what all of them hold."""
    if len(now) != len(before):
        come, left = set(now), set(before)
    else:
        elsewhere = list(map(operator.ne, now, before))
        come, left = set(itertools.compress(now, elsewhere)), set(itertools.compress(before, elsewhere))
    return come.difference(before), left.difference(now)


def reordered(before: list[int], now: list[int]) -> bool:
    """Whether what is in both stands in another order."""
    kept = set(before).intersection(now)
    return [key for key in before if key in kept] != [key for key in now if key in kept]


def is_network(place: DialledPlace) -> bool:
    return place.prefix < 128 or place.port == 0


def _places(frontend: Frontend) -> Iterator[DialledPlace]:
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


def _place(address: str, port: int) -> DialledPlace:
    if "/" not in address:
        return DialledPlace(pack_address(address), 128, port)
    network: IPv4Network | IPv6Network = ip_network(address, strict=False)
    prefix = network.prefixlen + (96 if network.version == 4 else 0)
    return DialledPlace(pack_address(str(network.network_address)), prefix, port)


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


def _claimant(frontend: Frontend) -> str:
    service = frontend.service
    return service.namespace if service is not None and service.kind == ENTRY else ""


def _fails_closed(frontend: Frontend, client: bool) -> bool:
    """The service's own word counts, then that of the client's namespace, then the mesh's, which the frontend has."""
    own = frontend.service.annotations.get(FAILURE_POLICY_ANNOTATION, "") if frontend.service is not None else ""
    if own == FailurePolicy.OPEN:
        return frontend.failure_policy is FailurePolicy.CLOSED  # an address of the mesh's own
    return client or frontend.failure_policy is FailurePolicy.CLOSED


def _wanted(
    frontend: Frontend, place: DialledPlace, owner: str, without: frozenset[Backend], yields: bool, closed: bool
) -> PlannedEntry:
    mode = EntryMode.PASS if _is_api_server(frontend) else EntryMode.PROXY if yields else _MODES[frontend.mode]
    if mode is EntryMode.PASS or mode is EntryMode.KERNEL and frontend.tcp is None:
        return PlannedEntry(PASS, owner)
    if mode is EntryMode.KERNEL:
        assert frontend.tcp is not None
        affine = frontend.service is not None and frontend.service.session_affinity == "ClientIP"
        chosen = slots(frontend.tcp, place.address.startswith(MAPPED_PREFIX), without, affine)
        turns = any(one.cluster and one.cluster.load_balancer.algorithm is Algorithm.ROUND_ROBIN
                    for one in frontend.tcp.destinations)  # fmt: skip
        flags = ServiceFlag.AFFINITY if affine else ServiceFlag.ROUND_ROBIN if turns else ServiceFlag.NONE
        return PlannedEntry(ServiceEntry(mode, flags, set_name(chosen), len(chosen)), owner, chosen)
    return PlannedEntry(ServiceEntry(mode, ServiceFlag.FAIL_CLOSED if closed else ServiceFlag.NONE), owner)


def _add_endpoints(frontends: list[Frontend], places: dict[DialledPlace, PlannedEntry]) -> None:
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
            places[place] = PlannedEntry(entry, _owner(frontend), claimant=_claimant(frontend))
