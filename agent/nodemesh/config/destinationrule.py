"""DestinationRule as Istio's networking API defines it: policies and subsets of one destination host."""

from __future__ import annotations

from enum import StrEnum

from msgspec import field

from .base import Duration, Int32, Model, UInt32, UInt64, WorkloadSelector
from .virtualservice import PortSelector


class DestinationRuleSpec(Model, frozen=True, kw_only=True):
    """How clients treat one host (which may be a wildcard): load balancing, pools, outliers, TLS, and its subsets.
    With a workload_selector it holds for those clients of its own namespace only."""

    host: str | None = None
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None


class TrafficPolicy(Model, frozen=True, kw_only=True):
    """The policy of a host or subset. A subset replaces the host's block by block; port_level_settings replace all
    of it for their port."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class PortTrafficPolicy(Model, frozen=True, kw_only=True):
    """The policy of one port; what it leaves out goes to the defaults, not to the policy around it."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(Model, frozen=True, kw_only=True):
    """Wraps connections into HTTP CONNECT (the default) or POST to a third host."""

    protocol: str | None = None
    target_host: str | None = None
    target_port: UInt32 | None = None


class ProxyProtocol(Model, frozen=True, kw_only=True):
    """Sends a PROXY protocol header to the endpoint; V1 unless said."""

    version: VERSION | None = None


class VERSION(StrEnum):
    """The PROXY protocol's text form (1) and binary form (2)."""

    V1 = "V1"
    V2 = "V2"


class RetryBudget(Model, frozen=True, kw_only=True):
    """Bounds the retries under way to a share of the active requests (20 %), but never below min_retry_concurrency
    (3)."""

    percent: float | None = None
    min_retry_concurrency: UInt32 | None = None
    budget_interval: Duration | None = None


class Subset(Model, frozen=True, kw_only=True):
    """The endpoints of the host whose workloads carry all these labels, under a name that routes can use."""

    name: str | None = None
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None


class LoadBalancerSettings(Model, frozen=True, kw_only=True):
    """How an endpoint is picked: least request of two random ones unless said. Locality settings replace the mesh's
    whole."""

    simple: SimpleLB | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    warmup_duration_secs: Duration | None = None
    warmup: WarmupConfiguration | None = None


class SimpleLB(StrEnum):
    """The algorithms without settings; LEAST_CONN is the old name of LEAST_REQUEST."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class ConsistentHashLB(Model, frozen=True, kw_only=True):
    """Sends equal keys to the same endpoint; ring hash unless maglev is set. `minimum_ring_size` is deprecated."""

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: UInt64 | None = None


class RingHash(Model, frozen=True, kw_only=True):
    """Ketama's ring; `minimum_ring_size` entries, 1024 unless said."""

    minimum_ring_size: UInt64 | None = None


class MagLev(Model, frozen=True, kw_only=True):
    """Google's maglev; `table_size` is a prime, 65537 unless said."""

    table_size: UInt64 | None = None


class HTTPCookie(Model, frozen=True, kw_only=True):
    """The cookie that is hashed; with a ttl it is made where it is missing (0 s: for the session)."""

    name: str | None = None
    path: str | None = None
    ttl: Duration | None = None
    attributes: tuple[Attribute, ...] = ()


class Attribute(Model, frozen=True, kw_only=True):
    """A further attribute of the cookie that is made, such as SameSite."""

    name: str | None = None
    value: str | None = None


class WarmupConfiguration(Model, frozen=True, kw_only=True):
    """Lets a new endpoint's share grow over `duration`, from minimum_percent (10), bent by aggression (1 is
    linear)."""

    duration: Duration | None = None
    minimum_percent: float | None = None
    aggression: float | None = None


class ConnectionPoolSettings(Model, frozen=True, kw_only=True):
    """Bounds on connections and requests to the host."""

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class TCPSettings(Model, frozen=True, kw_only=True):
    """max_connections is unbounded, connect_timeout 10 s, idle_timeout 1 h (0 s: never) unless said."""

    max_connections: Int32 | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: Duration | None = None


class TcpKeepalive(Model, frozen=True, kw_only=True):
    """The kernel's keepalive: probes unanswered, time idle before the first, interval between them."""

    probes: UInt32 | None = None
    time: Duration | None = None
    interval: Duration | None = None


class HTTPSettings(Model, frozen=True, kw_only=True):
    """All bounds are 2^32-1 and idle_timeout is 1 h unless said; max_requests_per_connection 1 switches keep-alive
    off."""

    http1_max_pending_requests: Int32 | None = None
    http2_max_requests: Int32 | None = None
    max_requests_per_connection: Int32 | None = None
    max_retries: Int32 | None = None
    idle_timeout: Duration | None = None
    h2_upgrade_policy: H2UpgradePolicy | None = None
    use_client_protocol: bool | None = None
    max_concurrent_streams: Int32 | None = None
    http2_keep_alive: ConnectionKeepalive | None = None


class H2UpgradePolicy(StrEnum):
    """Whether HTTP/1.1 requests go upstream as HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class ConnectionKeepalive(Model, frozen=True, kw_only=True):
    """HTTP/2 PINGs: how often, and how long the answer may take."""

    interval: Duration | None = None
    timeout: Duration | None = None


class OutlierDetection(Model, frozen=True, kw_only=True):
    """Takes failing endpoints out for a while: after 5 consecutive 5xx, looked at every 10 s, for 30 s times the
    number of ejections, at most 10 % of them, unless said."""

    consecutive_errors: Int32 | None = None
    split_external_local_origin_errors: bool | None = None
    consecutive_local_origin_failures: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive5xx_errors: UInt32 | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: Int32 | None = None
    min_health_percent: Int32 | None = None
    outlier_detection_http_error_codes: tuple[UInt32, ...] = ()


class ClientTLSSettings(Model, frozen=True, kw_only=True):
    """TLS towards the endpoints; certificates by file or by the name of a Secret."""

    mode: ClientTLSMode | None = None
    client_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    credential_name: str | None = None
    subject_alt_names: tuple[str, ...] = ()
    sni: str | None = None
    insecure_skip_verify: bool | None = None
    ca_crl: str | None = None


class ClientTLSMode(StrEnum):
    """No TLS, TLS, TLS with a client certificate, or with the mesh's own."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class LocalityLoadBalancerSetting(Model, frozen=True, kw_only=True):
    """Prefers near endpoints: by fixed shares, by failover between regions, or by a list of labels. Failover acts
    only where outliers are detected."""

    distribute: tuple[Distribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


class Distribute(Model, frozen=True, kw_only=True):
    """The shares (percent, sum 100) of target localities for clients in one locality."""

    from_: str | None = field(default=None, name="from")
    to: dict[str, UInt32] = {}


class LocalityFailover(Model, frozen=True, kw_only=True):
    """Where a region's traffic goes when its endpoints are unhealthy."""

    from_: str | None = field(default=None, name="from")
    to: str | None = None


class ZoneAwareLoadBalancerSetting(Model, frozen=True, kw_only=True):
    """Keeps traffic in the zone as far as its endpoints suffice, in clusters of min_cluster_size endpoints (6) or
    more."""

    enabled: bool | None = None
    failover: tuple[ZoneAwareFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: UInt64 | None = None


class ZoneAwareFailover(Model, frozen=True, kw_only=True):
    """The same, for zone-aware balancing."""

    from_: str | None = field(default=None, name="from")
    to: str | None = None
