"""Destinations against the registry: unknown hosts, subsets and ports, short names, subsets without endpoints."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ...config.meta import Object, Path
from ...config.virtualservice import Destination, TCPRoute, TLSRoute, VirtualServiceSpec
from ...registry.services import selects
from ...registry.snapshot import Health, Resolution, Service
from ..client import Client
from ..lookup import Lookup
from ..names import MESH_GATEWAY, covers, is_visible, resolve_host
from ..scope import Scope
from ..tables import DestinationRule, Tables
from .findings import LintFindings, known_hosts


def check(findings: LintFindings) -> None:
    for item in findings.snapshot.virtual_services.values():
        for destination, path in destinations(item.spec):
            check_destination(findings, item, destination, path)
        if not item.spec.gateways or MESH_GATEWAY in item.spec.gateways:
            for index, host in enumerate(item.spec.hosts):
                check_virtual_host(findings, item, host, index)
    check_destination_rules(findings)


def destinations(spec: VirtualServiceSpec) -> Iterator[tuple[Destination, Path]]:
    """Every destination of a VirtualService with its path."""
    for index, http in enumerate(spec.http):
        base: Path = ("spec", "http", index)
        for number, entry in enumerate(http.route):
            if entry.destination is not None:
                yield entry.destination, (*base, "route", number, "destination")
        if http.mirror is not None:
            yield http.mirror, (*base, "mirror")
        for number, mirror in enumerate(http.mirrors):
            if mirror.destination is not None:
                yield mirror.destination, (*base, "mirrors", number, "destination")
    connections: tuple[tuple[str, tuple[TLSRoute | TCPRoute, ...]], ...] = (("tls", spec.tls), ("tcp", spec.tcp))
    for kind, rules in connections:
        for index, rule in enumerate(rules):
            for number, target in enumerate(rule.route):
                if target.destination is not None:
                    yield target.destination, ("spec", kind, index, "route", number, "destination")


def check_destination(
    findings: LintFindings, item: Object[VirtualServiceSpec], destination: Destination, path: Path
) -> None:
    tables, namespace = findings.tables, item.meta.namespace
    written = destination.host or ""
    host = resolve_host(written, namespace, tables.mesh.cluster_domain)
    services = tables.services.get(host)
    if not services:
        message = unknown_host(tables, written, host, "requests get a 503")
        findings.error("unknown-host", item, (*path, "host"), message)
        return
    visible = [service for service in services if is_visible(service.export_to, namespace)]
    if not visible:
        shown = ", ".join(services[0].export_to) or "nobody"
        message = f"{host} is exported to {shown}, not to {namespace}; its clients get a 503"
        findings.warn("host-not-exported", item, (*path, "host"), message)
        return
    service = Lookup(tables, Client(namespace=namespace), Scope(None, tables.mesh)).service(host)
    if service is None:
        message = f"{host} is an alias of {services[0].alias_of}, which no Service or ServiceEntry has"
        findings.error("unknown-host", item, (*path, "host"), f"{message}; requests get a 503")
        return
    check_port(findings, item, destination, path, service)
    if findings.live:
        check_endpoints(findings, item, path, service)
    if destination.subset:
        check_subset(findings, item, destination.subset, path, service)


def check_port(
    findings: LintFindings, item: Object[VirtualServiceSpec], destination: Destination, path: Path, service: Service
) -> None:
    number = destination.port.number if destination.port is not None else None
    if number and service.port(number) is None:
        known = ", ".join(str(port.number) for port in service.ports)
        message = f"{service.host} has no port {number}, only {known or 'none at all'}; requests get a 503"
        findings.error("unknown-port", item, (*path, "port", "number"), message)


def check_endpoints(findings: LintFindings, item: Object[VirtualServiceSpec], path: Path, service: Service) -> None:
    """A service that passes through to what was dialled (resolution NONE) needs none."""
    endpoints = [endpoint for group in service.endpoints.values() for endpoint in group]
    if service.resolution is Resolution.NONE or any(endpoint.health is Health.READY for endpoint in endpoints):
        return
    there = f"none of its {len(endpoints)} endpoints is ready" if endpoints else "it has no endpoints"
    findings.error("no-endpoints", item, (*path, "host"), f"{service.host}: {there}; requests get a 503")


def check_subset(
    findings: LintFindings, item: Object[VirtualServiceSpec], subset: str, path: Path, service: Service
) -> None:
    """The rule that decides is the one that clients in the VirtualService's namespace get."""
    tables = findings.tables
    rule = rule_for(tables, service, item.meta.namespace)
    names = [entry.name or "" for entry in rule.subsets] if rule is not None else []
    if subset in names:
        return
    if rule is None:
        reason, hint = f"no DestinationRule for {service.host} is visible in {item.meta.namespace}", ""
    else:
        close = difflib.get_close_matches(subset, names, 1, 0.6)
        hint = f"; did you mean `{close[0]}`?" if close else f"; it has {', '.join(names) or 'none'}"
        reason = f"DestinationRule {rule.key} ({rule.location}) has no subset `{subset}`"
    findings.error("unknown-subset", item, (*path, "subset"), f"{reason}; requests get a 503{hint}")


