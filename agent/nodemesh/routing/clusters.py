"""Clusters: one balanced group of endpoints with every policy of its DestinationRule resolved to values."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ..config.annotations import SUBSET_FAILOVER_ANNOTATION, SubsetFailover
from ..config.credential import credential_key
from ..config.destinationrule import (
    VERSION,
    ClientTLSMode,
    ClientTLSSettings,
    ConnectionPoolSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    RetryBudget,
)
from ..config.meshconfig import MeshConfigSpec, OutboundTLSMode
from ..registry.services import selects
from ..registry.snapshot import Endpoint, Health, Protocol, Resolution, Service
from . import decision
from .balancing import balancing_of
from .client import Client
from .decision import (
    Algorithm,
    Cluster,
    ConnectionPool,
    HttpReason,
    HttpVersion,
    Keepalive,
    LoadBalancer,
    Outlier,
    Tunnel,
    UpstreamTls,
)
from .hints import hinted
from .locality import client_part, label, priorities, setting_in_force
from .networks import reachable
from .servername import ClusterServerName
from .tables import DestinationRule
from .trafficpolicy import Policy, effective_policy, mesh_policy
from .upstream import choose_http

PASSTHROUGH_CLUSTER = "PassthroughCluster"
DYNAMIC_DNS_CLUSTER = "AllowAnyDynamicDNSCluster"
BLACKHOLE_CLUSTER = "BlackHoleCluster"

POOL = ConnectionPool()

#: A connection of the PassthroughCluster may stay idle for less long (Istio's passthroughHttpProtocolOptions).
PASSTHROUGH_POOL = ConnectionPool(idle_timeout=300.0)

#: The client's own choice of address is dialled. With DYNAMIC_DNS it has resolved the name itself.
DIALLED = frozenset({Resolution.NONE, Resolution.HEADLESS, Resolution.DYNAMIC_DNS})

PASSED_THROUGH = LoadBalancer(algorithm=Algorithm.PASSTHROUGH)


def cluster_name(host: str, port: int, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{host}"


def build_cluster(
    service: Service,
    port: int,
    subset: str,
    rule: DestinationRule | None,
    client: Client,
    mesh: MeshConfigSpec,
    *,
    shadowed: bool = False,
    passthrough: bool = False,
) -> Cluster:
    """The group that `client` reaches. `shadowed`: another service of the same host comes before this one elsewhere,
    so state must not be shared under the plain name. `passthrough`: as an AUTO_PASSTHROUGH server reaches it, with TLS
    that is none of ours, and in its own network alone, since two of them would send one connection to and fro."""
    policy = effective_policy(rule, subset, port, mesh_policy(mesh))
    port_spec = service.port(port)
    if passthrough:
        name, protocol = str(ClusterServerName(port, subset, service.host)), Protocol.TCP
    else:
        name = cluster_name(service.host, port, subset)
        protocol = port_spec.protocol if port_spec is not None else Protocol.AUTO
    resolution = service.resolution
    if resolution is Resolution.HEADLESS and subset:
        resolution = Resolution.STATIC  # a rule chose among the endpoints: what was dialled may not be one of them
    dialled = resolution in DIALLED
    listed = select_endpoints(service, port, rule, subset, client)
    endpoints = reachable(listed, client.network, mesh.networks, protocol)
    by_network = endpoints is not listed
    tls = tls_of(policy.tls, service, client) if not passthrough else None
    locality, takes_hints = locality_of(policy, service, mesh)
    place = client_part(locality, client)
    if takes_hints and not dialled:
        endpoints, place = hinted(endpoints, client)
    upstream_http, http_reason = choose_http(protocol, policy.connection_pool, mesh, gateway=client.gateway)
    return Cluster(
        name=name,
        key=cluster_key(name, service, rule, shadowed, tls, client, place, by_network, protocol),
        host=service.host,
        port=port,
        subset=subset,
        service=service.name,
        namespace=service.namespace,
        endpoints=endpoints,
        reserve=reserve_of(service, port, endpoints, client, mesh, protocol) if subset else None,
        resolution=resolution,
        protocol=protocol,
        upstream_http=upstream_http,
        http_reason=http_reason,
        load_balancer=PASSED_THROUGH if dialled else balancing_of(policy.load_balancer, service, protocol),
        priorities=priorities(endpoints, client, locality),
        pool=pool_of(policy.connection_pool, mesh),
        retry_budget=retry_budget_of(policy.retry_budget),
        outlier=outlier_of(policy.outlier_detection),
        tls=tls,
        tunnel=tunnel_of(policy),
        proxy_protocol=proxy_protocol_of(policy),
        external=service.external,
    )


def tunnel_of(policy: Policy) -> Tunnel | None:
    settings = policy.tunnel
    if settings is None:
        return None
    host = settings.target_host or ""
    host = f"[{host}]" if ":" in host else host
    return Tunnel(target=f"{host}:{settings.target_port}".encode(), post=settings.protocol == "POST")


def proxy_protocol_of(policy: Policy) -> int:
    """The version of the PROXY protocol; V1 where nothing is said."""
    settings = policy.proxy_protocol
    return 0 if settings is None else 2 if settings.version is VERSION.V2 else 1


def locality_of(
    policy: Policy, service: Service, mesh: MeshConfigSpec
) -> tuple[LocalityLoadBalancerSetting | None, bool]:
    """The locality setting in force, and whether the topology hints of EndpointSlices count: where nothing else says
    which endpoints come first."""
    own = policy.load_balancer.locality_lb_setting if policy.load_balancer is not None else None
    setting = setting_in_force(
        own,
        mesh=mesh.locality_lb_setting,
        traffic_distribution=service.traffic_distribution,
        outlier_detection=policy.outlier_detection is not None,
    )
    return setting, setting is None and own is None and service.internal_traffic_policy != "Local"


def cluster_key(
    name: str,
    service: Service,
    rule: DestinationRule | None,
    shadowed: bool,
    tls: UpstreamTls | None,
    client: Client,
    place: str,
    by_network: bool,
    protocol: Protocol,
) -> str:
    """The name, and beside it whatever makes one client's group differ from another's. `place` is what the order of
    the endpoints depends on in the client; `by_network` where its network decides which they are. Undeclared ports are
    spoken to otherwise by gateways."""
    key = f"{name}@{service.namespace}" if shadowed else name
    if protocol is Protocol.AUTO and client.gateway:
        key = f"{key}^gateway"
    if tls is not None and tls.credential:
        key = f"{key}!{tls.credential}"
    if rule is not None and (rule.namespace != service.namespace or rule.selector):
        key = f"{key}#{rule.key}"
    if service.internal_traffic_policy == "Local" and client.node:
        place = f"{place}@{client.node}"
    if by_network:
        place = f"{place}%{client.network}"
    return f"{key}~{place}" if place else key


def select_endpoints(
    service: Service, port: int, rule: DestinationRule | None, subset: str, client: Client
) -> tuple[Endpoint, ...]:
    endpoints = service.endpoints.get(port, ())
    chosen = rule.subset(subset) if rule is not None and subset else None
    if chosen is not None and chosen.labels:
        endpoints = tuple(endpoint for endpoint in endpoints if is_of_subset(endpoint, chosen.labels))
    if service.internal_traffic_policy == "Local" and client.node:
        endpoints = tuple(endpoint for endpoint in endpoints if endpoint.node == client.node)
    if service.publish_not_ready and any(endpoint.health is not Health.READY for endpoint in endpoints):
        endpoints = tuple(replace(endpoint, health=Health.READY) for endpoint in endpoints)
    return endpoints


def reserve_of(
    service: Service,
    port: int,
    chosen: tuple[Endpoint, ...],
    client: Client,
    mesh: MeshConfigSpec,
    protocol: Protocol,
) -> tuple[Endpoint, ...] | None:
    """The service's endpoints beside a subset's, where its annotation has them serve in the subset's place (Envoy's
    fallback policy ANY_ENDPOINT); None where it does not."""
    if service.annotations.get(SUBSET_FAILOVER_ANNOTATION) != SubsetFailover.ANY:
        return None
    listed = select_endpoints(service, port, None, "", client)
    own = {(endpoint.address, endpoint.port) for endpoint in chosen}
    others = reachable(listed, client.network, mesh.networks, protocol)
    return tuple(endpoint for endpoint in others if (endpoint.address, endpoint.port) not in own)


def is_of_subset(endpoint: Endpoint, labels: Mapping[str, str]) -> bool:
    """Labels that name a place, such as topology.istio.io/cluster, are every endpoint's, as in Istio."""
    return selects(labels, endpoint.labels) or all(label(endpoint, key) == value for key, value in labels.items())


