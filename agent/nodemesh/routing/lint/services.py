"""Services against rules: ports whose name or protocol keeps the rules from applying; services without endpoints."""

from __future__ import annotations

from ...config.destinationrule import H2UpgradePolicy
from ...registry.snapshot import HTTP2_PROTOCOLS, HTTP_PROTOCOLS, TLS_PROTOCOLS, Protocol, RegistryPort, Service
from ..client import Client
from ..frontend import Mode
from ..names import MESH_GATEWAY
from ..tables import DestinationRule, VirtualService
from ..trafficpolicy import NOTHING, effective_policy
from ..views import Views
from .findings import LintFindings, known_hosts

#: Protocols that may carry many requests at once over one connection.
MULTIPLEXED = HTTP2_PROTOCOLS | {Protocol.AUTO}


def check(findings: LintFindings) -> None:
    tables = findings.tables
    for virtual_service in tables.virtual_services.values():
        if MESH_GATEWAY not in virtual_service.gateways:
            continue
        for index, host in enumerate(virtual_service.hosts):
            for known in known_hosts(tables, host):
                check_ports(findings, virtual_service, tables.services[known][0], index)
    views = Views(tables)
    for services in tables.services.values():
        for service in services:
            check_streams(findings, views, service)
    for rules in tables.destination_rules.values():
        for rule in rules:
            check_upgrade(findings, rule)
    if not findings.live:  # there each service is looked at by itself
        check_endpoints(findings)


def check_streams(findings: LintFindings, views: Views, service: Service) -> None:
    """The kernel picks an endpoint per connection. Clients of HTTP/2, and so of gRPC, have one for all they ask."""
    for port in service.ports:
        if port.protocol not in MULTIPLEXED:
            continue
        view = views.for_client(Client(namespace=service.namespace))
        frontend = view.frontend_for_host(service.host, port.number)
        if frontend.service is not service or frontend.mode is not Mode.KERNEL:
            continue
        is_auto = port.protocol is Protocol.AUTO
        cure = "name the port grpc-… or http2-…, or set appProtocol" if is_auto else "set nodemesh.io/l7 to auto"
        message = (
            f"port {described_port(port)} of {service.host} is balanced per connection ({frontend.mode_reason}): "
            f"if it speaks gRPC or HTTP/2, all calls of a client reach one endpoint; {cure}"
        )
        findings.note("pinned-streams", service, message)


def check_upgrade(findings: LintFindings, rule: DestinationRule) -> None:
    """An undeclared port is spoken to as its clients speak, whatever is upgraded."""
    item = findings.snapshot.destination_rules.get(rule.key)
    for host in known_hosts(findings.tables, rule.host) if item is not None else ():
        for port in findings.tables.services[host][0].ports:
            pool = effective_policy(rule, "", port.number, NOTHING).connection_pool
            if port.protocol is not Protocol.AUTO or pool is None or pool.http is None:
                continue
            if pool.http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
                message = (
                    f"h2UpgradePolicy: UPGRADE has no effect on port {described_port(port)} of {host}: it is spoken to "
                    "as the client speaks; name the port http-… or set appProtocol"
                )
                assert item is not None
                findings.warn("upgrade-ignored", item, ("spec",), message)


def check_endpoints(findings: LintFindings) -> None:
    """Kubernetes Services that nobody stands behind, where the configuration has endpoints of others: without any at
    all it is rules and Services alone, as a repository keeps them."""
    services = [service for group in findings.snapshot.services.values() for service in group if not service.alias_of]
    if not any(any(service.endpoints.values()) for service in services):
        return
    for service in services:
        if service.kind != "Service" or not service.ports or any(service.endpoints.values()):
            continue
        message = (
            f"{service.host} has no endpoints: requests get a 503; write the Pods that it selects, with status.podIP "
            "(a Deployment makes none here), or an EndpointSlice with the label kubernetes.io/service-name: "
            f"{service.name}"
        )
        findings.note("service-without-endpoints", service, message)


def check_ports(findings: LintFindings, virtual_service: VirtualService, service: Service, index: int) -> None:
    """HTTP rules need a port that speaks HTTP, TLS rules one that speaks TLS; an undeclared port is sniffed."""
    if not service.ports or service.alias_of:
        return
    item = findings.snapshot.virtual_services[virtual_service.key]
    path = ("spec", "hosts", index)
    protocols = {port.protocol for port in service.ports}
    where = f"({service.location})" if service.location.line else ""
    if virtual_service.http and not protocols & {*HTTP_PROTOCOLS, Protocol.AUTO}:
        message = (
            f"its HTTP rules never apply: no port of {service.host} speaks HTTP, they are {described(service)}; "
            f"name the port http-… or set appProtocol {where}"
        )
        findings.warn("protocol-hides-rules", item, path, message.rstrip())
    elif virtual_service.http and Protocol.AUTO in protocols and not protocols & HTTP_PROTOCOLS:
        message = (
            f"the protocol of {service.host} is not declared and has to be guessed from the first bytes "
            f"({described(service)}); name the port http-… or set appProtocol {where}"
        )
        findings.warn("undeclared-protocol", item, path, message.rstrip())
    if virtual_service.tls and not protocols & {*TLS_PROTOCOLS, Protocol.AUTO}:
        message = f"its TLS rules never apply: no port of {service.host} speaks TLS, they are {described(service)}"
        findings.warn("protocol-hides-rules", item, path, message)


def described(service: Service) -> str:
    return ", ".join(described_port(port) for port in service.ports)


def described_port(port: RegistryPort) -> str:
    name = f" `{port.name}`" if port.name else ""
    return f"{port.number}{name} {'undeclared' if port.protocol is Protocol.AUTO else port.protocol.value}"
