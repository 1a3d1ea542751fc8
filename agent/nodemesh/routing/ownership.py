"""Whose a host or an address is: what a namespace's rules and entries claim of what another namespace has.

A host belongs to the namespaces that declare it, an address to the pod or Service that has it. Istio lets anybody claim
both. Here no ServiceEntry takes a pod's or Service's address from another namespace; the rest is Istio's, is named by
`claims`, and MeshConfig's `hostOwnership: namespace` keeps it within the claimant's own namespace."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import NamedTuple

from ..config.meshconfig import HostOwnership
from ..config.meta import Path
from ..registry.changed import changed_keys
from ..registry.snapshot import Service, Snapshot, Workload
from .names import MESH_GATEWAY, covers
from .tables import Tables, VirtualService

ENTRY = "ServiceEntry"


class Claim(NamedTuple):
    """What an object claims of another namespace's: `what` is the host or address, `path` where it is written."""

    what: str
    path: Path
    sentence: str


class Owned(NamedTuple):
    """The namespaces of the pods and Services whose addresses ServiceEntries claim: by address, and of each network
    that is claimed one or two of them, which tell whether another namespace's are in it."""

    addresses: Mapping[str, str]
    networks: Mapping[str, tuple[str, ...]]


class Ranges:
    """The addresses that ServiceEntries claim: exact ones, and networks."""

    __slots__ = ("_ends", "_exact", "given", "networks")

    def __init__(self, given: frozenset[str]) -> None:
        self.given = given
        self._exact = frozenset(address for address in given if "/" not in address)
        self.networks = {address: network for address in given if (network := network_of(address)) is not None}
        # Tenants claim as many as they like, so that no address is held against all of them.
        networks = self.networks.values()
        older = collapse_addresses([network for network in networks if isinstance(network, IPv4Network)])
        newer = collapse_addresses([network for network in networks if isinstance(network, IPv6Network)])
        self._ends = sorted([*map(span_of, older), *map(span_of, newer)])

    def cover(self, address: str) -> bool:
        if address in self._exact:
            return True
        place = place_of(address) if self._ends else None
        if place is None:
            return False
        index = bisect_right(self._ends, (place, LAST)) - 1
        return index >= 0 and place <= self._ends[index][1]


def network_of(address: str) -> IPv4Network | IPv6Network | None:
    if "/" not in address:
        return None
    try:
        return ip_network(address, strict=False)
    except ValueError:
        return None


#: Version and number: addresses in an order.
Place = tuple[int, int]
LAST: Place = (7, 0)


def place_of(address: str) -> Place | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return found.version, int(found)


def span_of(network: IPv4Network | IPv6Network) -> tuple[Place, Place]:
    """A network's first address and its last."""
    return (network.version, int(network.network_address)), (network.version, int(network.broadcast_address))


def claimed(services: Iterable[tuple[Service, ...]]) -> frozenset[str]:
    """The addresses of all ServiceEntries."""
    return frozenset(
        address
        for candidates in services
        for service in candidates
        if service.kind == ENTRY
        for address in service.addresses
    )


def compile_owned(snapshot: Snapshot, before: Snapshot, previous: Tables) -> Owned:
    """Of what changed alone, unless other addresses are claimed than before."""
    known = Owned(previous.owned, previous.claimed_networks)
    services_same = snapshot.services is before.services
    if services_same and snapshot.workloads is before.workloads:
        return known
    ranges = Ranges(claimed(snapshot.services.values()))
    if not ranges.given:
        return Owned({}, {}) if known.addresses or known.networks else known
    if services_same or ranges.given == claimed(before.services.values()):
        pods: Iterable[str] = changed_keys(snapshot.workloads, before.workloads)
        hosts: Iterable[str] = changed_keys(snapshot.services, before.services)
        owned = dict(known.addresses)
    else:
        pods, hosts, owned = snapshot.workloads, snapshot.services, {}
    for _, address in held_by(before, pods, hosts):
        owned.pop(address, None)
    for namespace, address in held_by(snapshot, pods, hosts):
        if ranges.cover(address):
            owned[address] = namespace
    if owned == known.addresses and ranges.networks.keys() == known.networks.keys():
        return known
    places = OwnedPlaces(owned)
    return Owned(owned, {text: places.namespaces_in(network) for text, network in ranges.networks.items()})


