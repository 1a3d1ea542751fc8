"""The /metrics page: Istio's metrics summed over the workers, beside the agent's own, in Prometheus' text format."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate
from typing import Any, Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .dump import HttpCounts, MessageCounts, TcpCounts
from .histogram import BOUNDS, Histogram
from .labels import HTTP_LABELS, MESSAGE_LABELS, TCP_LABELS, UNKNOWN
from .overrides import DESTINATION, SOURCE, STANDARD, MetricShape, shapes_of
from .totals import SeriesRow

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Characters of the page that are made at once, in some 1 ms: other threads get their turn in between.
PIECE = 1024 * 1024

#: zlib's default: on this text half the size of the fastest level's in twice the time, at some 180 MB/s.
LEVEL = 6

#: Lines of histograms that a page may have. Beyond it the histograms of sizes are left out first, then the durations
#: under `reporter="destination"`: numbers of requests and connections, and one duration, are always there.
HISTOGRAM_LINES = 100_000

_EDGES = [*(str(bound) for bound in BOUNDS), "+Inf"]
_LINES = len(_EDGES) + 2

#: The same bounds, which are milliseconds, in seconds.
_SECONDS = [*(str(bound / 1000.0) for bound in BOUNDS), "+Inf"]

#: Labels that differ between what source and destination report; all others are the same.
_REPORTER, _SECURITY = "reporter", "connection_security_policy"
_WORKLOAD = TCP_LABELS.index("destination_workload")

_ANSWERED = "destination_workload"
_STANDARD_SHAPE = MetricShape()

#: The samples of a metric: labels and counts.
Samples = Callable[[str], list[tuple[str, Any]]]

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class MetricFamily(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of the agent's own; `samples` pairs the values of `labels` with a number. Counters are named without
    `_total`, which the format adds."""

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    samples: Sequence[tuple[tuple[str, ...], float]] = ()
    histogram: Histogram | None = None  # of milliseconds, shown in seconds


class MetricsPage(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be on the page. `sizes` says whether the histograms of sizes are wanted, `destination` whether what is
    known of both ends is reported for the second, too. `own` is asked last, with what was left out."""

    http: Sequence[SeriesRow[HttpCounts]]
    tcp: Sequence[SeriesRow[TcpCounts]]
    messages: Sequence[SeriesRow[MessageCounts]] = ()
    own: Callable[[tuple[str, ...]], Iterable[MetricFamily]]
    sizes: bool = True
    destination: bool = True


class _Own(Collector):
    """Makes prometheus_client's families out of the agent's own."""

    def __init__(self, own: Iterable[MetricFamily]) -> None:
        self._own = own

    def collect(self) -> Iterator[Metric]:
        for family in self._own:
            if family.histogram is not None:
                buckets = list(zip(_SECONDS, accumulate(family.histogram.counts), strict=True))
                yield HistogramMetricFamily(
                    family.name, family.help, buckets=buckets, sum_value=family.histogram.sum / 1000.0
                )
                continue
            make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = make(family.name, family.help, labels=family.labels)
            for labels, value in family.samples:
                metric.add_metric(labels, value)
            yield metric


def _text(row: SeriesRow[Any], names: tuple[str, ...]) -> str:
    """The labels of a series that both reporters share, made once."""
    if not row.text:
        row.text = _joined(_shared(row, names))
    return row.text


def _shared(row: SeriesRow[Any], names: tuple[str, ...]) -> dict[str, str]:
    pairs = zip(names, row.counts.labels, strict=False)
    return {name: value for name, value in pairs if name not in (_REPORTER, _SECURITY)}


def _joined(labels: Mapping[str, str]) -> str:
    return ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()])


def _reported(rows: Iterable[SeriesRow[Any]], names: tuple[str, ...], destination: bool) -> list[tuple[str, Any]]:
    """The labels of each sample with its counts, as source and, where the workload that answered is known, as
    destination: what Istio's proxy there would report."""
    found = []
    policy = f'{_SECURITY}="%s",' if _SECURITY in names else ""
    of_source, of_destination = (policy % "unknown", policy % "none") if policy else ("", "")
    for row in rows:
        shared = _text(row, names)
        found.append((f'reporter="source",{of_source}{shared}', row.counts))
        if destination and row.counts.labels[_WORKLOAD] != UNKNOWN:
            found.append((f'reporter="destination",{of_destination}{shared}', row.counts))
    return found


def _samples(rows: Sequence[SeriesRow[Any]], names: tuple[str, ...], destination: bool) -> Samples:
    """The samples of each metric. Where Telemetry has them differ, series may become the same: those are added up, for
    Prometheus takes each sample once."""
    if all(row.counts.labels[0] == STANDARD for row in rows):
        found = _reported(rows, names, destination)
        return lambda metric: found
    return lambda metric: _overridden(rows, names, destination, metric)


def _overridden(
    rows: Iterable[SeriesRow[Any]], names: tuple[str, ...], destination: bool, metric: str
) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}
    policy = {SOURCE: "unknown", DESTINATION: "none"} if _SECURITY in names else {}
    for row in rows:
        shapes = shapes_of(row.counts.labels[0])
        shared = _shared(row, names)
        for reporter in (SOURCE, DESTINATION):
            shape = shapes.get(f"{reporter} {metric}", _STANDARD_SHAPE)
            if shape is None or (reporter == DESTINATION and not (destination and shared[_ANSWERED] != UNKNOWN)):
                continue
            labels = {_REPORTER: reporter, **({_SECURITY: policy[reporter]} if policy else {}), **shared}
            labels |= shape.values
            for name in shape.removed:
                labels.pop(name, None)
            text = _joined({name: value for name, value in labels.items() if value})
            known = found.get(text)
            if known is None:
                found[text] = row.counts
            else:
                found[text] = copy(known)
                found[text].add(row.counts)
    return list(found.items())


