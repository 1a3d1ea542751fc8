"""Which way a service port's connections take, pass, kernel or proxy, and the sentence that says why."""

from __future__ import annotations

from ..config.annotations import (
    FAILURE_POLICY_ANNOTATION,
    L7_ANNOTATION,
    LOAD_BALANCER_ANNOTATION,
    SUBSET_FAILOVER_ANNOTATION,
    LoadBalancerWish,
    SubsetFailover,
)
from ..config.destinationrule import ClientTLSMode, SimpleLB
from ..config.meshconfig import L7, FailurePolicy, MeshConfigSpec, OutboundMode
from ..registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Protocol, RegistryPort, Resolution, Service
from .decision import Decision, HttpReason, HttpVersion, Route
from .frontend import Mode
from .gatewayapi.rules import MeshRoute, ResolvedRoute
from .lookup import MAY_BE_HTTP, Lookup
from .tables import DestinationRule, VirtualService
from .trafficpolicy import NOTHING, Policy, effective_policy, mesh_policy
from .upstream import choose_http

Choice = tuple[Mode, str]

#: Why nothing is done with datagrams between pods.
UDP = "UDP is left alone"

#: Why requests that go upstream as HTTP/2 take the proxy without any rule. A client has one such connection to a
#: service for all it asks: picked at connect(), an endpoint would get every stream of it.
PROMOTED = {
    HttpReason.PORT: "the port is declared {}, whose streams are balanced one by one",
    HttpReason.MESH: "MeshConfig's h2UpgradePolicy is UPGRADE",
}


def failure_policy_of(service: Service | None, mesh: MeshConfigSpec) -> FailurePolicy:
    given = service.annotations.get(FAILURE_POLICY_ANNOTATION, "") if service is not None else ""
    return FailurePolicy(given) if given in ("open", "closed") else mesh.failure_policy


def choose_mode(service: Service, port: RegistryPort, lookup: Lookup, tcp: Decision) -> Choice:
    """`tcp` is what becomes of a connection to the port by its TCP rules."""
    if port.protocol is Protocol.UDP:
        return Mode.PASS, UDP
    wish = service.annotations.get(L7_ANNOTATION, "")
    source = f"the annotation {L7_ANNOTATION} of {service.kind} {service.namespace}/{service.name}"
    if wish not in (L7.ALWAYS, L7.NEVER, L7.AUTO):
        wish, source = lookup.tables.mesh.l7, "MeshConfig's l7"
    if wish == L7.ALWAYS:
        return Mode.PROXY, f"{source} is always"
    reason = needs_proxy(service, port, lookup)
    unbalanced = cannot_balance(service, port, tcp)
    if wish == L7.NEVER:
        return (Mode.PASS, unbalanced) if unbalanced else (Mode.KERNEL, f"{source} is never")
    if reason:
        return Mode.PROXY, reason
    if unbalanced:
        plain = isinstance(tcp, Route) and not tcp.rule.owner.kind
        return (Mode.PASS if plain and not has_virtual_address(service) else Mode.PROXY), unbalanced
    version, why = choose_http(port.protocol, None, lookup.tables.mesh, gateway=False)
    if version is HttpVersion.HTTP2:
        return Mode.PROXY, PROMOTED[why].format(port.protocol.value)
    return Mode.KERNEL, "no rule needs L7"


def may_yield(service: Service, mesh: MeshConfigSpec) -> bool:
    """Whether the proxy may have connections of a service in kernel mode while its endpoints come, leave or fail: not
    where the proxy is refused, nor where clients keep to their endpoints, which only the kernel sees to."""
    wish = service.annotations.get(L7_ANNOTATION, "")
    never = (wish if wish in (L7.ALWAYS, L7.NEVER, L7.AUTO) else mesh.l7) == L7.NEVER
    return not never and service.session_affinity != "ClientIP"


def has_virtual_address(service: Service) -> bool:
    """Whether clients dial an address that means nothing without us or kube-proxy."""
    return bool(service.addresses) and service.resolution is not Resolution.NONE


def needs_proxy(service: Service, port: RegistryPort, lookup: Lookup) -> str:
    """The rule that takes the proxy to carry out; empty if none does."""
    for place in lookup.mesh_routes(service, port.number):
        reason = route_needs_proxy(place, lookup.route(place.key), port)
        if reason:
            return reason
    virtual_service = http_rules_of(service, port, lookup)
    if virtual_service is not None:
        return f"VirtualService {virtual_service.key} has HTTP rules ({virtual_service.http[0].rule.location})"
    for key in lookup.connection_keys(service.host):
        reason = rule_needs_proxy(lookup.tables.virtual_services[key], port)
        if reason:
            return reason
    if names_decide(service, port, lookup):
        return "only the server name tells who is meant by an address of its network"
    rule = lookup.destination_rule(service)
    found = policy_needs_proxy(rule, port.number, mesh_policy(lookup.tables.mesh))
    return found or annotation_needs_proxy(service, port, rule) or traffic_needs_proxy(service, port, lookup)


def traffic_needs_proxy(service: Service, port: RegistryPort, lookup: Lookup) -> str:
    """The XBackendTrafficPolicy that only the proxy can carry out."""
    traffic = lookup.backend_traffic(service) if port.protocol in MAY_BE_HTTP else None
    if traffic is None:
        return ""
    need = "a retry budget" if traffic.retry_budget is not None else "session persistence"
    return f"{traffic.owner} asks for {need} ({traffic.owner.location})"


