"""Endpoints of other networks, as one client reaches them: through those networks' east-west gateways.

Istio's rules (its network filter): an endpoint without a network, or a client without one, is reached directly, as is
what is in the client's own network. All endpoints of another network become that network's gateways, each with its
share of their weights. A gateway tells services apart by the name in what it gets: a Host header or a TLS server name.
Where nothing carries a name, and where a network has no gateway, its endpoints are out of reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import lcm

from msgspec.structs import replace

from ..config.meshconfig import MeshNetwork
from ..registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Endpoint, Health, Protocol, Service, Snapshot

#: Protocols whose bytes say which host is meant. What is sniffed is HTTP or TLS, or goes wrong at the gateway.
NAMED = HTTP_PROTOCOLS | TLS_PROTOCOLS | {Protocol.AUTO}


def reachable(
    endpoints: tuple[Endpoint, ...], network: str, networks: Mapping[str, MeshNetwork], protocol: Protocol
) -> tuple[Endpoint, ...]:
    """The endpoints that a client of `network` dials; the same object where all are its own network's."""
    if not any(is_elsewhere(endpoint, network) for endpoint in endpoints):
        return endpoints
    own = [endpoint for endpoint in endpoints if not is_elsewhere(endpoint, network)]
    others: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        if is_elsewhere(endpoint, network) and endpoint.health is Health.READY and protocol in NAMED:
            others.setdefault(endpoint.network, []).append(endpoint)
    gateways = {name: networks[name].gateways for name in others if name in networks and networks[name].gateways}
    factor = lcm(*(len(found) for found in gateways.values()))
    found = [replace(endpoint, weight=endpoint.weight * factor) if factor > 1 else endpoint for endpoint in own]
    for name, ways in gateways.items():
        behind = others[name]
        weight = sum(endpoint.weight for endpoint in behind) * factor // len(ways)
        first = behind[0]
        found += [
            Endpoint(
                address=way.address,
                port=way.port,
                locality=first.locality,
                weight=weight,
                network=name,
                cluster=first.cluster,
            )
            for way in ways
        ]
    return tuple(found)


def is_elsewhere(endpoint: Endpoint, network: str) -> bool:
    """Whether it cannot be dialled from this network; from everywhere for a client without one."""
    return bool(network and endpoint.network) and endpoint.network != network


def out_of_reach(snapshot: Snapshot) -> dict[str, str]:
    """The networks of endpoints that this cluster's clients cannot reach, each with the reason and its mend."""
    if not snapshot.network:
        return {}
    seen = {name: None for services in snapshot.services.values() for name in networks_of(services)}
    return {
        name: f"no gateway of the network {name} is known; name one in MeshConfig's networks.{name}.gateways"
        for name in seen
        if name != snapshot.network and not (name in snapshot.mesh.networks and snapshot.mesh.networks[name].gateways)
    }


def networks_of(services: Iterable[Service]) -> set[str]:
    return {
        endpoint.network
        for service in services
        for endpoints in service.endpoints.values()
        for endpoint in endpoints
        if endpoint.network
    }
