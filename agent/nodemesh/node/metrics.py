"""The agent's own numbers, `nodemesh_*`, beside Istio's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from .. import __version__
from ..reasons import Reason
from ..registry.assemble import ObjectKey
from ..registry.snapshot import Snapshot
from ..registry.sources.cluster import ResourceStatus
from ..telemetry.exposition import MetricFamily
from ..telemetry.histogram import Histogram
from ..telemetry.names import Names
from ..telemetry.totals import Gone
from .remotes import RemoteStatus

#: Refused objects, places in rules, and pods, that are named one by one.
SHOWN = 100

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class GroupGauges(NamedTuple):
    """One group of endpoints with a policy: what is in flight there, and how many endpoints are ejected."""

    service: str
    subset: str
    requests: int
    connections: int
    pending: int
    ejected: int


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What the composition root knows when it is scraped. `kernel` is (hook, reason) -> count, `maps` are entries and
    room by map, `expiry` is when certificates end by what uses them, in seconds since the epoch."""

    ready: bool
    version: int
    errors: int
    warnings: int
    broken: bool
    reloads: Mapping[str, int]
    pids: Mapping[str, int]
    restarts: Mapping[str, int]
    connected: int
    pods: Mapping[str, int]
    log_lines_lost: int
    spans_exported: int = 0
    spans_lost: Mapping[str, int] = {}
    kernel: Mapping[tuple[str, str], int] = {}
    ports_without_room: int = 0
    endpoints_out: int = 0
    pods_dns: int = 0
    pods_not_served: Sequence[tuple[str, str]] = ()
    without_rules: Mapping[tuple[str, str], float] = {}  # seconds, by pod
    names: Names = msgspec.field(default_factory=Names)
    bypasses: Mapping[tuple[str, int, str], int] = {}
    series: Mapping[str, int] = {}
    gone: Gone = msgspec.field(default_factory=Gone)
    watches: Sequence[ResourceStatus] = ()
    api_server_silent: float | None = None  # seconds; None where there is none
    remotes: Sequence[RemoteStatus] = ()
    refused: Sequence[ObjectKey] = ()
    certificate_faults: Sequence[tuple[ObjectKey, str]] = ()
    expiry: Sequence[tuple[ObjectKey, str, float]] = ()
    reasons: Mapping[int, int] = {}
    retries: int = 0
    open: Mapping[str, float] = {}
    lag: Mapping[str, float] = {}
    upstreams: Sequence[GroupGauges] = ()
    propagation: Histogram | None = None
    maps: Mapping[str, tuple[int, int]] = {}
    findings: Mapping[tuple[str, str], int] = {}
    shadow: tuple[int, int] | None = None  # requests that a candidate has decided too, and those otherwise


def _gauge(name: str, text: str, value: float) -> MetricFamily:
    return MetricFamily(name=f"nodemesh_{name}", help=text, kind="gauge", samples=[((), value)])


def _counter(name: str, text: str, value: float) -> MetricFamily:
    return MetricFamily(name=f"nodemesh_{name}", help=text, kind="counter", samples=[((), value)])


def _by(name: str, text: str, kind: str, label: str, values: Mapping[str, float]) -> MetricFamily:
    samples = [((key,), value) for key, value in values.items()]
    return MetricFamily(
        name=f"nodemesh_{name}",
        help=text,
        kind="counter" if kind == "counter" else "gauge",
        labels=(label,),
        samples=samples,
    )


