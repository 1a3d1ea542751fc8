"""The /metrics page of the running node: what control knows, and the totals of its workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from ..admin.state import PodRow
from ..config.meshconfig import MetricsReporter
from ..config.problems import Problem, Severity
from ..registry.assemble import ObjectKey
from ..registry.snapshot import Snapshot
from ..telemetry.exposition import MetricsPage, render
from ..telemetry.totals import Totals
from .control import Control
from .metrics import GroupGauges, Numbers, families, page_families


def metrics_page(
    control: Control,
    totals: Totals,
    pods: Sequence[PodRow],
    problems: Sequence[Problem],
    shadow: tuple[int, int] | None,
    began: float,
) -> Iterator[bytes]:
    """Made piece by piece, in any thread; `shadow` is what a candidate has decided, `began` when the page was asked
    for."""
    own = list(families(_numbers(control, totals, pods, problems, shadow)))
    return render(
        MetricsPage(
            http=list(totals.http.values()),
            tcp=list(totals.tcp.values()),
            messages=list(totals.messages.values()),
            sizes=control.snapshot.mesh.metrics.size_histograms,
            destination=MetricsReporter.DESTINATION in control.snapshot.mesh.metrics.reporters,
            own=lambda left_out: (*own, *page_families(left_out, time.perf_counter() - began)),
        )
    )


def _numbers(
    control: Control,
    totals: Totals,
    pods: Sequence[PodRow],
    problems: Sequence[Problem],
    shadow: tuple[int, int] | None,
) -> Numbers:
    kernel = control.interception.kernel if control.interception is not None else None
    findings = Counter((problem.severity.value, problem.code) for problem in problems)
    severities = Counter(problem.severity for problem in problems)
    enrolled = sum(row.enrolled for row in pods)
    return Numbers(
        ready=not control.missing(),
        version=control.publisher.version,
        errors=severities[Severity.ERROR],
        warnings=severities[Severity.WARNING],
        broken=bool(control.error),
        reloads=control.reloads,
        pids=control.children.pids,
        restarts=control.children.restarts,
        connected=len(list(control.fleet)),
        pods={"enrolled": enrolled, "not_enrolled": len(pods) - enrolled},
        log_lines_lost=totals.log_lines_lost,
        spans_exported=control.exporter.exported,
        spans_lost=control.exporter.lost,
        watches=control.cluster.source.status() if control.cluster is not None else (),
        api_server_silent=control.cluster.heard if control.cluster is not None else None,
        remotes=control.cluster.remotes.status() if control.cluster is not None else (),
        refused=refused_objects(control.snapshot),
        certificate_faults=[(fault.use.holder, fault.use.path) for fault in control.materials.faults],
        kernel=kernel.counters() if kernel is not None else {},
        ports_without_room=len(kernel.passed) if kernel is not None else 0,
        endpoints_out=len(kernel.out) if kernel is not None else 0,
        pods_dns=sum(row.dns for row in pods),
        without_rules={(row.namespace, row.name): row.without_rules for row in pods if row.without_rules is not None},
        pods_not_served=[(one.pod.namespace, one.pod.name) for one in control.failing()],
        names=totals.names,
        reasons=totals.reasons,
        retries=totals.retries,
        open={key.partition("/")[0]: count for key, count in totals.open.items()},
        lag={key.partition("/")[0]: seconds for key, seconds in totals.lag.items()},
        upstreams=_upstreams(control),
        expiry=_expiry(control),
        findings=findings,
        propagation=control.propagation.histogram,
        maps=kernel.fill if kernel is not None else {},
        bypasses=totals.bypasses.counts,
        series={"http": len(totals.http), "tcp": len(totals.tcp)},
        gone=totals.gone,
        shadow=shadow,
    )


def _upstreams(control: Control) -> list[GroupGauges]:
    """Clusters with a policy; those that some clients see with another policy are added up."""
    found: dict[tuple[str, str], GroupGauges] = {}
    for cluster, state in control.counters.states():
        key = (f"{cluster.host}:{cluster.port}", cluster.subset)
        before = found.get(key, GroupGauges(*key, 0, 0, 0, 0))
        found[key] = GroupGauges(
            *key,
            before.requests + state.requests,
            before.connections + state.connections,
            before.pending + state.pending,
            max(before.ejected, sum(bool(endpoint.ejected_at) for endpoint in state.endpoints)),
        )
    return list(found.values())


def _expiry(control: Control) -> list[tuple[ObjectKey, str, float]]:
    """When the first certificate of each place in a rule ends."""
    ends = ((use, control.materials.end_of(use)) for use in control.materials.uses)
    return [(use.holder, use.path, end) for use, end in ends if end is not None]


def refused_objects(snapshot: Snapshot) -> list[ObjectKey]:
    """The objects that are not in force as they are written, each once."""
    refused = (problem for problem in snapshot.problems if problem.refused and problem.name)
    return list(
        dict.fromkeys(ObjectKey(problem.kind, problem.namespace, problem.name, problem.group) for problem in refused)
    )
