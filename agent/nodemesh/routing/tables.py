"""The compiled tables: what every client shares, with names resolved, delegates merged and lookups indexed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..config.destinationrule import Subset, TrafficPolicy
from ..config.gateway import Server
from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Location
from ..config.sidecar import SidecarSpec
from ..config.telemetry import TelemetrySpec
from ..config.virtualservice import HTTPRoute, TCPRoute, TLSRoute
from ..registry.snapshot import Service, Snapshot
from .decision import Owner, Rule
from .gatewayapi.rules import BackendTls, BackendTraffic, MeshRoute, ResolvedRoute, ServedListener

#: The kind of owner that a VirtualService is.
VIRTUAL_SERVICE = "VirtualService"


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the tables' frozen parts; all of them travel as msgpack."""


class HttpRule(Part, frozen=True, kw_only=True):
    """One HTTP rule; `rule` says where in the (root) VirtualService it stands, `delegate` where the delegate wrote
    it. The hosts of `route` are fully qualified, its matches' gateways are `namespace/name`."""

    route: HTTPRoute
    rule: Rule
    delegate: Rule | None = None


class TlsRule(Part, frozen=True, kw_only=True):
    route: TLSRoute
    rule: Rule


class TcpRule(Part, frozen=True, kw_only=True):
    route: TCPRoute
    rule: Rule


class VirtualService(Part, frozen=True, kw_only=True):
    """A VirtualService with everything resolved. `export_to` has `.` written out."""

    key: str
    namespace: str
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    export_to: tuple[str, ...]
    created: float = 0.0
    http: tuple[HttpRule, ...] = ()
    tls: tuple[TlsRule, ...] = ()
    tcp: tuple[TcpRule, ...] = ()
    location: Location = Location()
    labels: frozenset[str] = frozenset()  # the keys of client labels that its matches read

    @property
    def connections(self) -> tuple[TlsRule | TcpRule, ...]:
        """The rules for connections without HTTP."""
        return (*self.tls, *self.tcp)

    @property
    def rules(self) -> tuple[HttpRule | TlsRule | TcpRule, ...]:
        """Of all kinds."""
        return (*self.http, *self.tls, *self.tcp)

    @property
    def owner(self) -> Owner:
        name = self.key.rpartition("/")[2]
        return Owner(kind=VIRTUAL_SERVICE, namespace=self.namespace, name=name, location=self.location)


class DestinationRule(Part, frozen=True, kw_only=True):
    """The DestinationRules of one host and namespace, merged. `key` is that of the oldest; `sources` are all."""

    key: str
    namespace: str
    host: str
    export_to: tuple[str, ...]
    policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    selector: Mapping[str, str] = {}
    sources: tuple[tuple[str, Location], ...] = ()
    location: Location = Location()

    def subset(self, name: str) -> Subset | None:
        return next((subset for subset in self.subsets if subset.name == name), None)


class Sidecar(Part, frozen=True, kw_only=True):
    key: str
    namespace: str
    selector: Mapping[str, str] = {}
    spec: SidecarSpec
    created: float = 0.0
    location: Location = Location()


class TelemetryEntry(Part, frozen=True, kw_only=True):
    key: str
    namespace: str
    selector: Mapping[str, str] = {}
    spec: TelemetrySpec
    created: float = 0.0
    location: Location = Location()


class Gateway(Part, frozen=True, kw_only=True):
    key: str
    namespace: str
    selector: Mapping[str, str]
    servers: tuple[Server, ...]
    created: float = 0.0
    location: Location = Location()


class StagedRollout(Part, frozen=True, kw_only=True):
    """A change that canaries have: `clients` percent of all client pods, and those of `nodes`. By its key, what they
    have in the place of what the tables have for all others; None: nothing."""

    id: str
    kind: str
    key: str
    clients: float = 0.0
    nodes: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()  # that it speaks of, now or before
    virtual_services: Mapping[str, VirtualService | None] = {}
    destination_rules: Mapping[str, tuple[DestinationRule, ...] | None] = {}


class Tables(Part, frozen=True, kw_only=True):
    """Everything routing knows at one version; parts that did not change are the previous version's own objects.

    Wildcard hosts are kept in the same maps as the others and listed again, the most specific first."""

    version: int = 0
    causes: tuple[str, ...] = ()
    mesh: MeshConfigSpec = MeshConfigSpec()
    network: str = ""  # the own cluster's
    services: Mapping[str, tuple[Service, ...]] = {}  # by host, in order of precedence
    wildcard_services: tuple[str, ...] = ()
    addresses: Mapping[str, tuple[str, ...]] = {}  # virtual address -> hosts
    networks: tuple[tuple[str, str], ...] = ()  # (CIDR, host)
    owned: Mapping[str, str] = {}  # addresses of pods and Services that others may claim -> their namespaces
    claimed_networks: Mapping[str, tuple[str, ...]] = {}  # CIDR of a ServiceEntry -> namespaces in it, up to two
    virtual_services: Mapping[str, VirtualService] = {}  # by namespace/name
    virtual_hosts: Mapping[str, tuple[str, ...]] = {}  # host -> keys of VirtualServices, the oldest first
    wildcard_virtual_hosts: tuple[str, ...] = ()
    destination_rules: Mapping[str, tuple[DestinationRule, ...]] = {}  # by host
    wildcard_destination_rules: tuple[str, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    telemetries: tuple[TelemetryEntry, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    routes: Mapping[
        str, ResolvedRoute
    ] = {}  # of the Gateway API: "Kind namespace/name", with " mesh" behind for Services
    mesh_routes: Mapping[str, tuple[MeshRoute, ...]] = {}  # by the Service's host
    listeners: Mapping[str, ServedListener] = {}
    backend_tls: Mapping[str, tuple[BackendTls, ...]] = {}  # by the Service's host
    backend_traffic: Mapping[str, BackendTraffic] = {}  # likewise
    rollouts: tuple[StagedRollout, ...] = ()
    client_labels: frozenset[str] = frozenset()  # the keys of client labels that any rule reads
    client_nodes: bool = False  # whether any service tells clients apart by their node
    snapshot: Snapshot | None = None  # what it was compiled from; does not travel
    ownership: object = None  # what `owned` was made from; does not travel either
    attached: object = None  # how the Gateway API's objects are attached; does not travel either
