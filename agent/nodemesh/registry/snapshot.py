"""What the cluster says at one moment: services, endpoints, workloads and rules, frozen, with a version and a cause."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ..config.capture import EVERYTHING, Capture
from ..config.destinationrule import DestinationRuleSpec
from ..config.gateway import GatewaySpec
from ..config.gatewayapi.gateways import GatewayClassSpec, KubernetesGatewaySpec, ListenerSetSpec
from ..config.gatewayapi.policies import (
    BackendSpec,
    BackendTLSPolicySpec,
    BackendTrafficPolicySpec,
    MeshSpec,
    ReferenceGrantSpec,
)
from ..config.gatewayapi.routes import GRPCRouteSpec, HTTPRouteSpec, TCPRouteSpec, TLSRouteSpec, UDPRouteSpec
from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Location, Object
from ..config.problems import Problem
from ..config.proxyconfig import Topology
from ..config.sidecar import SidecarSpec
from ..config.telemetry import TelemetrySpec
from ..config.virtualservice import VirtualServiceSpec


class Protocol(StrEnum):
    """A port's protocol (Istio's protocol selection page); AUTO stands for an undeclared one that is sniffed."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    MONGO = "MONGO"
    MYSQL = "MYSQL"
    REDIS = "REDIS"
    UDP = "UDP"
    AUTO = "AUTO"