def annotation_needs_proxy(service: Service, port: RegistryPort, rule: DestinationRule | None) -> str:
    """What the service asks for that only the proxy can carry out."""
    of = f"of {service.kind} {service.namespace}/{service.name}"
    wish = service.annotations.get(LOAD_BALANCER_ANNOTATION)
    if wish == LoadBalancerWish.PEAK_EWMA and port.protocol in HTTP_PROTOCOLS:
        return f"the annotation {LOAD_BALANCER_ANNOTATION} {of} is {wish}"
    failover = service.annotations.get(SUBSET_FAILOVER_ANNOTATION)
    if failover == SubsetFailover.ANY and rule is not None and rule.subsets:
        return f"the annotation {SUBSET_FAILOVER_ANNOTATION} {of} is {failover}"
    return ""


def route_needs_proxy(place: MeshRoute, route: ResolvedRoute, port: RegistryPort) -> str:
    http = place.kind in ("HTTPRoute", "GRPCRoute") and port.protocol in MAY_BE_HTTP
    if http or (place.kind == "TLSRoute" and port.protocol in {*TLS_PROTOCOLS, Protocol.AUTO}):
        return f"{route.owner} routes it ({route.owner.location})"
    return ""


def http_rules_of(service: Service, port: RegistryPort, lookup: Lookup) -> VirtualService | None:
    """The VirtualService whose HTTP rules hold for the port."""
    virtual_service = lookup.virtual_service(service.host)
    holds = virtual_service is not None and virtual_service.http and port.protocol in MAY_BE_HTTP
    return virtual_service if holds else None


def http_rules(service: Service, port: RegistryPort, lookup: Lookup) -> str:
    """Its key; empty if there is none."""
    virtual_service = http_rules_of(service, port, lookup)
    return virtual_service.key if virtual_service is not None else ""


def names_decide(service: Service, port: RegistryPort, lookup: Lookup) -> bool:
    """Whether connections to a network are the service's only if they ask for it by name: others would be sent to its
    endpoints, or pass where nothing unknown may."""
    if port.protocol not in TLS_PROTOCOLS or not any("/" in address for address in service.addresses):
        return False
    return service.resolution is not Resolution.NONE or lookup.scope.policy is not OutboundMode.ALLOW_ANY


def rule_needs_proxy(virtual_service: VirtualService, port: RegistryPort) -> str:
    protocol = port.protocol
    if virtual_service.tls and (protocol in TLS_PROTOCOLS or protocol is Protocol.AUTO):
        return f"VirtualService {virtual_service.key} has TLS rules ({virtual_service.tls[0].rule.location})"
    for rule in virtual_service.tcp if protocol not in TLS_PROTOCOLS else ():
        if any(match.destination_subnets for match in rule.route.match):
            return f"VirtualService {virtual_service.key} matches subnets ({rule.rule.location})"
    return ""


def policy_needs_proxy(rule: DestinationRule | None, port: int, mesh: Policy) -> str:
    """The policy that only the proxy can carry out, of the mesh, of the rule or of one of the rule's subsets."""
    need = what_needs_proxy(effective_policy(rule, "", port, mesh))
    if rule is None or need and not what_needs_proxy(effective_policy(rule, "", port, NOTHING)):
        return f"MeshConfig's defaultTrafficPolicy asks for {need}" if need else ""
    for subset in ("", *(subset.name or "" for subset in rule.subsets)):
        need = what_needs_proxy(effective_policy(rule, subset, port, NOTHING))
        if need:
            of = f" (subset {subset})" if subset else ""
            return f"DestinationRule {rule.key} asks for {need}{of} ({rule.location})"
    return ""


def what_needs_proxy(policy: Policy) -> str:
    """The block that the kernel cannot carry out; empty if there is none."""
    balancer, tls = policy.load_balancer, policy.tls
    if policy.outlier_detection is not None:
        return "outlier detection"
    if policy.connection_pool is not None:
        return "connection pool settings"
    if tls is not None and tls.mode in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL):
        return "TLS origination"
    if balancer is not None and balancer.consistent_hash is not None:
        return "a consistent hash"
    if balancer is not None and balancer.simple is SimpleLB.PASSTHROUGH:
        return "the PASSTHROUGH load balancer"
    if balancer is not None and (balancer.warmup is not None or balancer.warmup_duration_secs is not None):
        return "warm-up"
    if policy.retry_budget is not None:
        return "a retry budget"
    if policy.tunnel is not None:
        return "a tunnel"
    return "the PROXY protocol" if policy.proxy_protocol is not None else ""


def cannot_balance(service: Service, port: RegistryPort, tcp: Decision) -> str:
    """Why the kernel cannot pick an endpoint at connect(); empty if it can."""
    if service.resolution is Resolution.HEADLESS:
        return "clients of a headless service dial its endpoints themselves"
    if service.resolution in (Resolution.NONE, Resolution.DYNAMIC_DNS):
        return "the dialled address is the endpoint"
    if not isinstance(tcp, Route):
        return "its TCP rules leave no destination"
    for destination in tcp.destinations:
        cluster = destination.cluster
        if cluster is None:
            return f"{destination.cluster_name} is unknown"
        if cluster.resolution not in (Resolution.STATIC, Resolution.HEADLESS):
            return f"the endpoints of {cluster.host} are host names"
        if any(endpoint.address.startswith("unix:") for endpoint in cluster.endpoints):
            return f"{cluster.host} has a Unix socket as an endpoint"
    return ""