def _counter(name: str, text: str, field: str, lines: Iterable[tuple[str, Any]]) -> Iterator[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} counter\n"
    for labels, counts in lines:
        yield f"{name}{{{labels}}} {getattr(counts, field)}\n"


def _histogram(name: str, text: str, field: str, lines: Iterable[tuple[str, Any]]) -> Iterator[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} histogram\n"
    buckets = "".join([f'{name}_bucket{{%s,le="{edge}"}} %d\n' for edge in _EDGES])
    template = f"{buckets}{name}_count{{%s}} %d\n{name}_sum{{%s}} %s\n"
    for labels, row in lines:
        counts, total = getattr(row, field)
        values: list[object] = []
        seen = 0
        for seen in accumulate(counts):
            values += (labels, seen)
        values += (labels, seen, labels, total)
        yield template % tuple(values)


def _istio(page: MetricsPage, left_out: list[str]) -> Iterator[str]:
    """Istio's standard metrics; `left_out` gets the names of those that the page has no room for."""
    http = _samples(page.http, HTTP_LABELS, page.destination)
    durations = http
    sizes = page.sizes
    count = len(page.http) * (1 + page.destination)
    if sizes and 3 * count * _LINES > HISTOGRAM_LINES:
        sizes = False
        left_out += ("istio_request_bytes", "istio_response_bytes")
    if page.destination and count * _LINES > HISTOGRAM_LINES:
        durations = _samples(page.http, HTTP_LABELS, False)
        left_out.append("istio_request_duration_milliseconds")
    name = "istio_requests_total"
    yield from _counter(name, "Requests handled by the proxy.", "requests", http(name))
    name = "istio_request_duration_milliseconds"
    yield from _histogram(name, "Duration of requests.", "duration", durations(name))
    if sizes:
        name = "istio_request_bytes"
        yield from _histogram(name, "Sizes of request bodies.", "request_bytes", http(name))
        name = "istio_response_bytes"
        yield from _histogram(name, "Sizes of response bodies.", "response_bytes", http(name))
    tcp = _samples(page.tcp, TCP_LABELS, page.destination)
    messages = _samples(page.messages, MESSAGE_LABELS, page.destination)
    for samples, name, text, field in (
        (tcp, "istio_tcp_connections_opened_total", "TCP connections opened.", "opened"),
        (tcp, "istio_tcp_connections_closed_total", "TCP connections closed.", "closed"),
        (tcp, "istio_tcp_sent_bytes_total", "Bytes sent to clients over TCP.", "sent"),
        (tcp, "istio_tcp_received_bytes_total", "Bytes received from clients over TCP.", "received"),
        (messages, "istio_request_messages_total", "Messages of gRPC requests.", "requests"),
        (messages, "istio_response_messages_total", "Messages of gRPC responses.", "responses"),
    ):
        yield from _counter(name, text, field, samples(name))


def render(page: MetricsPage) -> Iterator[bytes]:
    """The page, piece by piece."""
    left_out: list[str] = []
    piece: list[str] = []
    size = 0
    for text in _istio(page, left_out):
        piece.append(text)
        size += len(text)
        if size >= PIECE:
            yield "".join(piece).encode()
            piece.clear()
            size = 0
    yield "".join(piece).encode()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Own(page.own(tuple(left_out))))
    yield generate_latest(registry)


def packer() -> zlib._Compress:
    """Makes gzip (RFC 1952) of the pieces."""
    return zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
