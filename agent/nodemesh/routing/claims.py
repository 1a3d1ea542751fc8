"""What a namespace's objects claim of what another namespace has, as findings name it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..config.meshconfig import HostOwnership
from ..config.meta import Path
from ..registry.snapshot import Service
from .names import MESH_GATEWAY, covers, namespace_in
from .ownership import ENTRY, NODE, at, is_commons, is_taken, network_of
from .tables import Tables, VirtualService


class Claim(NamedTuple):
    """What an object claims of another namespace's: `what` is the host or address, `path` where it is written."""

    what: str
    path: Path
    sentence: str


def claimants(tables: Tables) -> Iterator[Service]:
    """The services of tenants that claim addresses by writing them down."""
    for candidates in tables.services.values():
        for service in candidates:
            claims = service.kind == ENTRY or service.external_addresses
            if claims and service.namespace != tables.mesh.root_namespace:
                yield service


def rules_of_tenants(tables: Tables) -> Iterator[VirtualService]:
    for virtual_service in tables.virtual_services.values():
        if virtual_service.namespace != tables.mesh.root_namespace:
            yield virtual_service


def claims_of_service(service: Service, tables: Tables) -> Iterator[Claim]:
    """The addresses, and the host, of a ServiceEntry that another namespace has, or a Service's external IPs."""
    is_entry = service.kind == ENTRY
    for index, address in enumerate(service.addresses if is_entry else service.external_addresses):
        sentence = sentence_about(address, service, tables)
        if sentence:
            yield Claim(address, ("spec", "addresses" if is_entry else "externalIPs", index), sentence)
    if is_entry:
        yield from claims_of_host(service, tables)


def sentence_about(address: str, service: Service, tables: Tables) -> str:
    """What a claim on an address takes from others; empty where it takes nothing."""
    kept = service.kind == ENTRY and tables.mesh.host_ownership is HostOwnership.NAMESPACE
    who = f"the clients in {service.namespace} alone, by hostOwnership" if kept else "all who see this entry"
    network = network_of(address)
    if network is None:
        for port in service.ports:
            if is_taken(tables, address, service, port.number):
                owner = tables.owned.get(address) or tables.owned.get(at(address, port.number), "")
                return f"it is namespace {owner}'s, and connections to it stay there"
        if is_commons(tables, address) and set(service.export_to) != {service.namespace}:
            whose = "a node's" if tables.owned.get(address) == NODE else "of the link that a node is at"
            return f"it is {whose}, and it takes the connections to it, of {who}"
    elif network.prefixlen == 0:
        return f"it takes all connections to addresses outside of the mesh, of {who}"
    elif owners := [name for name in tables.claimed_networks.get(address, ()) if name != service.namespace]:
        return f"addresses of namespace {owners[0]} are in it, and connections to these stay there"
    return ""


def claims_of_host(service: Service, tables: Tables) -> Iterator[Claim]:
    """A ServiceEntry's host that is another namespace's, by a Service of that name or by the name itself."""
    if set(service.export_to) == {service.namespace}:
        return
    others = (other for other in tables.services.get(service.host, ()) if other.namespace != service.namespace)
    first = next((other for other in others if other.kind == "Service"), None)
    owner = namespace_in(service.host, tables.mesh.cluster_domain)
    if first is not None:
        sentence = f"it is the Service of namespace {first.namespace}, where other namespaces' clients go"
        yield Claim(service.host, ("spec", "hosts"), sentence)
    elif owner not in ("", service.namespace):
        kept = tables.mesh.host_ownership is HostOwnership.NAMESPACE
        who = f"the clients in {service.namespace} alone, by hostOwnership" if kept else "all who see this entry"
        whose = "of several namespaces" if owner == "*" else f"of namespace {owner}"
        yield Claim(service.host, ("spec", "hosts"), f"it stands for names {whose}, and it counts for {who}")


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
