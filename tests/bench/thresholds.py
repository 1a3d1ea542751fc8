"""What the figures must reach: one table, and the judgement of a run by it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import NamedTuple

from . import cluster_suite, fleet_suite, scrape_suite, shadow_suite
from .datapath_suite import LATENCY, THROUGHPUT
from .nodemesh import compiled
from .outcome import Figure, Outcome
from .relay_suite import SHORT, WRITES_1M, WRITES_16K
from .tables_suite import FULL, FULL_OBJECTS, ROUTED

FLEET = fleet_suite.name(fleet_suite.AGENTS, fleet_suite.SERVICES)
CLUSTER = cluster_suite.name(cluster_suite.FULL, cluster_suite.FULL_NODES)

COMPARISONS = {">=": operator.ge, "<=": operator.le}


class Threshold(NamedTuple):
    suite: str
    case: str
    subject: str
    name: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        whose = f"{self.subject} " if self.subject else ""
        what = "" if self.name == "value" else f": {whose}{self.name}"
        return f"{self.suite}: {self.case}{what} {self.comparison} {self.limit:g}"


THRESHOLDS = (
    # Envoy's CPU per request ÷ ours.
    Threshold("http", "small-32", "nodemesh", "ratio", ">=", 1.8 if compiled() else 1.2),
    Threshold("http2", "h2 to h1, 32", "nodemesh", "ratio", ">=", 2.5 if compiled() else 1.3),
    Threshold("http2", "h2 to h2, 32", "nodemesh", "ratio", ">=", 2.0 if compiled() else 1.2),
    Threshold("http2", "grpc unary, 32", "nodemesh", "ratio", ">=", 2.0 if compiled() else 1.2),
    Threshold("http2", "grpc unary, 32 x 16", "nodemesh", "ratio", ">=", 2.0 if compiled() else 1.2),
    # Envoy's CPU per GiB or connection ÷ ours, and our throughput ÷ Envoy's.
    Threshold("relay", WRITES_16K, "nodemesh", "ratio", ">=", 1.2),
    Threshold("relay", WRITES_1M, "nodemesh", "ratio", ">=", 1.4),
    Threshold("relay", WRITES_16K, "nodemesh", "speed", ">=", 0.85),
    Threshold("relay", WRITES_1M, "nodemesh", "speed", ">=", 0.85),
    Threshold("relay", SHORT, "nodemesh", "ratio", ">=", 1.2),
    # What a candidate beside the live configuration costs of a request's CPU, without the system calls.
    Threshold("shadow", shadow_suite.CASE, "shadow", "more", "<=", 15.0),
    # From an API server to the first table, one change to a worker, and what that takes.
    Threshold("cluster", f"{CLUSTER}: start to first answer", "", "value", "<=", 4.0),
    Threshold("cluster", f"{CLUSTER}: change to worker, churn", "", "value", "<=", 200.0),
    Threshold("cluster", f"{CLUSTER}: memory of control", "", "value", "<=", 200.0),
    # From a change at the API server to a thousand agents by a relay, and what their start takes beside one without.
    Threshold("fleet", FLEET, "by relay", "a change to all, median", "<=", 300.0),
    Threshold("fleet", FLEET, "by relay", "cold start ÷ without", "<=", 10.0),
    Threshold("fleet", FLEET, "relay killed", "a change to all, worst", "<=", 30_000.0),
    # What a big cluster may cost the control process.
    Threshold("tables", f"{FULL}: first compile", "", "value", "<=", 10.0),
    Threshold("tables", f"{FULL}: one endpoint", "", "value", "<=", 50.0),
    Threshold("tables", f"{FULL}: one rule", "", "value", "<=", 50.0),
    Threshold("tables", f"{FULL}: one change in that view", "", "value", "<=", 50.0),
    Threshold("tables", f"{FULL}: one change for the kernel, two views", "", "value", "<=", 50.0),
    Threshold("tables", f"{FULL}: memory", "", "value", "<=", 500.0),
    Threshold("tables", f"{ROUTED}: first compile", "", "value", "<=", 10.0),
    Threshold("tables", f"{ROUTED}: one endpoint", "", "value", "<=", 50.0),
    Threshold("tables", f"{ROUTED}: one rule", "", "value", "<=", 50.0),
    Threshold("tables", f"{ROUTED}: one change in that view", "", "value", "<=", 50.0),
    Threshold("tables", f"{ROUTED}: one change for the kernel, two views", "", "value", "<=", 50.0),
    Threshold("tables", f"{FULL_OBJECTS:,} objects of YAML: parse and validate", "", "value", "<=", 5.0),
    # Prometheus' scrape of a big mesh, and the kubelet's probe meanwhile.
    Threshold("scrape", f"{scrape_suite.CASE}: page", "", "value", "<=", 1024.0),
    Threshold("scrape", f"{scrape_suite.CASE}: scrape, CPU", "", "value", "<=", 500.0),
    Threshold("scrape", f"{scrape_suite.CASE}: healthz, worst", "", "value", "<=", 20.0),
    Threshold("scrape", f"{scrape_suite.CASE}: p99 by scrapes", "", "value", "<=", 1.10),
    Threshold("scrape", f"{scrape_suite.CASE}: a worker's pause for its counts", "", "value", "<=", 5.0),
    # What balancing in the kernel may cost an app, beside a connection without hooks.
    Threshold("datapath", LATENCY, "kernel", "request ÷ direct", "<=", 1.05),
    Threshold("datapath", THROUGHPUT, "kernel", "rate ÷ direct", ">=", 0.97),
)


class Verdict(NamedTuple):
    threshold: Threshold
    figure: Figure
    met: bool


def judge(outcomes: Mapping[str, Outcome]) -> list[Verdict]:
    """A verdict for each threshold whose figure was measured in this run."""
    found = []
    for threshold in THRESHOLDS:
        outcome = outcomes.get(threshold.suite)
        figure = outcome and outcome.find(threshold.case, threshold.name, threshold.subject)
        if figure:
            met = COMPARISONS[threshold.comparison](figure.value, threshold.limit)
            found.append(Verdict(threshold, figure, met))
    return found
