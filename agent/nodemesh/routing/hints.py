"""Topology hints of EndpointSlices: which endpoints a client's node or zone is to use, as kube-proxy reads them.

Kubernetes' EndpointSlice controller writes them for trafficDistribution and for the annotation
service.kubernetes.io/topology-mode, others for reasons of their own; whoever did, the hints alone count (KEP-2433,
KEP-3015). Istio goes by the Service's trafficDistribution instead, which therefore comes first."""

from __future__ import annotations

from collections.abc import Sequence

from ..registry.snapshot import Endpoint, Health
from .client import Client


def hinted(endpoints: tuple[Endpoint, ...], client: Client) -> tuple[tuple[Endpoint, ...], str]:
    """The endpoints that are for the client, and what of it that depends on. All of them, and nothing, where not every
    ready endpoint has a hint or none is for the client: half a hint would leave the others idle or overrun."""
    ready = [endpoint for endpoint in endpoints if endpoint.health is Health.READY]
    node, zone = client.node, client.locality.zone
    if node and names_all(node, [endpoint.nodes for endpoint in ready]):
        return tuple(endpoint for endpoint in endpoints if node in endpoint.nodes), f"for node {node}"
    if zone and names_all(zone, [endpoint.zones for endpoint in ready]):
        return tuple(endpoint for endpoint in endpoints if zone in endpoint.zones), f"for zone {zone}"
    return endpoints, ""


def names_all(place: str, hints: Sequence[tuple[str, ...]]) -> bool:
    return all(hints) and any(place in hint for hint in hints)
