"""What Telemetry makes of the metrics' labels: which samples there are, without which labels, and with which others.

A series whose metrics are not all as Istio's standard has them carries the difference in its first label, as a text
that the page reads: it is one of the series' own labels, bounded with them, and no other process has to look it up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from ..config.telemetry import IstioMetric
from ..routing.client import Client
from ..routing.observation import MetricRule
from .conditions import is_constant, text_of
from .labels import UNKNOWN
from .record import ConnectionRecord

#: In the first label's place: all metrics are Istio's own.
STANDARD = "source"

SOURCE, DESTINATION = "source", "destination"

#: Istio's metrics by what they are counted of, with their names on the page.
HTTP_METRICS = {
    IstioMetric.REQUEST_COUNT: "istio_requests_total",
    IstioMetric.REQUEST_DURATION: "istio_request_duration_milliseconds",
    IstioMetric.REQUEST_SIZE: "istio_request_bytes",
    IstioMetric.RESPONSE_SIZE: "istio_response_bytes",
}
TCP_METRICS = {
    IstioMetric.TCP_OPENED_CONNECTIONS: "istio_tcp_connections_opened_total",
    IstioMetric.TCP_CLOSED_CONNECTIONS: "istio_tcp_connections_closed_total",
    IstioMetric.TCP_SENT_BYTES: "istio_tcp_sent_bytes_total",
    IstioMetric.TCP_RECEIVED_BYTES: "istio_tcp_received_bytes_total",
}
MESSAGE_METRICS = {
    IstioMetric.GRPC_REQUEST_MESSAGES: "istio_request_messages_total",
    IstioMetric.GRPC_RESPONSE_MESSAGES: "istio_response_messages_total",
}

#: Labels that the live page and its history read of every series: the metrics alone go without them.
HELD = frozenset(
    {
        "reporter", "source_workload", "source_workload_namespace", "source_cluster", "destination_workload",
        "destination_workload_namespace", "destination_service", "destination_service_name",
        "destination_service_namespace", "destination_canonical_revision", "destination_version", "request_protocol",
        "response_flags", "connection_security_policy", "response_code", "grpc_response_status",
    }
)  # fmt: skip

#: Characters of a value that an expression gives.
LONGEST = 128

#: Results of the expressions that are remembered for one client and destination, in characters.
REMEMBERED = 16 * 1024

#: Characters of a series' first label. Where values make it longer, none of them is told apart.
LONGEST_TEXT = 8 * 1024

#: Whose record a constant is read of.
NOBODY = ConnectionRecord(Client(namespace=""))

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class MetricShape(msgspec.Struct, array_like=True, omit_defaults=True):
    """What one metric of a series has that others have not: labels that are left out, and others' values."""

    removed: tuple[str, ...] = ()
    values: dict[str, str] = {}


#: By `reporter metric`; None: there is no such sample.
Shapes = dict[str, MetricShape | None]


@lru_cache(maxsize=1024)
def shapes_of(text: str) -> Shapes:
    """What a series' first label says."""
    if not text.startswith("{"):
        return {}
    found = msgspec.json.decode(text, type=Shapes)
    return {name: shape for names, shape in found.items() for name in names.split(",")}


def without_values(text: str) -> str:
    """The same for a series that many are folded into: what expressions gave is not told apart."""
    if not text.startswith("{"):
        return text
    shapes = shapes_of(text)
    return _text_of(
        {
            name: shape and MetricShape(shape.removed, dict.fromkeys(shape.values, UNKNOWN))
            for name, shape in shapes.items()
        }
    )


def _text_of(shapes: Shapes) -> str:
    """Metrics of one shape, which are most, stand together."""
    if not shapes:
        return STANDARD
    alike: dict[bytes, list[str]] = {}
    for name, shape in shapes.items():
        alike.setdefault(msgspec.json.encode(shape, order="sorted"), []).append(name)
    return msgspec.json.encode({",".join(sorted(names)): msgspec.Raw(one) for one, names in alike.items()},
                               order="sorted").decode()  # fmt: skip


