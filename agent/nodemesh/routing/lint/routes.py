"""Routes and policies of the Gateway API: where they do not attach, what they refer to in vain, and which rules they
displace."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ...config.gatewayapi import GROUP
from ...config.gatewayapi.gateways import KubernetesGatewaySpec
from ...config.meta import Object
from ...registry.services import selects
from ..gatewayapi import CLASS, GATEWAY_NAME_LABEL
from ..gatewayapi.attach import ROUTES, AttachResult
from ..gatewayapi.conditions import Condition, ParentVerdict
from ..gatewayapi.names import label_value
from ..names import covers
from .conflicts import is_for_mesh
from .findings import LintFindings


def check(findings: LintFindings) -> None:
    attached = findings.tables.attached
    if not isinstance(attached, AttachResult):
        return
    check_gateways(findings, attached)
    for attribute in ROUTES:
        items: Mapping[str, Object[Any]] = getattr(findings.snapshot, attribute)
        for item in items.values():
            check_parents(findings, item)
            for verdict in attached.parents.get((item.kind, item.meta.key), ()):
                check_verdict(findings, item, verdict)
    check_policies(findings, attached)
    check_displaced(findings, attached)
    check_servers(findings, attached)


def check_policies(findings: LintFindings, attached: AttachResult) -> None:
    """Policies that do not count for a target; of those for TLS it is known where a Gateway leads there."""
    for key, verdicts in attached.traffic_verdicts.items():
        for index, verdict in enumerate(verdicts):
            not_accepted(findings, findings.snapshot.backend_traffic_policies[key], index, (verdict,))
    for key, ancestors in attached.policies.items():
        not_accepted(findings, findings.snapshot.backend_tls_policies[key], 0, ancestors[0].conditions)


def not_accepted(findings: LintFindings, item: Object[Any], target: int, conditions: tuple[Condition, ...]) -> None:
    for entry in conditions:
        if entry.type == "Accepted" and not entry.status:
            path = ("spec", "targetRefs", target)
            findings.error("policy-not-accepted", item, path, f"{entry.message} ({entry.reason})")


def check_gateways(findings: LintFindings, attached: AttachResult) -> None:
    for key, gateway in findings.snapshot.kubernetes_gateways.items():
        name = gateway.spec.gateway_class_name
        if key not in attached.gateways and name not in findings.snapshot.gateway_classes and name != CLASS:
            message = f"there is no GatewayClass {name}; the one of this mesh is {CLASS}"
            findings.warn("unknown-class", gateway, ("spec", "gatewayClassName"), message)
    for verdicts, items in (
        (attached.gateways, findings.snapshot.kubernetes_gateways),
        (attached.sets, findings.snapshot.listener_sets),
    ):
        for key, verdict in verdicts.items():
            item: Object[Any] = items[key]
            for index, listener in enumerate(verdict.listeners):
                not_served(findings, item, ("spec", "listeners", index), listener.conditions)
            if not verdict.listeners:
                not_served(findings, item, ("spec", "parentRef"), verdict.conditions)


def not_served(
    findings: LintFindings, item: Object[Any], path: tuple[str | int, ...], conditions: tuple[Condition, ...]
) -> None:
    """The first thing that does not hold and says why."""
    for entry in conditions:
        if not entry.status and entry.message:
            findings.error("listener-not-served", item, path, f"{entry.message} ({entry.reason})")
            return


def check_parents(findings: LintFindings, item: Object[Any]) -> None:
    snapshot = findings.snapshot
    for index, ref in enumerate(item.spec.parent_refs):
        key = f"{ref.namespace or item.meta.namespace}/{ref.name}"
        known = {"Gateway": snapshot.kubernetes_gateways, "ListenerSet": snapshot.listener_sets}.get(ref.kind)
        if ref.group == GROUP and known is not None and key not in known:
            message = f"there is no {ref.kind} {key}"
            namesakes = [other for other in known if other.endswith(f"/{ref.name}")]
            meant = namesakes or get_close_matches(key, known, 1)
            message += f"; did you mean {meant[0]}?" if meant else ""
            findings.error("unknown-parent", item, ("spec", "parentRefs", index, "name"), message)


def check_verdict(findings: LintFindings, item: Object[Any], verdict: ParentVerdict) -> None:
    index = item.spec.parent_refs.index(verdict.parent)
    for entry in verdict.conditions:
        if entry.type == "Accepted" and not entry.status:
            path: tuple[str | int, ...] = ("spec", "parentRefs", index)
            findings.error("route-not-accepted", item, path, f"{entry.message} ({entry.reason})")
        elif entry.type == "ResolvedRefs" and not entry.status:
            known = any(problem.code == "route-unresolved" for problem in findings.problems if of(problem, item))
            if not known:
                findings.error("route-unresolved", item, ("spec", "rules"), f"{entry.message} ({entry.reason})")
        elif entry.type == "PartiallyInvalid":
            findings.error("route-not-accepted", item, ("spec", "rules"), entry.message)


def of(problem: Any, item: Object[Any]) -> bool:
    return (problem.kind, problem.namespace, problem.name) == (item.kind, item.meta.namespace, item.meta.name)


def check_servers(findings: LintFindings, attached: AttachResult) -> None:
    """Servers of Istio's Gateways on ports of workloads that listeners have."""
    ports: dict[str, set[int]] = {}
    for listener in attached.listeners.values():
        if listener.protocol != "UDP":
            ports.setdefault(listener.gateway, set()).add(listener.port)
    workloads = {key: workload_labels(findings.snapshot.kubernetes_gateways[key]) for key in ports}
    for item in findings.snapshot.gateways.values():
        for key, labels in workloads.items():
            if not selects(item.spec.selector, labels):
                continue
            for index, server in enumerate(item.spec.servers):
                if server.port is not None and server.port.number in ports[key]:
                    text = (
                        f"Gateway {key} of {GROUP} listens on port {server.port.number}; there this server has no say"
                    )
                    findings.warn("displaced-by-listener", item, ("spec", "servers", index, "port"), text)


def workload_labels(item: Object[KubernetesGatewaySpec]) -> dict[str, str]:
    """What the pods of a Gateway have for sure."""
    infrastructure = item.spec.infrastructure
    given = dict(infrastructure.labels) if infrastructure is not None else {}
    return given | {GATEWAY_NAME_LABEL: label_value(item.meta.name)}


def check_displaced(findings: LintFindings, attached: AttachResult) -> None:
    """A VirtualService whose host is a Service with routes: on the ports of the routes those count alone."""
    for key, compiled in findings.tables.virtual_services.items():
        if not is_for_mesh(compiled):
            continue
        for host, places in attached.mesh_routes.items():
            if any(covers(pattern, host) for pattern in compiled.hosts):
                route = places[0].key.removesuffix(" mesh")
                ports = ", ".join(str(place.port) for place in places if place.port) or "every port"
                message = f"{route} routes {host} on {ports}; there this VirtualService has no say"
                findings.warn("displaced-by-route", findings.snapshot.virtual_services[key], ("spec", "hosts"), message)
                break