def rule_for(tables: Tables, service: Service, namespace: str) -> DestinationRule | None:
    client = Client(namespace=namespace)
    return Lookup(tables, client, Scope(None, tables.mesh)).destination_rule(service)


def unknown_host(tables: Tables, written: str, host: str, consequence: str) -> str:
    """Says that a host is unknown, what follows, and what its author may have meant."""
    full = f"{host}.svc.{tables.mesh.cluster_domain}"
    if "." not in written:
        reason = f"`{written}` is short for {host}, in the rule's own namespace, and there is no such service"
    elif full in tables.services:
        reason = f"no Service or ServiceEntry has the host {host}, and only names without dots are completed"
        return f"{reason}; {consequence}; write {full}"
    else:
        reason = f"no Service or ServiceEntry has the host {host}"
    namesakes = sorted(other for other in tables.services if other.split(".")[0] == written.split(".")[0])
    meant = namesakes or difflib.get_close_matches(host, tables.services, 1, 0.8)
    return f"{reason}; {consequence}" + (f"; did you mean {meant[0]}?" if meant else "")


def check_virtual_host(findings: LintFindings, item: Object[VirtualServiceSpec], written: str, index: int) -> None:
    tables = findings.tables
    host = resolve_host(written, item.meta.namespace, tables.mesh.cluster_domain)
    if known_hosts(tables, host):
        return
    message = unknown_host(tables, written, host, "in the mesh the rules apply on port 80 only")
    findings.warn("unregistered-host", item, ("spec", "hosts", index), message)


def check_destination_rules(findings: LintFindings) -> None:
    tables, snapshot = findings.tables, findings.snapshot
    for item in snapshot.destination_rules.values():
        host = resolve_host(item.spec.host or "", item.meta.namespace, tables.mesh.cluster_domain)
        covered = [tables.services[known][0] for known in known_hosts(tables, host) if covers(host, known)]
        if not covered:
            message = unknown_host(tables, item.spec.host or "", host, "the rule applies to nothing")
            findings.warn("unknown-host", item, ("spec", "host"), message)
            continue
        endpoints = [endpoint for service in covered for group in service.endpoints.values() for endpoint in group]
        for index, subset in enumerate(item.spec.subsets):
            if subset.labels and not any(selects(subset.labels, endpoint.labels) for endpoint in endpoints):
                labels = ",".join(f"{key}={value}" for key, value in subset.labels.items())
                message = f"no endpoint of {host} has the labels {labels} of subset `{subset.name}`"
                findings.warn("empty-subset", item, ("spec", "subsets", index, "labels"), message)
        check_seen(findings, item.meta.namespace, host, item.meta.key, covered)


def check_seen(findings: LintFindings, namespace: str, host: str, key: str, covered: list[Service]) -> None:
    """A rule counts for clients of its own namespace; for all others only in the service's or the root namespace."""
    item = findings.snapshot.destination_rules[key]
    root = findings.tables.mesh.root_namespace
    if namespace == root or any(service.namespace == namespace for service in covered):
        return
    owner = covered[0].namespace
    message = (
        f"only clients in {namespace} get this rule; for the others it would have to stand in {owner}, "
        f"the namespace of {covered[0].host}, or in {root}"
    )
    findings.warn("rule-not-seen", item, ("spec", "host"), message)
