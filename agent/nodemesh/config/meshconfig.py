"""MeshConfig (`nodemesh.io/v1alpha1`): the mesh-wide settings, with Istio's names where Istio's MeshConfig has them."""

from __future__ import annotations

from enum import StrEnum

from .base import Duration, Model
from .destinationrule import LocalityLoadBalancerSetting, TrafficPolicy
from .providers import DefaultProviders, ExtensionProvider
from .proxyconfig import ProxyConfig
from .rollout import RolloutPlan
from .virtualservice import HTTPRetry


class OutboundMode(StrEnum):
    """Unknown destinations are refused, or dialled as they are."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


class MeshOutboundMode(StrEnum):
    """As OutboundMode; with ALLOW_ANY_DYNAMIC_DNS plain HTTP to unknown destinations goes through the proxy by its
    Host. A Sidecar cannot ask for that."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"
    ALLOW_ANY_DYNAMIC_DNS = "ALLOW_ANY_DYNAMIC_DNS"


class OutboundTLSMode(StrEnum):
    """Whether TLS is originated to unknown destinations."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"


class OutboundTLS(Model, frozen=True, kw_only=True):
    """TLS to unknown destinations of plain HTTP, by the machine's own authorities. Without `sni` the request's Host is
    the server's name, and its certificate is to be for it."""

    mode: OutboundTLSMode = OutboundTLSMode.DISABLE
    sni: str | None = None
    subject_alt_names: tuple[str, ...] = ()
    insecure_skip_verify: bool | None = None


class MeshOutboundTrafficPolicy(Model, frozen=True, kw_only=True):
    """The mesh's answer to unknown destinations, where no Sidecar says otherwise."""

    mode: MeshOutboundMode = MeshOutboundMode.ALLOW_ANY
    tls: OutboundTLS | None = None


