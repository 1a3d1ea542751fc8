"""VirtualServices against Gateways: gateways that do not exist, select nobody, or do not expose the host."""

from __future__ import annotations

from ...config.gateway import GatewaySpec
from ...config.meta import Object
from ...config.rollout import ROLLOUT, read_rollout
from ...config.virtualservice import VirtualServiceSpec
from ...registry.services import selects
from ..names import MESH_GATEWAY, covers, resolve_gateway
from .findings import LintFindings


def check(findings: LintFindings) -> None:
    for item in findings.snapshot.virtual_services.values():
        for index, name in enumerate(item.spec.gateways):
            check_binding(findings, item, name, index)
        check_matches(findings, item)
        check_rollout(findings, item)
    if findings.snapshot.workloads:
        for gateway in findings.snapshot.gateways.values():
            check_selector(findings, gateway)


def check_binding(findings: LintFindings, item: Object[VirtualServiceSpec], name: str, index: int) -> None:
    key = resolve_gateway(name, item.meta.namespace)
    if key == MESH_GATEWAY:
        return
    gateway = findings.snapshot.gateways.get(key)
    path = ("spec", "gateways", index)
    if gateway is None:
        message = f"there is no Gateway {key}"
        namesakes = [other for other in findings.snapshot.gateways if other.endswith(f"/{name.rpartition('/')[2]}")]
        findings.error(
            "unknown-gateway", item, path, f"{message}; did you mean {namesakes[0]}?" if namesakes else message
        )
        return
    for number, host in enumerate(item.spec.hosts):
        if not exposes(gateway, host.lower(), item.meta.namespace):
            shown = ", ".join(entry for server in gateway.spec.servers for entry in server.hosts)
            message = f"Gateway {key} does not expose {host} to {item.meta.namespace}: its servers are for {shown}"
            findings.warn("host-not-exposed", item, ("spec", "hosts", number), message)


def check_rollout(findings: LintFindings, item: Object[VirtualServiceSpec]) -> None:
    """A plan whose canaries are clients alone has none where only gateways have the rules."""
    plan, _ = read_rollout(item.meta.annotations, findings.snapshot.mesh.rollout)
    gateways = {resolve_gateway(name, item.meta.namespace) for name in item.spec.gateways}
    if plan is None or plan.nodes or not gateways or MESH_GATEWAY in gateways:
        return
    findings.warn(
        "rollout-without-canaries",
        item,
        ("metadata", "annotations", ROLLOUT),
        "only gateways have these rules, and no canary is among them: a gateway is one by its node alone, by the "
        "plan's `nodes`; as it stands, all gateways get a change at once, after `hold`",
    )


def exposes(gateway: Object[GatewaySpec], host: str, namespace: str) -> bool:
    for server in gateway.spec.servers:
        for entry in server.hosts:
            owner, _, pattern = entry.lower().rpartition("/")
            owner = gateway.meta.namespace if owner == "." else owner or "*"
            if owner in ("*", namespace) and (covers(pattern, host) or covers(host, pattern)):
                return True
    return False


def check_matches(findings: LintFindings, item: Object[VirtualServiceSpec]) -> None:
    """A match's gateways replace the VirtualService's own, but must exist as well."""
    for kind in ("http", "tls", "tcp"):
        for index, rule in enumerate(getattr(item.spec, kind)):
            for number, match in enumerate(rule.match):
                for position, name in enumerate(match.gateways):
                    key = resolve_gateway(name, item.meta.namespace)
                    if key != MESH_GATEWAY and key not in findings.snapshot.gateways:
                        path = ("spec", kind, index, "match", number, "gateways", position)
                        findings.error("unknown-gateway", item, path, f"there is no Gateway {key}")


def check_selector(findings: LintFindings, gateway: Object[GatewaySpec]) -> None:
    selector = gateway.spec.selector
    if any(selects(selector, workload.labels) for workload in findings.snapshot.workloads.values()):
        return
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    message = f"no pod has the labels {labels}: nobody serves this Gateway"
    findings.warn("gateway-without-workload", gateway, ("spec", "selector"), message)