def passthrough_cluster(mesh: MeshConfigSpec) -> Cluster:
    """Envoy's ORIGINAL_DST for everything that the registry does not know."""
    settings = mesh_policy(mesh).connection_pool
    return Cluster(
        name=PASSTHROUGH_CLUSTER,
        key=PASSTHROUGH_CLUSTER,
        host=PASSTHROUGH_CLUSTER,
        port=0,
        resolution=Resolution.NONE,
        protocol=Protocol.AUTO,
        upstream_http=HttpVersion.CLIENT,
        http_reason=HttpReason.PASSTHROUGH,
        load_balancer=PASSED_THROUGH,
        pool=pool_of(settings, mesh, PASSTHROUGH_POOL),
        external=True,
    )


def dynamic_dns_cluster(mesh: MeshConfigSpec) -> Cluster:
    """Istio's for plain HTTP to what the registry does not know, with TLS where MeshConfig says so. Envoy's looks the
    request's Host up again; here the address stays the one that the client dialled, which has looked it up itself: a
    Host leads nowhere that its client could not have dialled."""
    policy = mesh.outbound_traffic_policy.tls
    tls = None
    if policy is not None and policy.mode is OutboundTLSMode.SIMPLE:
        tls = UpstreamTls(
            mode=policy.mode.value,
            sni=policy.sni or "",
            subject_alt_names=policy.subject_alt_names,
            insecure_skip_verify=bool(policy.insecure_skip_verify),
        )
    name = DYNAMIC_DNS_CLUSTER
    return replace(passthrough_cluster(mesh), name=name, key=name, host=name, tls=tls)