class L7(StrEnum):
    """Whether a service port goes through the proxy: by its rules, always, or never."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class FailurePolicy(StrEnum):
    """What a redirected connection gets while the data plane does not live: the direct way, or a refusal."""

    OPEN = "open"
    CLOSED = "closed"


class MeshH2UpgradePolicy(StrEnum):
    """Whether requests to ports declared for HTTP go upstream as HTTP/2, where no DestinationRule says otherwise."""

    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class SockmapMode(StrEnum):
    """Whether bytes between the sockets of a pod that asks for it (`nodemesh.io/sockmap: enabled`) and the proxy's skip
    TCP. auto: where a torture of some seconds finds it sound and worth it; on: wherever the kernel can."""

    OFF = "off"
    AUTO = "auto"
    ON = "on"


class LabelSelectorRequirement(Model, frozen=True, kw_only=True):
    """One condition of a selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Model, frozen=True, kw_only=True):
    """Kubernetes' label selector (meta/v1)."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class NetworkEndpoints(Model, frozen=True, kw_only=True):
    """What is in a network: addresses, or all pods of a cluster (Istio's Network.NetworkEndpoints)."""

    from_cidr: str | None = None
    from_registry: str | None = None


class NetworkGateway(Model, frozen=True, kw_only=True):
    """The east-west gateway through which a network is reached from others (Istio's Network.IstioNetworkGateway)."""

    address: str
    port: int


class MeshNetwork(Model, frozen=True, kw_only=True):
    """One network of Istio's MeshNetworks."""

    endpoints: tuple[NetworkEndpoints, ...] = ()
    gateways: tuple[NetworkGateway, ...] = ()


class ClusterLocal(Model, frozen=True, kw_only=True):
    """Whether a service's endpoints are kept from other clusters."""

    cluster_local: bool = False


class ServiceSettings(Model, frozen=True, kw_only=True):
    """Settings of the services with these hosts, which may begin with `*`."""

    settings: ClusterLocal = ClusterLocal()
    hosts: tuple[str, ...] = ()


class HostOwnership(StrEnum):
    """Whether a rule or entry may claim what another namespace has declared: a Service's host or address. off: it may,
    as in Istio, and is named; namespace: what belongs to a namespace is that namespace's and the root namespace's."""

    OFF = "off"
    NAMESPACE = "namespace"


class EnrolmentMode(StrEnum):
    """Which pods are in the mesh where neither they nor their namespace say (`nodemesh.io/mesh`): all, or none."""

    ALL = "all"
    LABELLED = "labelled"


class PodLimits(Model, frozen=True, kw_only=True):
    """What one pod may take of the shared proxy; `node_buffered_bytes` is what all pods of a node may have buffered
    together: each as much as the others leave free."""

    connections: int = 10_000
    requests: int = 10_000  # in flight
    buffered_bytes: int = 64 * 1024 * 1024
    node_buffered_bytes: int = 256 * 1024 * 1024


class MetricsReporter(StrEnum):
    """Whose proxy Istio's metrics are to come from. Here there is one; what it knows of both ends it reports for both,
    for dashboards ask either."""

    SOURCE = "source"
    DESTINATION = "destination"


class Metrics(Model, frozen=True, kw_only=True):
    """Which of Istio's metrics there are, and how long (in milliseconds) a series stays in which nothing happens."""

    reporters: tuple[MetricsReporter, ...] = (MetricsReporter.SOURCE, MetricsReporter.DESTINATION)
    size_histograms: bool = True
    expiry: Duration = Duration(15 * 60_000)


class MeshConfigSpec(Model, frozen=True, kw_only=True):
    """The settings of the whole mesh. `connect_timeout` is in milliseconds; access_log_file is a path or
    /dev/stdout; without discovery_selectors all namespaces are seen. `dns_capture` has the mesh answer DNS for its
    own names and gives addresses to ServiceEntries without any. `http10` accepts HTTP/1.0 requests, which get 426
    otherwise: istiod's PILOT_HTTP10. `networks` is Istio's MeshNetworks. `enable_status` writes what becomes of Istio's
    objects into their status: istiod's PILOT_ENABLE_STATUS. Where `enrolment` is not set, pods of a cluster join by
    their label, those of a folder all. Of the agent's own machine, objects of the API server may name files and sockets
    below `allowed_folders`, header values the variables in `allowed_environment`; the admin API answers to
    `admin_hosts` beside its own addresses, and shows clients from `admin_clients` all that it shows loopback. `rollout`
    is what the annotation `nodemesh.io/rollout: enabled` on an object means."""

    root_namespace: str = "istio-system"
    cluster_domain: str = "cluster.local"
    outbound_traffic_policy: MeshOutboundTrafficPolicy = MeshOutboundTrafficPolicy()
    default_http_retry_policy: HTTPRetry | None = None
    default_config: ProxyConfig | None = None
    connect_timeout: Duration = Duration(10_000)
    default_traffic_policy: TrafficPolicy | None = None
    h2_upgrade_policy: MeshH2UpgradePolicy = MeshH2UpgradePolicy.DO_NOT_UPGRADE
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    access_log_file: str | None = None
    access_log_format: str | None = None
    access_log_encoding: str = "TEXT"
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders = DefaultProviders()
    enable_tracing: bool = False
    discovery_selectors: tuple[LabelSelector, ...] = ()
    default_service_export_to: tuple[str, ...] = ("*",)
    default_virtual_service_export_to: tuple[str, ...] = ("*",)
    default_destination_rule_export_to: tuple[str, ...] = ("*",)
    networks: dict[str, MeshNetwork] = {}
    service_settings: tuple[ServiceSettings, ...] = ()
    l7: L7 = L7.AUTO
    failure_policy: FailurePolicy = FailurePolicy.OPEN
    sockmap: SockmapMode = SockmapMode.OFF
    dns_capture: bool = False
    http10: bool = False
    enable_status: bool = False
    enrolment: EnrolmentMode | None = None
    host_ownership: HostOwnership = HostOwnership.OFF
    allowed_folders: tuple[str, ...] = ()
    allowed_environment: tuple[str, ...] = ()
    admin_hosts: tuple[str, ...] = ()
    admin_clients: tuple[str, ...] = ()
    limits: PodLimits = PodLimits()
    metrics: Metrics = Metrics()
    rollout: RolloutPlan | None = None