def process_use(pid: int) -> tuple[float, int] | None:
    """CPU seconds and resident bytes of a process (proc(5), stat and statm), None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS, pages * _PAGE


def families(numbers: Numbers) -> Iterator[MetricFamily]:
    """The families in the order of the page."""
    yield from node_families(numbers)
    yield from process_families(numbers)
    yield from kernel_families(numbers)
    yield from dns_families(numbers)
    yield from series_families(numbers)
    yield from traffic_families(numbers)
    yield from health_families(numbers)
    yield from watch_families(numbers.watches)
    yield from remote_families(numbers.remotes)
    yield from refusal_families(numbers)


def node_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """How the node stands: its tables, its configuration and its pods."""
    yield MetricFamily(
        name="nodemesh_build_info", help="The version that runs.", kind="gauge", labels=("version",),
        samples=[((__version__,), 1)],
    )  # fmt: skip
    yield _gauge("ready", "1 if the node is ready.", numbers.ready)
    yield _gauge("tables_version", "Version of the newest tables.", numbers.version)
    yield _gauge("config_errors", "Errors in the configuration.", numbers.errors)
    yield _gauge("config_warnings", "Warnings about the configuration.", numbers.warnings)
    yield _gauge("config_broken", "1 if the newest configuration is not the one in force.", numbers.broken)
    yield _by("config_reloads", "Reloads of the configuration.", "counter", "result", numbers.reloads)
    yield _gauge("workers_connected", "Workers that take orders.", numbers.connected)
    yield _by("process_restarts", "Deaths of processes.", "counter", "process", numbers.restarts)
    yield _by("pods", "Pods of this node.", "gauge", "state", numbers.pods)
    yield MetricFamily(
        name="nodemesh_pod_not_served",
        help="1 for each pod that is to be in the mesh and cannot be as it is; `nodemesh pods` says why.",
        kind="gauge",
        labels=("namespace", "name"),
        samples=[(pod, 1) for pod in numbers.pods_not_served[:SHOWN]],
    )
    longest = sorted(numbers.without_rules.items(), key=lambda row: (-row[1], row[0]))
    yield MetricFamily(
        name="nodemesh_pod_without_rules_seconds",
        help="For how long a pod's connections went without rules before this agent served it; the longest come first.",
        kind="gauge",
        labels=("namespace", "name"),
        samples=[(pod, seconds) for pod, seconds in longest[:SHOWN]],
    )
    yield _counter("access_log_lines_lost", "Lines that could not be written.", numbers.log_lines_lost)
    yield _counter("spans_exported", "Spans that a collector has taken.", numbers.spans_exported)
    yield MetricFamily(
        name="nodemesh_spans_lost",
        help="Spans that no collector has got, by why.",
        kind="counter",
        labels=("reason",),
        samples=[((reason,), count) for reason, count in numbers.spans_lost.items()],
    )
    if numbers.shadow is not None:
        requests, differing = numbers.shadow
        yield _counter("shadow_requests", "Requests that a candidate has decided about, too.", requests)
        yield _counter("shadow_differing", "Those of them that it would have answered otherwise.", differing)
    if numbers.api_server_silent is not None:
        text = "Seconds since the API server last said anything; watches have a bookmark each minute."
        yield _gauge("api_server_silent_seconds", text, numbers.api_server_silent)


def process_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """What each process uses."""
    uses = {name: use for name, pid in numbers.pids.items() if pid and (use := process_use(pid)) is not None}
    yield _by(
        "process_cpu_seconds", "CPU time of each process.", "counter", "process",
        {name: use[0] for name, use in uses.items()},
    )  # fmt: skip
    yield _by(
        "process_resident_memory_bytes", "Resident memory of each process.", "gauge", "process",
        {name: use[1] for name, use in uses.items()},
    )  # fmt: skip


def kernel_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """What the kernel half does, and what goes past the rules."""
    if numbers.kernel:
        yield MetricFamily(
            name="nodemesh_kernel_events",
            help="Outcomes of the kernel's hooks by reason.",
            kind="counter",
            labels=("hook", "reason"),
            samples=list(numbers.kernel.items()),
        )
    yield _gauge(
        "kernel_ports_without_room", "Service ports that pass, since a map is full.", numbers.ports_without_room
    )
    yield _gauge("kernel_endpoints_out", "Endpoints left out for a while, since they refuse.", numbers.endpoints_out)
    yield MetricFamily(
        name="nodemesh_http_rules_bypassed",
        help="Connections that the HTTP rules of their port cannot be applied to, by what they speak.",
        kind="counter",
        labels=("service", "port", "protocol"),
        samples=[((host, str(port), spoken), count) for (host, port, spoken), count in numbers.bypasses.items()],
    )


def refusal_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """Which objects are not in force as they stand, and which certificates."""
    yield MetricFamily(
        name="nodemesh_refused_objects",
        help="1 for each object that is not in force as it stands in the configuration.",
        kind="gauge",
        labels=("kind", "namespace", "name"),
        samples=[(place, 1) for place in list(dict.fromkeys(map(labels_of, numbers.refused)))[:SHOWN]],
    )
    places = dict.fromkeys((*labels_of(key), field) for key, field in numbers.certificate_faults)
    yield MetricFamily(
        name="nodemesh_certificate_faults",
        help="1 for each field of a rule whose certificates cannot be used in their newest form.",
        kind="gauge",
        labels=("kind", "namespace", "name", "field"),
        samples=[(place, 1) for place in list(places)[:SHOWN]],
    )


def labels_of(key: ObjectKey) -> tuple[str, str, str]:
    return key.kind, key.namespace, key.name


def series_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """How many of Istio's series there are, and what is not among them."""
    gone = numbers.gone
    yield _by("series", "Label sets of Istio's metrics.", "gauge", "kind", numbers.series)
    yield _counter(
        "series_expired", "Label sets that left, since nothing was counted under them for long.", gone.series
    )
    yield _counter("series_folded", "Label sets that found no room and were counted under coarser ones.", gone.folded)
    yield _counter("expired_requests", "Requests that were counted under label sets that have left.", gone.requests)
    yield _counter(
        "expired_connections", "TCP connections that were counted under label sets that have left.", gone.connections
    )


def page_families(left_out: Sequence[str], seconds: float) -> Iterator[MetricFamily]:
    """What is to be said of the page itself, when the rest of it is made."""
    yield _by(
        "metric_left_out", "1 for each histogram that would make the page too big.", "gauge", "metric",
        dict.fromkeys(left_out, 1.0),
    )  # fmt: skip
    yield _gauge("scrape_seconds", "Time that it took to make this page.", seconds)


