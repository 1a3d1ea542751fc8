"""Whose a host or an address is: what a namespace's rules and entries claim of what another namespace has.

A host belongs to the namespaces that declare it, an address to the pod or Service that has it. Istio lets anybody claim
both. Here no claim takes a pod's or Service's address from another namespace: no ServiceEntry's addresses, no Service's
external IPs, no endpoints that are not the service's own pods. The rest is Istio's, is named by `claims.py`, and
MeshConfig's `hostOwnership: namespace` keeps it within the claimant's own namespace."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import NamedTuple

from ..config.meshconfig import HostOwnership
from ..registry.changed import changed_keys
from ..registry.snapshot import Endpoint, Service, Snapshot, Workload
from .names import namespace_in
from .tables import Tables

ENTRY = "ServiceEntry"


class Claims(NamedTuple):
    """What a host's services claim without having it: the addresses and networks of ServiceEntries and external IPs,
    and the addresses of endpoints that are no pods of theirs."""

    addresses: frozenset[str]
    endpoints: frozenset[str]


NOTHING = Claims(frozenset(), frozenset())


#: Whose the addresses of nodes are: pods of any namespace may have them, on the host's network.
NODE = ""


def at(address: str, port: int) -> str:
    return f"{address} {port}"


class Ranges:
    """The addresses that are claimed: exact ones, and networks."""

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


NO_RANGES = Ranges(frozenset())


class Owned(NamedTuple):
    """The namespaces of the pods and Services whose addresses are claimed: by address, or `at` a port where the address
    is but a Service's endpoint; and of each network that is claimed one or two of them, which tell whether another
    namespace's are in it. What these were made from: the claims of each host that has any, and all who hold a place;
    `counts` of hosts that claim an address as an endpoint's, and the other addresses that are claimed."""

    addresses: Mapping[str, str] = {}
    networks: Mapping[str, tuple[str, ...]] = {}
    claims: Mapping[str, Claims] = {}
    holders: Mapping[str, tuple[str, ...]] = {}
    counts: Mapping[str, int] = {}
    ranges: Ranges = NO_RANGES


def claims_of(services: Iterable[Service], snapshot: Snapshot) -> Claims:
    """What the services of a host claim without having it."""
    addresses: set[str] = set()
    endpoints: set[str] = set()
    for service in services:
        addresses.update(service.addresses if service.kind == ENTRY else service.external_addresses)
        for of_port in service.endpoints.values():
            endpoints.update(endpoint.address for endpoint in of_port if not is_backed(endpoint, service, snapshot))
    return Claims(frozenset(addresses), frozenset(endpoints)) if addresses or endpoints else NOTHING


def is_backed(endpoint: Endpoint, service: Service, snapshot: Snapshot) -> bool:
    """Whether an endpoint is a pod of its service's namespace, or of another cluster, which has its own addresses."""
    if endpoint.cluster and endpoint.cluster != snapshot.cluster:
        return True
    pod = snapshot.workloads.get(endpoint.workload) if endpoint.workload else None
    if pod is None or pod.kind != "Pod" or pod.namespace != service.namespace:
        return False
    return endpoint.address in pod.addresses


def changed_claims(snapshot: Snapshot, before: Snapshot, known: Mapping[str, Claims]) -> dict[str, Claims]:
    """By host, of those that claim something else than before."""
    changed = changed_keys(snapshot.services, before.services)
    claims = {host: claims_of(snapshot.services.get(host, ()), snapshot) for host in changed}
    return {host: found for host, found in claims.items() if known.get(host, NOTHING) != found}


def recounted(counts: Mapping[str, int], gone: Iterable[Claims], come: Iterable[Claims]) -> dict[str, int]:
    found = dict(counts)
    for claims in come:
        for address in claims.endpoints:
            found[address] = found.get(address, 0) + 1
    for claims in gone:
        for address in claims.endpoints:
            found[address] -= 1
            if not found[address]:
                del found[address]
    return found


def compile_owned(snapshot: Snapshot, before: Snapshot, known: Owned) -> Owned:
    """Of what changed alone, unless others than endpoints' addresses are claimed that were not, or not any more."""
    if snapshot.services is before.services and snapshot.workloads is before.workloads:
        return known
    come = changed_claims(snapshot, before, known.claims)
    gone = [known.claims.get(host, NOTHING) for host in come]
    claims, counts, ranges = known.claims, known.counts, known.ranges
    if come:
        claims = {host: found for host, found in {**claims, **come}.items() if found is not NOTHING}
        counts = recounted(counts, gone, come.values())
        if any(old.addresses != new.addresses for old, new in zip(gone, come.values(), strict=True)):
            ranges = Ranges(frozenset().union(*(found.addresses for found in claims.values())))
    if not claims:
        return Owned()
    if ranges.given == known.ranges.given:
        touched = {address for one in (*gone, *come.values()) for address in one.endpoints}
        turned = {one for one in touched if (one in counts) != (one in known.counts) and not ranges.cover(one)}
        holders = changed_holders(snapshot, before, known, turned, counts)
    else:
        holders = {}
        hold(holders, held_by(snapshot, snapshot.workloads, snapshot.services), ranges, counts)
    if holders == known.holders and ranges.networks.keys() == known.ranges.networks.keys():
        return known._replace(claims=claims, counts=counts, ranges=ranges)
    owned = {place: namespaces[0] for place, namespaces in holders.items()}
    places = OwnedPlaces(owned)
    networks = {text: places.namespaces_in(network) for text, network in ranges.networks.items()}
    return Owned(owned, networks, claims, holders, counts, ranges)


