"""Whose a host or an address is: what a namespace's rules and entries claim of what another namespace has.

A host belongs to the namespaces that declare it, an address to the pod or Service that has it. Istio lets anybody claim
both. Here no ServiceEntry takes a pod's or Service's address from another namespace; the rest is Istio's, is named by
`claims`, and MeshConfig's `hostOwnership: namespace` keeps it within the claimant's own namespace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
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


class Ranges:
    """The addresses that ServiceEntries claim: exact ones, and networks."""

    __slots__ = ("_exact", "_networks", "given")

    def __init__(self, given: frozenset[str]) -> None:
        self.given = given
        self._exact = frozenset(address for address in given if "/" not in address)
        self._networks = tuple(network for address in given if (network := network_of(address)) is not None)

    def cover(self, address: str) -> bool:
        return address in self._exact or any(within(address, network) for network in self._networks)


def network_of(address: str) -> IPv4Network | IPv6Network | None:
    if "/" not in address:
        return None
    try:
        return ip_network(address, strict=False)
    except ValueError:
        return None


def within(address: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:
        return False


def claimed(services: Iterable[tuple[Service, ...]]) -> frozenset[str]:
    """The addresses of all ServiceEntries."""
    return frozenset(
        address
        for candidates in services
        for service in candidates
        if service.kind == ENTRY
        for address in service.addresses
    )


def compile_owned(snapshot: Snapshot, before: Snapshot, previous: Tables) -> Mapping[str, str]:
    """The namespaces of the pods whose addresses ServiceEntries claim, by address."""
    services_same = snapshot.services is before.services
    if services_same and snapshot.workloads is before.workloads:
        return previous.owned
    ranges = Ranges(claimed(snapshot.services.values()))
    if not ranges.given:
        return previous.owned if not previous.owned else {}
    if services_same or ranges.given == claimed(before.services.values()):
        keys: Iterable[str] = changed_keys(snapshot.workloads, before.workloads)
        owned = dict(previous.owned)
    else:
        keys, owned = snapshot.workloads, {}
    for key in keys:
        for address in pod_addresses(before.workloads.get(key)):
            owned.pop(address, None)
    for key in keys:
        workload = snapshot.workloads.get(key)
        for address in pod_addresses(workload):
            if workload is not None and ranges.cover(address):
                owned[address] = workload.namespace
    return previous.owned if owned == previous.owned else owned


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
    return any(
        other.kind == "Service" and other.namespace != service.namespace and address in other.addresses
        for host in tables.addresses.get(address, ())
        for other in tables.services.get(host, ())
    )


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


def claims_of_entry(service: Service, snapshot: Snapshot, tables: Tables) -> Iterator[Claim]:
    """The addresses, and the host, of a ServiceEntry that another namespace has."""
    for index, address in enumerate(service.addresses):
        sentence = ""
        network = network_of(address)
        if network is None:
            if is_taken(tables, address, service):
                sentence = f"it is {owner_of(address, tables)}'s, and connections to it stay there"
        elif network.prefixlen == 0:
            sentence = "it takes all connections to addresses outside of the mesh, of all who see this entry"
        elif owner := next(foreign(service, network, snapshot, tables), ""):
            sentence = f"addresses of {owner} are in it, and connections to these stay there"
        if sentence:
            yield Claim(address, ("spec", "addresses", index), sentence)
    others = (other for other in tables.services.get(service.host, ()) if other.namespace != service.namespace)
    first = next((other for other in others if other.kind == "Service"), None)
    if first is not None and set(service.export_to) != {service.namespace}:
        sentence = f"it is the Service of namespace {first.namespace}, where other namespaces' clients go"
        yield Claim(service.host, ("spec", "hosts"), sentence)


def owner_of(address: str, tables: Tables) -> str:
    if address in tables.owned:
        return f"a pod of namespace {tables.owned[address]}"
    return f"Service {tables.addresses[address][0]}" if address in tables.addresses else "another namespace"


def foreign(service: Service, network: IPv4Network | IPv6Network, snapshot: Snapshot, tables: Tables) -> Iterator[str]:
    for address, namespace in tables.owned.items():
        if namespace != service.namespace and within(address, network):
            yield f"namespace {namespace}'s pods"
    for candidates in snapshot.services.values():
        for other in candidates:
            theirs = other.kind == "Service" and other.namespace != service.namespace
            if theirs and any("/" not in address and within(address, network) for address in other.addresses):
                yield f"namespace {other.namespace}'s Services"


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