def held_by(snapshot: Snapshot, pods: Iterable[str], hosts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The addresses of these pods and Services, each with its namespace."""
    for key in pods:
        workload = snapshot.workloads.get(key)
        for address in pod_addresses(workload):
            if workload is not None:
                yield workload.namespace, address
    for host in hosts:
        for service in snapshot.services.get(host, ()):
            if service.kind == "Service":
                for address in service.addresses:
                    yield service.namespace, address


class OwnedPlaces:
    """Addresses in their order, with their namespaces, and for each where the next namespace's begin."""

    __slots__ = ("_next", "_numbers", "_whose")

    def __init__(self, owned: Mapping[str, str]) -> None:
        found = sorted(
            (place, namespace) for address, namespace in owned.items() if (place := place_of(address)) is not None
        )
        self._numbers = [place for place, _ in found]
        self._whose = [namespace for _, namespace in found]
        self._next = [len(found)] * len(found)
        for index in range(len(found) - 2, -1, -1):
            same = self._whose[index] == self._whose[index + 1]
            self._next[index] = self._next[index + 1] if same else index + 1

    def namespaces_in(self, network: IPv4Network | IPv6Network) -> tuple[str, ...]:
        """One or two of those with addresses in a network; empty where there are none."""
        first, last = span_of(network)
        index = bisect_left(self._numbers, first)
        if index == len(self._numbers) or self._numbers[index] > last:
            return ()
        other = self._next[index]
        if other == len(self._numbers) or self._numbers[other] > last:
            return (self._whose[index],)
        return tuple(sorted((self._whose[index], self._whose[other])))


def pod_addresses(workload: Workload | None) -> tuple[str, ...]:
    """A pod's own addresses; on the host's network they are the node's."""
    if workload is None or workload.kind != "Pod" or workload.finished or workload.host_network:
        return ()
    return workload.addresses


def is_taken(tables: Tables, address: str, service: Service) -> bool:
    """Whether an address that a ServiceEntry claims is a pod's or Service's of another namespace."""
    if service.kind != ENTRY:
        return False
    owner = tables.owned.get(address)
    if owner is not None:
        return owner != service.namespace
    return any(  # by a name in the DNS
        other.kind == "Service" and other.namespace != service.namespace and address in other.addresses
        for host in tables.addresses.get(address, ())
        for other in tables.services.get(host, ())
    )


def others_in(tables: Tables, service: Service) -> str:
    """Another namespace with addresses in a network that a ServiceEntry claims; empty where there is none."""
    if service.kind == ENTRY:
        for address in service.addresses:
            for namespace in tables.claimed_networks.get(address, ()):
                if namespace != service.namespace:
                    return namespace
    return ""


def speaks_for_networks(tables: Tables, service: Service, client: str) -> bool:
    """Whether a service's networks count for the clients of a namespace, as the mesh's hostOwnership has it: most of
    what is in a network is somebody else's, or nobody's. The root namespace's count for all."""
    if tables.mesh.host_ownership is not HostOwnership.NAMESPACE or service.kind != ENTRY:
        return True
    return service.namespace in (client, tables.mesh.root_namespace)


def may_speak_for(tables: Tables, namespace: str, host: str, client: str) -> bool:
    """Whether a rule of `namespace` for a host counts for the clients of another, as the mesh's hostOwnership has it:
    for its own namespace's, and for all where the host is its own or nobody's. The root namespace speaks for all."""
    if tables.mesh.host_ownership is not HostOwnership.NAMESPACE:
        return True
    if namespace in (client, tables.mesh.root_namespace):
        return True
    owners = {service.namespace for service in tables.services.get(host, ())}
    return not owners or namespace in owners


# findings


def entries_of_tenants(tables: Tables) -> Iterator[Service]:
    for candidates in tables.services.values():
        for service in candidates:
            if service.kind == ENTRY and service.namespace != tables.mesh.root_namespace:
                yield service


def rules_of_tenants(tables: Tables) -> Iterator[VirtualService]:
    for virtual_service in tables.virtual_services.values():
        if virtual_service.namespace != tables.mesh.root_namespace:
            yield virtual_service


def claims_of_entry(service: Service, tables: Tables) -> Iterator[Claim]:
    """The addresses, and the host, of a ServiceEntry that another namespace has."""
    for index, address in enumerate(service.addresses):
        sentence = ""
        network = network_of(address)
        if network is None:
            if is_taken(tables, address, service):
                sentence = f"it is namespace {tables.owned[address]}'s, and connections to it stay there"
        elif network.prefixlen == 0:
            kept = tables.mesh.host_ownership is HostOwnership.NAMESPACE
            who = f"the clients in {service.namespace} alone, by hostOwnership" if kept else "all who see this entry"
            sentence = f"it takes all connections to addresses outside of the mesh, of {who}"
        elif owners := [name for name in tables.claimed_networks.get(address, ()) if name != service.namespace]:
            sentence = f"addresses of namespace {owners[0]} are in it, and connections to these stay there"
        if sentence:
            yield Claim(address, ("spec", "addresses", index), sentence)
    others = (other for other in tables.services.get(service.host, ()) if other.namespace != service.namespace)
    first = next((other for other in others if other.kind == "Service"), None)
    if first is not None and set(service.export_to) != {service.namespace}:
        sentence = f"it is the Service of namespace {first.namespace}, where other namespaces' clients go"
        yield Claim(service.host, ("spec", "hosts"), sentence)


def claims_of_rules(virtual_service: VirtualService, tables: Tables) -> Iterator[Claim]:
    """The hosts of a VirtualService for the mesh that a Service of another namespace has."""
    if MESH_GATEWAY not in virtual_service.gateways or set(virtual_service.export_to) == {virtual_service.namespace}:
        return
    kept = tables.mesh.host_ownership is HostOwnership.NAMESPACE
    for index, host in enumerate(virtual_service.hosts):
        known = [host] if not host.startswith("*") else [name for name in tables.services if covers(host, name)]
        for name in known:
            candidates = tables.services.get(name, ())
            owners = {service.namespace for service in candidates if service.kind == "Service"}
            if not owners or virtual_service.namespace in {service.namespace for service in candidates}:
                continue
            effect = (
                f"by hostOwnership it counts for the clients in {virtual_service.namespace} alone"
                if kept
                else "it counts for the clients of all namespaces that it is exported to"
            )
            yield Claim(host, ("spec", "hosts", index), f"{name} is a Service of namespace {min(owners)}; {effect}")
            break
