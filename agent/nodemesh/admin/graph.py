"""The counters as a graph of the calls between workloads and services."""

from __future__ import annotations

from typing import Any

import msgspec

from ..telemetry.histogram import BOUNDS
from ..telemetry.labels import HTTP_LABELS, TCP_LABELS
from ..telemetry.totals import Totals


class GraphEdge(msgspec.Struct):
    """The numbers of one arrow, summed over all label sets that it stands for."""

    requests: int = 0
    errors: int = 0  # answers of 500 and above, and those that never came
    sent: float = 0
    received: float = 0
    duration: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))


Node = tuple[str, str, str]  # kind, namespace, name


def quantile(counts: list[int], share: float) -> float | None:
    """The upper bound of the bucket where `share` of all lies; None where nothing was counted."""
    wanted = sum(counts) * share
    seen = 0
    for index, count in enumerate(counts):
        seen += count
        if count and seen >= wanted:
            return BOUNDS[min(index, len(BOUNDS) - 1)]
    return None


def _ends(labels: dict[str, str]) -> tuple[Node, Node, Node | None]:
    """The caller, the service that was asked, and the workload that answered (None where none is known)."""
    source = ("workload", labels["source_workload_namespace"], labels["source_workload"])
    service = ("service", labels["destination_service_namespace"], labels["destination_service_name"])
    answered: Node | None = None
    if labels["destination_workload"] != "unknown":
        answered = ("workload", labels["destination_workload_namespace"], labels["destination_workload"])
    return source, service, answered


def build(totals: Totals) -> dict[str, Any]:
    """/graph."""
    edges: dict[tuple[Node, Node, str], GraphEdge] = {}
    for counts in [row.counts for row in totals.http.values()]:
        labels = dict(zip(HTTP_LABELS, counts.labels, strict=True))
        source, service, answered = _ends(labels)
        code = int(labels["response_code"])
        for ends in ((source, service), *(((service, answered),) if answered else ())):
            edge = edges.setdefault((*ends, labels["request_protocol"]), GraphEdge())
            edge.requests += counts.requests
            edge.errors += counts.requests if code >= 500 or code == 0 else 0
            edge.sent += counts.response_bytes[1]
            edge.received += counts.request_bytes[1]
            edge.duration = [left + right for left, right in zip(edge.duration, counts.duration[0], strict=True)]
    for flow in [row.counts for row in totals.tcp.values()]:
        labels = dict(zip(TCP_LABELS, flow.labels, strict=True))
        source, service, answered = _ends(labels)
        for ends in ((source, service), *(((service, answered),) if answered else ())):
            edge = edges.setdefault((*ends, "tcp"), GraphEdge())
            edge.requests += flow.opened
            edge.errors += flow.opened if labels["response_flags"] != "-" else 0
            edge.sent += flow.sent
            edge.received += flow.received
    nodes = sorted({end for source, target, _ in edges for end in (source, target)})
    return {
        "nodes": [{"id": "/".join(node), "kind": node[0], "namespace": node[1], "name": node[2]} for node in nodes],
        "edges": [
            {
                "source": "/".join(source),
                "target": "/".join(target),
                "protocol": protocol,
                "requests": edge.requests,
                "errors": edge.errors,
                "p50_ms": quantile(edge.duration, 0.5),
                "p99_ms": quantile(edge.duration, 0.99),
                "sent": edge.sent,
                "received": edge.received,
            }
            for (source, target, protocol), edge in sorted(edges.items())
        ],
    }
