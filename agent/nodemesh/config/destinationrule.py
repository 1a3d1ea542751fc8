"""DestinationRule as Istio's networking API defines it: policies and subsets of one destination host."""

from __future__ import annotations

from enum import StrEnum

from msgspec import field

from .base import Duration, Int32, Model, UInt32, UInt64, WorkloadSelector
from .virtualservice import PortSelector


class DestinationRuleSpec(Model, frozen=True, kw_only=True):
    host: str | None = None
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None


class TrafficPolicy(Model, frozen=True, kw_only=True):
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class PortTrafficPolicy(Model, frozen=True, kw_only=True):
    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(Model, frozen=True, kw_only=True):
    protocol: str | None = None
    target_host: str | None = None
    target_port: UInt32 | None = None


class ProxyProtocol(Model, frozen=True, kw_only=True):
    version: VERSION | None = None


class VERSION(StrEnum):
    V1 = "V1"
    V2 = "V2"


class RetryBudget(Model, frozen=True, kw_only=True):
    percent: float | None = None
    min_retry_concurrency: UInt32 | None = None
    budget_interval: Duration | None = None


class Subset(Model, frozen=True, kw_only=True):
    name: str | None = None
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None


class LoadBalancerSettings(Model, frozen=True, kw_only=True):
    simple: SimpleLB | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    warmup_duration_secs: Duration | None = None
    warmup: WarmupConfiguration | None = None


class SimpleLB(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class ConsistentHashLB(Model, frozen=True, kw_only=True):
    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: UInt64 | None = None


class RingHash(Model, frozen=True, kw_only=True):
    minimum_ring_size: UInt64 | None = None


class MagLev(Model, frozen=True, kw_only=True):
    table_size: UInt64 | None = None


class HTTPCookie(Model, frozen=True, kw_only=True):
    name: str | None = None
    path: str | None = None
    ttl: Duration | None = None
    attributes: tuple[Attribute, ...] = ()


class Attribute(Model, frozen=True, kw_only=True):
    name: str | None = None
    value: str | None = None


class WarmupConfiguration(Model, frozen=True, kw_only=True):
    duration: Duration | None = None
    minimum_percent: float | None = None
    aggression: float | None = None


class ConnectionPoolSettings(Model, frozen=True, kw_only=True):
    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class TCPSettings(Model, frozen=True, kw_only=True):
    max_connections: Int32 | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: Duration | None = None


class TcpKeepalive(Model, frozen=True, kw_only=True):
    probes: UInt32 | None = None
    time: Duration | None = None
    interval: Duration | None = None


class HTTPSettings(Model, frozen=True, kw_only=True):
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
    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class ConnectionKeepalive(Model, frozen=True, kw_only=True):
    interval: Duration | None = None
    timeout: Duration | None = None


class OutlierDetection(Model, frozen=True, kw_only=True):
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
    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class LocalityLoadBalancerSetting(Model, frozen=True, kw_only=True):
    distribute: tuple[Distribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


class Distribute(Model, frozen=True, kw_only=True):
    from_: str | None = field(default=None, name="from")
    to: dict[str, UInt32] = {}


class LocalityFailover(Model, frozen=True, kw_only=True):
    from_: str | None = field(default=None, name="from")
    to: str | None = None


class ZoneAwareLoadBalancerSetting(Model, frozen=True, kw_only=True):
    enabled: bool | None = None
    failover: tuple[ZoneAwareFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: UInt64 | None = None


class ZoneAwareFailover(Model, frozen=True, kw_only=True):
    from_: str | None = field(default=None, name="from")
    to: str | None = None
