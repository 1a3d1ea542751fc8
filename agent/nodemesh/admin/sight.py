"""What one client sees of the mesh, as rows: listeners, clusters, routes and endpoints, by the view that serves it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..registry.snapshot import HTTP_PROTOCOLS, Health, Protocol, Snapshot
from ..routing.decision import Cluster, Decision, Route
from ..routing.frontend import Frontend
from ..routing.frontends import EVERYWHERE, TELL_NAMES
from ..routing.view import View
from . import pages
from .state import EndpointRow

#: Ports on which HTTP rules count: declared so, or told by the first bytes.
HTTP = HTTP_PROTOCOLS | {Protocol.AUTO}


def frontends(view: View) -> Iterator[Frontend]:
    """Each service port once."""
    seen = set()
    for frontend in view.services():
        service = frontend.service
        if service is not None and (service.host, frontend.logical_port) not in seen:
            seen.add((service.host, frontend.logical_port))
            yield frontend


def listeners(view: View) -> list[dict[str, Any]]:
    """/listeners?as=: what of this client's connections is taken over, which way it goes, and why. A service without an
    address is known by its name alone, and listened for where another one's rules have its port taken over anywhere."""
    anywhere = {listener.port: listener.addresses for listener in view.frontends() if listener.addresses == EVERYWHERE}
    return [
        {
            "host": frontend.service.host if frontend.service is not None else "",
            "addresses": list(frontend.addresses or anywhere.get(frontend.port, ())),
            "port": frontend.port,
            "protocol": frontend.protocol.value,
            "mode": frontend.mode.value,
            "mode_reason": frontend.mode_reason,
            "failure_policy": frontend.failure_policy.value,
        }
        for frontend in frontends(view)
        if frontend.addresses or (frontend.protocol in TELL_NAMES and frontend.port in anywhere)
    ]


def found_clusters(view: View) -> Iterator[tuple[Cluster, str]]:
    """Each cluster that this client's rules may lead to, with the DestinationRule that is about it."""
    builder = view.builder()
    for frontend in frontends(view):
        service = frontend.service
        assert service is not None
        rule = builder.lookup.destination_rule(service)
        subsets = [subset.name or "" for subset in rule.subsets] if rule is not None else []
        for subset in ("", *subsets):
            cluster = builder.cluster(service, frontend.logical_port, subset)
            if cluster is not None:
                yield cluster, f"{rule.key} ({rule.location})" if rule is not None else ""


def clusters(view: View) -> list[dict[str, Any]]:
    """/clusters?as=."""
    return [
        {
            "cluster": cluster.name,
            "host": cluster.host,
            "port": cluster.port,
            "subset": cluster.subset,
            "type": cluster.resolution.value,
            "balancing": cluster.load_balancer.algorithm.value,
            "tls": cluster.tls.mode if cluster.tls is not None else "",
            "outlier_detection": cluster.outlier is not None,
            "endpoints": len(cluster.endpoints),
            "ready": sum(endpoint.health is Health.READY for endpoint in cluster.endpoints),
            "destination_rule": rule,
        }
        for cluster, rule in found_clusters(view)
    ]


def endpoints(view: View, states: Mapping[tuple[str, int], EndpointRow]) -> list[dict[str, Any]]:
    """/endpoints?as=: by cluster, with what the data plane knows of each."""
    return [
        {
            "cluster": cluster.name,
            "service": cluster.host,
            "port": cluster.port,
            "subset": cluster.subset,
            "address": endpoint.address,
            "target_port": endpoint.port,
            "health": endpoint.health.value,
            "workload": endpoint.workload,
            "locality": str(endpoint.locality),
            "weight": endpoint.weight,
            **pages.state_of(states.get((endpoint.address, endpoint.port))),
        }
        for cluster, _ in found_clusters(view)
        for endpoint in cluster.endpoints
    ]


def routes(view: View, snapshot: Snapshot) -> list[dict[str, Any]]:
    """/routes?as=: what becomes of HTTP requests to each service port, in the order in which rules are tried. A service
    without rules has its default route."""
    written = {(row["virtual_service"], row["rule"]): row for row in pages.routes(snapshot)}
    found = []
    for frontend in frontends(view):
        service = frontend.service
        assert service is not None
        if frontend.protocol not in HTTP:
            continue
        rules = view.virtual_host(frontend, service.host.encode())
        decisions = [row.decision for block in rules.blocks for row in block.rows] or [rules.otherwise]
        seen = set()
        for decision in decisions:
            key = (decision.rule.owner.key, decision.rule.path)
            if key not in seen:
                seen.add(key)
                found.append(_route(service.host, frontend.logical_port, decision, written.get(key)))
    return found


def _route(host: str, port: int, decision: Decision, written: Mapping[str, Any] | None) -> dict[str, Any]:
    destinations = decision.destinations if isinstance(decision, Route) else ()
    return {
        "host": host,
        "port": port,
        "virtual_service": decision.rule.owner.key,
        "rule": decision.rule.path or "default route",
        "name": decision.name,
        "match": written["match"] if written is not None else [],
        "action": written["action"] if written is not None else {},
        "when": written["when"] if written is not None else "",
        "does": written["does"] if written is not None else "",
        "clusters": [destination.cluster_name for destination in destinations],
        "location": str(decision.rule.location) if decision.rule.owner.kind else "",
    }