#: All who hold a place, by that.
Holders = dict[str, tuple[str, ...]]


def hold(holders: Holders, held: Iterable[tuple[str, str]], ranges: Ranges, counts: Mapping[str, int]) -> None:
    """Take in what is claimed of these places, each with its namespace."""
    for namespace, place in held:
        address, is_endpoint = address_in(place), " " in place
        if ranges.cover(address) or (not is_endpoint and address in counts):
            holders[place] = tuple(sorted((*holders.get(place, ()), namespace)))


def changed_holders(
    snapshot: Snapshot, before: Snapshot, known: Owned, turned: set[str], counts: Mapping[str, int]
) -> Holders:
    """Who holds a place now, where the same addresses are claimed, but for the `turned` ones of endpoints."""
    pods = changed_keys(snapshot.workloads, before.workloads)
    hosts = changed_keys(snapshot.services, before.services)
    holders = dict(known.holders)
    for namespace, place in held_by(before, pods, hosts) if holders else ():
        left = list(holders.pop(place, ()))
        if namespace in left:
            left.remove(namespace)
        if left:
            holders[place] = tuple(left)
    held = held_by(snapshot, pods, hosts)
    hold(holders, (one for one in held if one[1] not in turned), known.ranges, counts)
    for address in turned:
        holders.pop(address, None)
    wanted = {address for address in turned if address in counts}
    if wanted:
        pods = {key for key, pod in snapshot.workloads.items() if not wanted.isdisjoint(pod.addresses)}
        hosts = {
            host
            for host, services in snapshot.services.items()
            if any(not wanted.isdisjoint(service.addresses) for service in services)
        }
        hold(holders, (one for one in held_by(snapshot, pods, hosts) if one[1] in wanted), known.ranges, counts)
    return holders


def held_by(snapshot: Snapshot, pods: Iterable[str], hosts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The addresses of these pods and Services, and the places of their endpoints, each with its namespace."""
    for key in pods:
        workload = snapshot.workloads.get(key)
        for address in pod_addresses(workload):
            if workload is not None:
                yield workload.namespace, address
        if workload is not None and workload.host_network:
            for address in workload.addresses:
                yield NODE, address
    for host in hosts:
        for service in snapshot.services.get(host, ()):
            if service.kind == "Service":
                yield from held_by_service(service)


def held_by_service(service: Service) -> Iterator[tuple[str, str]]:
    for address in service.addresses:
        if address not in service.external_addresses:
            yield service.namespace, address
    for endpoints in service.endpoints.values():
        for endpoint in endpoints:
            yield service.namespace, at(endpoint.address, endpoint.port)


def address_in(place: str) -> str:
    return place.partition(" ")[0]


class OwnedPlaces:
    """Addresses in their order, with their namespaces, and for each where the next namespace's begin."""

    __slots__ = ("_next", "_numbers", "_whose")

    def __init__(self, owned: Mapping[str, str]) -> None:
        found = sorted(
            (place, namespace)
            for address, namespace in owned.items()
            if namespace and (place := place_of(address_in(address))) is not None
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


def is_taken(tables: Tables, address: str, service: Service, port: int = 0) -> bool:
    """Whether an address that a service claims is a pod's or Service's of another namespace, or with this port a
    Service's endpoint."""
    own = service.kind != ENTRY and address in service.addresses and address not in service.external_addresses
    if own:
        return False
    owner = tables.owned.get(address) or (tables.owned.get(at(address, port)) if port else None)
    if owner or service.kind != ENTRY:
        return bool(owner) and owner != service.namespace
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


def is_commons(tables: Tables, address: str) -> bool:
    """Whether what is claimed is no single namespace's: a network, a node's address, or a link's own, where clouds
    answer with their nodes' credentials."""
    if "/" in address or tables.owned.get(address) == NODE:
        return True
    return address.startswith(("169.254.", "fe8", "fe9", "fea", "feb"))


def speaks_for_commons(tables: Tables, service: Service, client: str) -> bool:
    """Whether a service's claim on such counts for the clients of a namespace, as the mesh's hostOwnership has it: most
    of what is in a network is somebody else's, or nobody's. The root namespace's counts for all."""
    if tables.mesh.host_ownership is not HostOwnership.NAMESPACE or service.kind != ENTRY:
        return True
    return service.namespace in (client, tables.mesh.root_namespace)


def may_declare(tables: Tables, service: Service, client: str) -> bool:
    """Whether a ServiceEntry's host counts for the clients of a namespace, as the mesh's hostOwnership has it: names
    below the cluster's domain are their namespaces', whether or not there is such a Service, since clients look for all
    names there first (resolv.conf(5), search)."""
    if tables.mesh.host_ownership is not HostOwnership.NAMESPACE or service.kind != ENTRY:
        return True
    owner = namespace_in(service.host, tables.mesh.cluster_domain)
    return owner in ("", service.namespace) or service.namespace in (client, tables.mesh.root_namespace)


def may_speak_for(tables: Tables, namespace: str, owner: str, client: str) -> bool:
    """Whether a rule of `namespace` for an owner's host counts for the clients of another namespace, as the mesh's
    hostOwnership has it: for its own namespace's, and for all where it is the owner. The root namespace speaks for
    all."""
    if tables.mesh.host_ownership is not HostOwnership.NAMESPACE:
        return True
    return namespace in (client, owner, tables.mesh.root_namespace)
