"""Objects that cancel each other out: VirtualServices of one host, policies of one host, weights and delegates."""

from __future__ import annotations

from ...config.meta import Object
from ...config.virtualservice import VirtualServiceSpec
from ...registry.services import resolve_export_to
from ..delegates import PAIRS, PairCount, merge_route
from ..names import MESH_GATEWAY, is_visible
from ..tables import VirtualService
from ..virtualservices import delegate_key, resolved_route
from .findings import LintFindings


def check(findings: LintFindings) -> None:
    check_virtual_services(findings)
    check_policies(findings)
    for item in findings.snapshot.virtual_services.values():
        check_weights(findings, item)
        check_delegates(findings, item)


def check_virtual_services(findings: LintFindings) -> None:
    """In the mesh the oldest VirtualService of a host alone counts."""
    tables, snapshot = findings.tables, findings.snapshot
    for host, keys in tables.virtual_hosts.items():
        in_mesh = [tables.virtual_services[key] for key in keys if is_for_mesh(tables.virtual_services[key])]
        for position, later in enumerate(in_mesh):
            first = next((entry for entry in in_mesh[:position] if shares_clients(entry, later)), None)
            if first is None:
                continue
            item = snapshot.virtual_services[later.key]
            why = "it is older" if first.created < later.created else "its name comes first"
            message = (
                f"VirtualService {first.key} ({first.location}) has the host {host} too and counts alone, since {why}; "
                "in the mesh rules of several VirtualServices are not merged"
            )
            findings.warn("conflicting-virtual-service", item, host_path(item, later, host), message)


def is_for_mesh(virtual_service: VirtualService) -> bool:
    return MESH_GATEWAY in virtual_service.gateways


def shares_clients(first: VirtualService, second: VirtualService) -> bool:
    everyone = "*" in first.export_to or "*" in second.export_to
    return everyone or bool(set(first.export_to) & set(second.export_to))


def host_path(item: Object[VirtualServiceSpec], compiled: VirtualService, host: str) -> tuple[str | int, ...]:
    index = compiled.hosts.index(host)
    return ("spec", "hosts", index) if index < len(item.spec.hosts) else ("spec", "hosts")


def check_policies(findings: LintFindings) -> None:
    """Of several DestinationRules of a host and namespace only the oldest one's trafficPolicy and the first definition
    of each subset count."""
    for rules in findings.tables.destination_rules.values():
        for rule in rules:
            has_policy = ""
            subsets: dict[str, str] = {}
            for key, _ in rule.sources:
                item = findings.snapshot.destination_rules[key]
                if item.spec.traffic_policy is not None and has_policy:
                    message = f"DestinationRule {has_policy} for {rule.host} is older: its trafficPolicy counts alone"
                    findings.warn("policy-ignored", item, ("spec", "trafficPolicy"), message)
                elif item.spec.traffic_policy is not None:
                    has_policy = key
                for index, subset in enumerate(item.spec.subsets):
                    first = subsets.setdefault(subset.name or "", key)
                    if first != key:
                        message = f"subset `{subset.name}` is defined by DestinationRule {first} first; that one counts"
                        findings.warn("subset-ignored", item, ("spec", "subsets", index), message)


def check_weights(findings: LintFindings, item: Object[VirtualServiceSpec]) -> None:
    for kind in ("http", "tls", "tcp"):
        for index, rule in enumerate(getattr(item.spec, kind)):
            if len(rule.route) < 2:
                continue
            for number, entry in enumerate(rule.route):
                if not entry.weight:
                    message = "this destination gets no traffic: of several destinations each needs a weight above 0"
                    path = ("spec", kind, index, "route", number)
                    findings.warn("no-weight", item, (*path, "weight") if entry.weight == 0 else path, message)


def check_delegates(findings: LintFindings, item: Object[VirtualServiceSpec]) -> None:
    """Rules that vanish because their delegate is missing, hidden, or matches nothing of what the root lets through."""
    mesh = findings.tables.mesh
    namespace, objects = item.meta.namespace, findings.snapshot.virtual_services
    pairs = PairCount()
    for index, route in enumerate(item.spec.http):
        if route.delegate is None:
            continue
        path = ("spec", "http", index, "delegate")
        key = delegate_key(route.delegate, namespace)
        target = objects.get(key)
        if target is None:
            findings.error("unknown-delegate", item, path, f"there is no VirtualService {key}; the rule is left out")
            continue
        if target.spec.hosts:
            message = f"VirtualService {key} has hosts, so it is no delegate; the rule is left out"
            findings.error("not-a-delegate", item, path, message)
            continue
        exported = resolve_export_to(
            target.spec.export_to, target.meta.namespace, mesh.default_virtual_service_export_to
        )
        if not is_visible(exported, namespace):
            message = f"VirtualService {key} is not exported to {namespace}; the rule is left out"
            findings.error("delegate-not-exported", item, path, message)
            continue
        root = resolved_route(route, namespace, mesh.cluster_domain)
        for number, inner in enumerate(target.spec.http):
            if inner.delegate is not None:
                continue
            if not pairs.takes(root, inner):
                message = (
                    f"with this rule of {key} the VirtualService makes more than {PAIRS} pairs of its own matches and "
                    f"its delegates' ones; {key}'s rule (spec.http[{number}]) is left out, as is what else has no room"
                )
                findings.error("delegate-too-large", item, path, message)
                break
            own = resolved_route(inner, target.meta.namespace, mesh.cluster_domain)
            if merge_route(root, own) is None:
                message = (
                    f"VirtualService {item.meta.key} ({item.locate(*path)}) does not let through every match of "
                    "this rule; the whole rule is left out there"
                )
                findings.warn("delegate-conflict", target, ("spec", "http", number), message)