def seconds(milliseconds: int | None, default: float = 0.0) -> float:
    return default if milliseconds is None else milliseconds / 1000


def pool_of(
    settings: ConnectionPoolSettings | None, mesh: MeshConfigSpec, base: ConnectionPool = POOL
) -> ConnectionPool:
    """Zero means unset, as in Istio, but for the TCP idle timeout, where it switches it off."""
    base = replace(base, connect_timeout=seconds(mesh.connect_timeout))
    if settings is None:
        return base
    if settings.tcp is not None:
        tcp = settings.tcp
        keepalive = tcp.tcp_keepalive
        base = replace(
            base,
            max_connections=tcp.max_connections or base.max_connections,
            connect_timeout=seconds(tcp.connect_timeout) or base.connect_timeout,
            max_connection_duration=seconds(tcp.max_connection_duration),
            tcp_idle_timeout=seconds(tcp.idle_timeout, base.tcp_idle_timeout),
            idle_timeout=seconds(tcp.idle_timeout) or base.idle_timeout,
            keepalive=None
            if keepalive is None
            else Keepalive(
                probes=keepalive.probes or 0,
                time=int(seconds(keepalive.time)),
                interval=int(seconds(keepalive.interval)),
            ),
        )
    if settings.http is not None:
        http = settings.http
        ping = http.http2_keep_alive
        base = replace(
            base,
            max_pending=http.http1_max_pending_requests or base.max_pending,
            max_requests=http.http2_max_requests or base.max_requests,
            max_requests_per_connection=http.max_requests_per_connection or 0,
            max_retries=http.max_retries or base.max_retries,
            idle_timeout=seconds(http.idle_timeout) or base.idle_timeout,
            max_concurrent_streams=http.max_concurrent_streams or base.max_concurrent_streams,
            ping_interval=seconds(ping.interval) if ping is not None else 0.0,
            ping_timeout=seconds(ping.timeout) if ping is not None else 0.0,
        )
    return base


def retry_budget_of(settings: RetryBudget | None) -> decision.RetryBudgetPolicy | None:
    if settings is None:
        return None
    return decision.RetryBudgetPolicy(
        percent=20.0 if settings.percent is None else settings.percent,
        min_concurrency=3 if settings.min_retry_concurrency is None else settings.min_retry_concurrency,
        interval=seconds(settings.budget_interval),
    )


def outlier_of(settings: OutlierDetection | None) -> Outlier | None:
    if settings is None:
        return None
    base = Outlier()
    consecutive = settings.consecutive5xx_errors
    if consecutive is None:
        consecutive = base.consecutive_5xx
    return Outlier(
        consecutive_5xx=consecutive,
        consecutive_gateway_errors=settings.consecutive_gateway_errors or 0,
        split_local_origin=bool(settings.split_external_local_origin_errors),
        consecutive_local_origin=base.consecutive_local_origin
        if settings.consecutive_local_origin_failures is None
        else settings.consecutive_local_origin_failures,
        interval=seconds(settings.interval) or base.interval,
        base_ejection=seconds(settings.base_ejection_time) or base.base_ejection,
        max_ejection_percent=base.max_ejection_percent
        if settings.max_ejection_percent is None
        else settings.max_ejection_percent,
        min_health_percent=settings.min_health_percent or 0,
        error_codes=frozenset(settings.outlier_detection_http_error_codes),
    )


def tls_of(settings: ClientTLSSettings | None, service: Service, client: Client) -> UpstreamTls | None:
    """TLS origination. ISTIO_MUTUAL is plain text here: there is no mesh identity to present."""
    if settings is None or settings.mode not in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL):
        return None
    return UpstreamTls(
        mode=settings.mode.value,
        sni=settings.sni or "",
        subject_alt_names=settings.subject_alt_names or service.subject_alt_names,
        ca_certificates=settings.ca_certificates or "",
        ca_crl=settings.ca_crl or "",
        client_certificate=settings.client_certificate or "",
        private_key=settings.private_key or "",
        credential=credential_key(settings.credential_name, client.namespace) if settings.credential_name else "",
        insecure_skip_verify=bool(settings.insecure_skip_verify),
    )