HTTP_PROTOCOLS = frozenset({Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
HTTP2_PROTOCOLS = frozenset({Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
TLS_PROTOCOLS = frozenset({Protocol.HTTPS, Protocol.TLS})


class Resolution(StrEnum):
    """How a service's endpoints are found."""

    STATIC = "STATIC"  # a list of addresses: Kubernetes services and ServiceEntries with endpoints
    HEADLESS = "HEADLESS"  # clients dial the endpoints themselves (clusterIP: None)
    NONE = "NONE"  # the dialled address is the endpoint
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"
    ALIAS = "ALIAS"  # an ExternalName Service: its names are further names of its target


class Health(StrEnum):
    READY = "ready"
    DRAINING = "draining"  # terminating, still serving
    UNREADY = "unready"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of the registry's frozen records. None leads back to itself: the collector need not look at them."""


class Locality(Record, frozen=True, kw_only=True):
    region: str = ""
    zone: str = ""
    subzone: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.region, self.zone, self.subzone) if part)


#: Where nobody has said anything.
NOWHERE = Locality()


class Endpoint(Record, frozen=True, kw_only=True):
    """One address of one service port. `address` is an IP, a host name (DNS resolutions) or `unix:///path`."""

    address: str
    port: int
    labels: Mapping[str, str] = {}
    locality: Locality = NOWHERE
    weight: int = 1
    health: Health = Health.READY
    workload: str = ""  # "namespace/name" of the Pod or WorkloadEntry
    owner: str = ""  # the Deployment's, StatefulSet's … name as metrics show it
    node: str = ""
    hostname: str = ""  # a StatefulSet pod's own name under the service's host
    network: str = ""
    cluster: str = ""
    zones: tuple[str, ...] = ()  # for whose clients an EndpointSlice's hints mean it
    nodes: tuple[str, ...] = ()


class RegistryPort(Record, frozen=True, kw_only=True):
    number: int
    name: str = ""
    protocol: Protocol = Protocol.AUTO


class Service(Record, frozen=True, kw_only=True):
    """A host of the registry, from a Kubernetes Service or from one host of a ServiceEntry. The `logical` stage."""

    host: str  # fully qualified; may be a wildcard for ServiceEntries
    name: str
    namespace: str
    addresses: tuple[str, ...] = ()  # virtual IPs or CIDRs that clients dial
    external_addresses: tuple[str, ...] = ()  # those of them that the host's name does not stand for
    published: tuple[str, ...] = ()  # where a load balancer offers it
    allocated: tuple[str, ...] = ()  # of the mesh's own, for a host that has none: IPv4, IPv6
    ports: tuple[RegistryPort, ...] = ()
    endpoints: Mapping[int, tuple[Endpoint, ...]] = {}  # by service port number
    resolution: Resolution = Resolution.STATIC
    external: bool = False  # MESH_EXTERNAL
    kind: str = "Service"
    entry: str = ""  # the ServiceEntry's own name
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    export_to: tuple[str, ...] = ("*",)
    alias_of: str = ""  # an ExternalName Service's target
    selector: Mapping[str, str] = {}  # a ServiceEntry's workloadSelector
    subject_alt_names: tuple[str, ...] = ()
    publish_not_ready: bool = False
    traffic_distribution: str = ""  # PreferSameZone, PreferSameNode, or none
    internal_traffic_policy: str = "Cluster"
    session_affinity: str = "None"  # or ClientIP
    hints_nodes: bool = False  # whether hints tell clients apart by their nodes
    created: float = 0.0
    location: Location = Location()

    def port(self, number: int) -> RegistryPort | None:
        return next((port for port in self.ports if port.number == number), None)


class Workload(Record, frozen=True, kw_only=True):
    """A Pod or a WorkloadEntry: who can be a client, and what stands behind an address."""

    name: str
    namespace: str
    uid: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    addresses: tuple[str, ...] = ()
    node: str = ""
    locality: Locality = NOWHERE
    service_account: str = ""
    owner: str = ""  # the Deployment's, StatefulSet's … name as metrics show it
    host_network: bool = False
    ready: bool = True
    leaving: bool = False  # its deletion has begun (metadata.deletionTimestamp)
    finished: bool = False  # phase Succeeded or Failed
    capture: Capture = EVERYTHING  # which of its outgoing connections are the mesh's
    topology: Topology | None = None  # where it stands as a gateway, by its own word
    kind: str = "Pod"
    network: str = ""
    cluster: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def health(self) -> Health:
        """What it says of itself as an endpoint."""
        if self.finished or not self.ready:
            return Health.UNREADY
        return Health.DRAINING if self.leaving else Health.READY


class Namespace(Record, frozen=True, kw_only=True):
    name: str
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class StagedObject(Record, frozen=True, kw_only=True):
    """A change that canaries have: those of these nodes, and so many percent of all client pods. They have the object
    of this key and kind as it is here, or none."""

    id: str
    kind: str
    key: str
    clients: float
    nodes: frozenset[str] = frozenset()
    since: float = 0.0
    virtual_service: Object[VirtualServiceSpec] | None = None
    destination_rule: Object[DestinationRuleSpec] | None = None

    @property
    def item(self) -> Object[Any] | None:
        return self.virtual_service or self.destination_rule


class Snapshot(Record, frozen=True, kw_only=True):
    """Everything at one version. Maps are keyed by `namespace/name`; values are shared by identity between versions
    where nothing changed. `problems` are those of the objects that were read, refused ones included. `cluster` and
    `network` are the own cluster's; other clusters are there through their services only."""

    version: int = 0
    causes: tuple[str, ...] = ()
    cluster: str = ""
    network: str = ""
    mesh: MeshConfigSpec = MeshConfigSpec()
    namespaces: Mapping[str, Namespace] = {}
    workloads: Mapping[str, Workload] = {}
    services: Mapping[str, tuple[Service, ...]] = {}  # by host: several where a host is declared more than once
    virtual_services: Mapping[str, Object[VirtualServiceSpec]] = {}
    destination_rules: Mapping[str, Object[DestinationRuleSpec]] = {}
    gateways: Mapping[str, Object[GatewaySpec]] = {}
    sidecars: Mapping[str, Object[SidecarSpec]] = {}
    telemetries: Mapping[str, Object[TelemetrySpec]] = {}
    # the Kubernetes Gateway API's
    gateway_classes: Mapping[str, Object[GatewayClassSpec]] = {}
    kubernetes_gateways: Mapping[str, Object[KubernetesGatewaySpec]] = {}
    listener_sets: Mapping[str, Object[ListenerSetSpec]] = {}
    http_routes: Mapping[str, Object[HTTPRouteSpec]] = {}
    grpc_routes: Mapping[str, Object[GRPCRouteSpec]] = {}
    tls_routes: Mapping[str, Object[TLSRouteSpec]] = {}
    tcp_routes: Mapping[str, Object[TCPRouteSpec]] = {}
    udp_routes: Mapping[str, Object[UDPRouteSpec]] = {}
    reference_grants: Mapping[str, Object[ReferenceGrantSpec]] = {}
    backend_tls_policies: Mapping[str, Object[BackendTLSPolicySpec]] = {}
    backend_traffic_policies: Mapping[str, Object[BackendTrafficPolicySpec]] = {}
    meshes: Mapping[str, Object[MeshSpec]] = {}
    external_backends: Mapping[str, Object[BackendSpec]] = {}
    problems: tuple[Problem, ...] = ()
    rollouts: Mapping[str, StagedObject] = {}  # by their ids; the objects above are what all others have