def traffic_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """What the data plane does, whatever service it is for."""
    yield _by("open_connections", "Connections of clients.", "gauge", "worker", numbers.open)
    yield _by(
        "worker_loop_lag_seconds", "How late a worker's loop was at the worst since the last look.", "gauge", "worker",
        numbers.lag,
    )  # fmt: skip
    yield _counter("retries", "Tries of requests after the first.", numbers.retries)
    yield _by(
        "early_exits", "Requests and connections by why they ended as they did.", "counter", "reason",
        {Reason(number).name.lower(): count for number, count in numbers.reasons.items()},
    )  # fmt: skip
    shown = numbers.upstreams[:SHOWN]
    for field, text in (
        ("requests", "Requests in flight."),
        ("connections", "Connections open, where a limit counts them."),
        ("pending", "Requests that wait for a connection."),
        ("ejected", "Endpoints that outlier detection has ejected."),
    ):
        yield MetricFamily(
            name=f"nodemesh_upstream_{field}", help=text, kind="gauge", labels=("service", "subset"),
            samples=[((row.service, row.subset), getattr(row, field)) for row in shown],
        )  # fmt: skip


def health_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """What an operator is to be woken for, or will want to know then."""
    yield MetricFamily(
        name="istio_build", help="The version that runs, as Istio's dashboards ask for it.", kind="gauge",
        labels=("component", "tag"), samples=[(("nodemesh", __version__), 1)],
    )  # fmt: skip
    yield _by(
        "process_open_fds", "Open files and sockets of each process.", "gauge", "process",
        {name: float(count) for name, pid in numbers.pids.items() if pid and (count := open_fds(pid)) is not None},
    )  # fmt: skip
    yield _by(
        "kernel_map_entries", "Entries of the service maps.", "gauge", "map",
        {name: float(used) for name, (used, _) in numbers.maps.items()},
    )  # fmt: skip
    yield _by(
        "kernel_map_size", "Entries for which they have room.", "gauge", "map",
        {name: float(size) for name, (_, size) in numbers.maps.items()},
    )  # fmt: skip
    if numbers.propagation is not None:
        yield MetricFamily(
            name="nodemesh_propagation_seconds",
            help="From a change's being seen to its being in force at all workers.",
            kind="histogram",
            histogram=numbers.propagation,
        )
    yield MetricFamily(
        name="nodemesh_certificate_expiry_timestamp_seconds",
        help="When the first certificate of a rule's field ends.",
        kind="gauge",
        labels=("kind", "namespace", "name", "field"),
        samples=[((*labels_of(key), field), when) for key, field, when in numbers.expiry[:SHOWN]],
    )
    yield MetricFamily(
        name="nodemesh_config_findings",
        help="Findings in the configuration, across objects as well, by severity and code.",
        kind="gauge",
        labels=("severity", "code"),
        samples=[(key, count) for key, count in numbers.findings.items()],
    )


def open_fds(pid: int) -> int | None:
    """How many descriptors a process has, None if it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def remote_families(remotes: Sequence[RemoteStatus]) -> Iterator[MetricFamily]:
    """How the other clusters are followed; nothing where there are none."""
    rows = [row for row in remotes if row.name]
    if rows:
        synced = {row.name: float(row.state == "synced") for row in rows}
        services = {row.name: float(row.services) for row in rows}
        yield _by("remote_cluster_synced", "1 where another cluster is followed.", "gauge", "cluster", synced)
        yield _by("remote_cluster_services", "Services that it has.", "gauge", "cluster", services)


def dns_families(numbers: Numbers) -> Iterator[MetricFamily]:
    """DNS queries of pods: what became of them, and how those failed that went on."""
    names = numbers.names
    yield _gauge("pods_dns_captured", "Pods whose DNS queries are taken over.", numbers.pods_dns)
    yield _by(
        "dns_queries", "DNS queries of pods by what became of them.", "counter", "outcome",
        {
            "answered": names.answered, "forwarded": names.forwarded, "refused": names.refused,
            "malformed": names.malformed,
        },
    )  # fmt: skip
    yield _by(
        "dns_failures", "Forwarded DNS queries without an answer, and strangers' answers.", "counter", "reason",
        {"timeout": names.timeouts, "unreachable": names.unreachable, "mismatched": names.mismatched},
    )  # fmt: skip


def watch_families(watches: Sequence[ResourceStatus]) -> Iterator[MetricFamily]:
    """How the API server is followed; nothing where none is."""
    if not watches:
        return
    yield _by("watch_objects", "Objects held.", "gauge", "resource", {row.name: row.objects for row in watches})
    yield _by("watch_events", "Events of watches.", "counter", "resource", {row.name: row.events for row in watches})
    yield _by(
        "watch_starts", "Times that all objects were asked for.", "counter", "resource",
        {row.name: row.starts for row in watches},
    )  # fmt: skip
    yield _by(
        "watch_failures", "Lists and watches that failed.", "counter", "resource",
        {row.name: row.failures for row in watches},
    )  # fmt: skip


def refused_objects(snapshot: Snapshot) -> list[ObjectKey]:
    """The objects that are not in force as they are written, each once."""
    refused = (problem for problem in snapshot.problems if problem.refused and problem.name)
    return list(
        dict.fromkeys(ObjectKey(problem.kind, problem.namespace, problem.name, problem.group) for problem in refused)
    )
