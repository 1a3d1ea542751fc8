"""Kubernetes' core objects as far as they matter: Namespace, Node, Pod, Service, EndpointSlice, Secret, ConfigMap."""

from __future__ import annotations

from sys import intern
from typing import TypeAlias

from msgspec import field

from .base import CoreModel


class NamespaceSpec(CoreModel, frozen=True, kw_only=True):
    """Everything that matters of a Namespace stands in its metadata."""


class NodeSpec(CoreModel, frozen=True, kw_only=True):
    """Everything that matters of a Node stands in its labels (topology.kubernetes.io/region and /zone)."""


class ContainerPort(CoreModel, frozen=True, kw_only=True):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class Container(CoreModel, frozen=True, kw_only=True):
    name: str = ""
    ports: tuple[ContainerPort, ...] = ()


class OwnerReference(CoreModel, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""
    controller: bool = False


class PodIP(CoreModel, frozen=True, kw_only=True):
    ip: str = ""


class PodCondition(CoreModel, frozen=True, kw_only=True):
    type: str = ""
    status: str = ""


class ContainerStatus(CoreModel, frozen=True, kw_only=True):
    name: str = ""
    container_id: str = field(default="", name="containerID")


class PodStatus(CoreModel, frozen=True, kw_only=True):
    phase: str = ""
    pod_ip: str = field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = field(default=(), name="podIPs")
    host_ip: str = field(default="", name="hostIP")
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class PodSpec(CoreModel, frozen=True, kw_only=True):
    """Spec and status of a Pod; `status` is moved in from beside the spec when the object is read."""

    node_name: str = ""
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    service_account_name: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    status: PodStatus = PodStatus()
    owners: tuple[OwnerReference, ...] = ()  # metadata.ownerReferences


class ServicePortSpec(CoreModel, frozen=True, kw_only=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str = ""
    target_port: int | str = 0  # 0: the same as `port`
    node_port: int = 0


class ServiceSpec(CoreModel, frozen=True, kw_only=True):
    cluster_ip: str = field(default="", name="clusterIP")
    cluster_ips: tuple[str, ...] = field(default=(), name="clusterIPs")
    type: str = "ClusterIP"
    external_name: str = ""
    external_ips: tuple[str, ...] = field(default=(), name="externalIPs")
    ports: tuple[ServicePortSpec, ...] = ()
    selector: dict[str, str] = {}
    publish_not_ready_addresses: bool = False
    internal_traffic_policy: str = "Cluster"
    traffic_distribution: str = ""
    session_affinity: str = "None"
    published: tuple[str, ...] = ()  # status.loadBalancer.ingress: addresses and host names


class Ingress(CoreModel, frozen=True, kw_only=True):
    """core/v1 LoadBalancerIngress."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(CoreModel, frozen=True, kw_only=True):
    ingress: tuple[Ingress, ...] = ()


class ServiceStatus(CoreModel, frozen=True, kw_only=True):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class EndpointConditions(CoreModel, frozen=True, kw_only=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class HintedPlace(CoreModel, frozen=True, kw_only=True):
    """discovery/v1 ForZone and ForNode."""

    name: str = ""


class EndpointHints(CoreModel, frozen=True, kw_only=True):
    for_zones: tuple[HintedPlace, ...] = ()
    for_nodes: tuple[HintedPlace, ...] = ()


class TargetRef(CoreModel, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


#: What may stand behind an endpoint.
WORKLOADS = frozenset({"Pod", "WorkloadEntry"})


class SliceEndpoint(CoreModel, frozen=True, kw_only=True):
    """`workload` and `uid` are what `target_ref` says, where a source has put it there: half the size, in a cluster
    with as many of them as pods."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    hints: EndpointHints = EndpointHints()
    target_ref: TargetRef = TargetRef()
    workload: str = ""  # "namespace/name"
    uid: str = ""

    def names(self, namespace: str) -> str:
        """The workload that it is, in a slice of this namespace; empty: none that is known. Of another namespace it can
        be none: whoever writes slices has no word about others' pods."""
        if self.workload:
            return self.workload
        ref = self.target_ref
        known = ref.name and ref.kind in WORKLOADS and ref.namespace in ("", namespace)
        return intern(f"{namespace}/{ref.name}") if known else ""


class SlicePort(CoreModel, frozen=True, kw_only=True):
    name: str = ""
    port: int = 0
    protocol: str = "TCP"
    app_protocol: str = ""


class EndpointSliceSpec(CoreModel, frozen=True, kw_only=True):
    """An EndpointSlice has no spec in Kubernetes: its top-level fields are read as one. Its service is named by the
    label kubernetes.io/service-name."""

    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()


class SecretSpec(CoreModel, frozen=True, kw_only=True):
    """A Secret's data, decoded from base64 (or taken from stringData)."""

    type: str = "Opaque"
    data: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Secret of {self.type} with {', '.join(self.data) or 'nothing'}>"


class ConfigMapSpec(CoreModel, frozen=True, kw_only=True):
    """A ConfigMap's data. Of a certificate's parts it may hold the public ones."""

    data: dict[str, str] = {}


#: What a credentialName names.
CredentialSpec: TypeAlias = SecretSpec | ConfigMapSpec