def _bounded(shapes: Shapes) -> str:
    text = _text_of(shapes)
    return text if len(text) <= LONGEST_TEXT else without_values(text)


class _Made(msgspec.Struct):
    """One metric of one reporter, with expressions for values."""

    disabled: bool = False
    removed: dict[str, None] = {}
    values: dict[str, str] = {}


class Override:
    """The overrides of one kind of series between one client and one destination. `blank` are labels that no metric
    has, and that need not be told apart; `text` gives the first label of a record's series."""

    __slots__ = ("blank", "text", "_asked", "_places", "_shapes", "_size", "_texts")

    def __init__(self, metrics: Iterable[str], names: Sequence[str], client: list[_Made], server: list[_Made]) -> None:
        """`metrics` and `names` are those of the kind's samples and labels; what is made of them comes in their
        order."""
        made = {
            f"{reporter} {metric}": each
            for reporter, side in ((SOURCE, client), (DESTINATION, server))
            for metric, each in zip(metrics, side, strict=True)
        }
        alive = [each for each in made.values() if not each.disabled]
        everywhere = set.intersection(*(set(each.removed) for each in alive)) if alive else set()
        blank = everywhere & set(names) - HELD
        self.blank = frozenset(names.index(name) for name in blank)
        self._shapes: Shapes = {}
        self._texts: dict[tuple[str, ...], str] = {}  # by what the expressions gave; bounded by their bytes
        self._size = 0  # of these
        asked: dict[str, int] = {}  # each expression once, with its number
        self._places: list[tuple[str, str, int]] = []  # metric, label and the number of what it gets
        for name, each in made.items():
            removed = tuple(sorted(set(each.removed) - blank))
            if each.disabled:
                self._shapes[name] = None
            elif removed or each.values:
                shape = self._shapes[name] = MetricShape(removed)
                for tag, expression in each.values.items():
                    if is_constant(expression):
                        shape.values[tag] = text_of(expression, UNKNOWN)(NOBODY)[:LONGEST]
                    else:
                        self._places.append((name, tag, asked.setdefault(expression, len(asked))))
        self._asked = [text_of(expression, UNKNOWN) for expression in asked]
        self.text = _bounded(self._shapes)

    def applied(self, labels: tuple[str, ...], text: str) -> tuple[str, ...]:
        """The labels of a series with that first one."""
        if not self.blank:
            return (text, *labels[1:])
        return (text, *["" if index in self.blank else labels[index] for index in range(1, len(labels))])

    def of(self, record: ConnectionRecord) -> str:
        """The first label of a record's series."""
        if not self._asked:
            return self.text
        values = tuple([_UNSAFE.sub("", value(record))[:LONGEST] for value in self._asked])
        text = self._texts.get(values)
        if text is None:
            text = self._with(values)
            self._size += len(text) + sum(map(len, values))
            if self._size > REMEMBERED:
                self._texts.clear()
                self._size = 0
            self._texts[values] = text
        return text

    def _with(self, values: tuple[str, ...]) -> str:
        shapes = {
            name: shape and MetricShape(shape.removed, dict(shape.values)) for name, shape in self._shapes.items()
        }
        for name, tag, number in self._places:
            shape = shapes[name]
            assert shape is not None
            shape.values[tag] = values[number]
        return _bounded(shapes)


def made_of(rules: Iterable[MetricRule], metrics: Iterable[IstioMetric], *, client: bool) -> list[_Made]:
    """What rules make of each metric, applied in their order."""
    made = {metric: _Made() for metric in metrics}
    for rule in rules:
        if not (rule.client if client else rule.server):
            continue
        for metric in rule.metrics or made:
            each = made.get(metric)
            if each is None:
                continue
            if rule.disabled is not None:
                each.disabled = rule.disabled
            for name in rule.removed:
                each.removed[name] = None
                each.values.pop(name, None)
            for name, expression in rule.set:
                each.values[name] = expression
                each.removed.pop(name, None)
    return list(made.values())
