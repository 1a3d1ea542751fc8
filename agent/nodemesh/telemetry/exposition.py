"""The /metrics page: Istio's metrics summed over the workers, beside the agent's own, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .dump import Dump
from .histogram import BOUNDS
from .labels import HTTP_LABELS, TCP_LABELS

CONTENT_TYPE = CONTENT_TYPE_LATEST

_EDGES = [*(str(bound) for bound in BOUNDS), "+Inf"]


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of the agent's own; `samples` pairs the values of `labels` with a number. Counters are named without
    `_total`, which the format adds."""

    name: str
    help: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...] = ()
    samples: Sequence[tuple[tuple[str, ...], float]] = ()


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    return list(zip(_EDGES, accumulate(counts), strict=True))


class _Page(Collector):
    """Makes prometheus_client's families out of a dump and the agent's own."""

    def __init__(self, dump: Dump, own: Iterable[Family]) -> None:
        self._dump = dump
        self._own = own

    def collect(self) -> Iterator[Metric]:
        yield from self._http()
        yield from self._tcp()
        for family in self._own:
            make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = make(family.name, family.help, labels=family.labels)
            for labels, value in family.samples:
                metric.add_metric(labels, value)
            yield metric

    def _http(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("istio_requests", "Requests handled by the proxy.", labels=HTTP_LABELS)
        duration = HistogramMetricFamily(
            "istio_request_duration_milliseconds", "Duration of requests.", labels=HTTP_LABELS
        )
        received = HistogramMetricFamily("istio_request_bytes", "Sizes of request bodies.", labels=HTTP_LABELS)
        sent = HistogramMetricFamily("istio_response_bytes", "Sizes of response bodies.", labels=HTTP_LABELS)
        for counts in self._dump.http:
            requests.add_metric(counts.labels, counts.requests)
            for metric, (buckets, total) in (
                (duration, counts.duration),
                (received, counts.request_bytes),
                (sent, counts.response_bytes),
            ):
                metric.add_metric(counts.labels, _buckets(buckets), total)
        yield from (requests, duration, received, sent)

    def _tcp(self) -> Iterator[Metric]:
        opened = CounterMetricFamily("istio_tcp_connections_opened", "TCP connections opened.", labels=TCP_LABELS)
        closed = CounterMetricFamily("istio_tcp_connections_closed", "TCP connections closed.", labels=TCP_LABELS)
        sent = CounterMetricFamily("istio_tcp_sent_bytes", "Bytes sent to clients over TCP.", labels=TCP_LABELS)
        received = CounterMetricFamily(
            "istio_tcp_received_bytes", "Bytes received from clients over TCP.", labels=TCP_LABELS
        )
        for flow in self._dump.tcp:
            opened.add_metric(flow.labels, flow.opened)
            closed.add_metric(flow.labels, flow.closed)
            sent.add_metric(flow.labels, flow.sent)
            received.add_metric(flow.labels, flow.received)
        yield from (opened, closed, sent, received)


def render(dump: Dump, own: Iterable[Family]) -> bytes:
    """The page."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(dump, own))
    return generate_latest(registry)
