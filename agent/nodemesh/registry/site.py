"""Where services are read: the cluster with its domain, its Nodes' localities, and the networks of its pods."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

import msgspec

from ..config.meshconfig import MeshConfigSpec, MeshNetwork
from ..config.meta import Object
from .snapshot import Locality
from .workloads import locality_of_labels

#: The label that names a network: on a pod or WorkloadEntry its own, on the system namespace that of the cluster.
NETWORK_LABEL = "topology.istio.io/network"

#: The namespace whose label counts for the cluster, where MeshConfig's rootNamespace has none (manifests/agent).
SYSTEM_NAMESPACE = "nodemesh-system"


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What every service of a cluster is read against. `cluster` is empty for a cluster without a name; `remote` is
    one that this node is not part of. `network` is what the system namespace's label says, `distributions` the
    namespaces' own trafficDistribution."""

    domain: str = "cluster.local"
    export_to: tuple[str, ...] = ("*",)
    localities: Mapping[str, Locality] = {}
    allocate: bool = False  # whether hosts without addresses get some of the mesh's own
    distributions: Mapping[str, str] = {}
    cluster: str = ""
    remote: bool = False
    network: str = ""
    networks: Mapping[str, MeshNetwork] = {}

    def network_of(self, labels: Mapping[str, str], address: str = "") -> str:
        """The network of a workload; empty for one that can be reached from everywhere. Istio's order: the workload's
        own label, the system namespace's, MeshConfig's networks."""
        return labels.get(NETWORK_LABEL) or self.network or self._configured(address)

    def node_of(self, name: str) -> str:
        """Nodes of other clusters may have the names of ours."""
        return f"{self.cluster}/{name}" if self.remote and name else name

    def _configured(self, address: str) -> str:
        if not self.networks:
            return ""
        for name, network in self.networks.items():
            if any(address and within(address, entry.from_cidr) for entry in network.endpoints if entry.from_cidr):
                return name
        for name, network in self.networks.items():
            if any(self.cluster and entry.from_registry == self.cluster for entry in network.endpoints):
                return name
        return ""


def site_of(
    mesh: MeshConfigSpec,
    namespaces: Mapping[str, Mapping[str, str]],
    nodes: Iterable[Object[object]],
    cluster: str,
    *,
    remote: bool,
    distributions: Mapping[str, str],
) -> Site:
    """`namespaces` are the labels of each."""
    system = (namespaces.get(name, {}).get(NETWORK_LABEL, "") for name in (mesh.root_namespace, SYSTEM_NAMESPACE))
    return Site(
        domain=mesh.cluster_domain,
        export_to=mesh.default_service_export_to,
        localities={node.meta.name: locality_of_labels(node.meta.labels) for node in nodes},
        allocate=mesh.dns_capture,
        distributions=distributions,
        cluster=cluster,
        remote=remote,
        network=next(filter(None, system), ""),
        networks=mesh.networks,
    )


def within(address: str, cidr: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False
