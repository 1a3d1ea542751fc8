"""A worker's view of Telemetry: what is to be logged, counted and traced of each client, made on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..bounded import Bounded
from ..config.cel import fields_of, parse_filter, parse_value
from ..registry.snapshot import Endpoint
from ..routing.client import Client
from ..routing.observation import NOTHING_SAID, LogRule, MetricRule, Observation, Scopes, observation_of
from ..routing.tables import Tables
from .access_log import AccessLog
from .conditions import condition
from .labels import HTTP_LABELS, TCP_LABELS, endpoint_of
from .operators import ShownFields
from .overrides import HTTP_METRICS, MESSAGE_METRICS, TCP_METRICS, Override, made_of
from .record import ConnectionRecord
from .span import variable_of

#: Clients, and pairs of client and endpoint, that are kept before all are looked up again.
LIMIT = 20_000

#: A log with what is to be in it; None: everything.
Logged = tuple[AccessLog, Callable[[ConnectionRecord], bool] | None]

# The kinds of series.
HTTP, TCP, MESSAGES = 0, 1, 2

_METRICS = (HTTP_METRICS, TCP_METRICS, MESSAGE_METRICS)
_LABELS = (HTTP_LABELS, TCP_LABELS, TCP_LABELS)


class Observer:
    """Of one version of the tables. `logs` are the worker's access logs by their providers, None under the empty name
    where the mesh has none."""

    __slots__ = (
        "environment",
        "tables",
        "logs",
        "_observations",
        "_logged",
        "_overrides",
        "_held",
        "_scopes",
        "_standard",
    )

    def __init__(self, tables: Tables, logs: Mapping[str, AccessLog]) -> None:
        self.environment = variable_of(tables.mesh.allowed_environment)
        self.tables = tables
        self.logs = logs
        self._scopes = Scopes(tables.telemetries)
        self._standard = [override_of(kind, (), ()) for kind in (HTTP, TCP, MESSAGES)]
        self._observations: Bounded[tuple[str, frozenset[tuple[str, str]]], Observation] = Bounded(LIMIT)
        self._logged: dict[int, tuple[Logged, ...]] = {}
        self._overrides: dict[tuple[int, int, int, str], Override] = {}
        self._held: list[object] = []  # whose id() the keys above have

    def of(self, namespace: str, labels: Mapping[str, str]) -> Observation:
        """What becomes known of a workload's traffic."""
        key = (namespace, frozenset(labels.items()))
        found = self._observations.found.get(key)
        if found is None:
            found = self._observations.keep(key, observation_of(self.tables, namespace, labels, self._scopes))
        return found

    # --- logs

    def log(self, records: Sequence[ConnectionRecord]) -> None:
        """Have records in the logs that they belong in."""
        lines: dict[int, tuple[AccessLog, list[ConnectionRecord]]] = {}
        for record in records:
            for log, wanted in self._logs_of(record.client):
                if wanted is None or wanted(record):
                    lines.setdefault(id(log), (log, []))[1].append(record)
        for log, chosen in lines.values():
            log.add(chosen)

    def _logs_of(self, client: Client) -> tuple[Logged, ...]:
        found = self._logged.get(id(client))
        if found is None:
            rules = self.of(client.namespace, client.labels).logs
            if rules is None:
                rules = (LogRule(""),)
            found = tuple(
                (self.logs[rule.provider], condition(rule.filter) if rule.filter else None)
                for rule in rules
                if rule.provider in self.logs
            )
            self._hold(client)
            self._logged[id(client)] = found
        return found

    # --- metrics

    def override(self, record: ConnectionRecord, kind: int) -> Override:
        """What becomes of the metrics of a record's series."""
        key = (id(record.client), id(record.cluster), kind, record.upstream_host)
        found = self._overrides.get(key)
        if found is None:
            client = self.of(record.client.namespace, record.client.labels)
            endpoint = endpoint_of(record.cluster, record.upstream_host) if record.cluster is not None else None
            server = self._of_endpoint(endpoint) if endpoint is not None else NOTHING_SAID
            said = client.metrics or server.metrics  # others' objects are to cost nothing
            found = override_of(kind, client.metrics, server.metrics) if said else self._standard[kind]
            self._hold(record.client, record.cluster)
            self._overrides[key] = found
        return found

    def _of_endpoint(self, endpoint: Endpoint) -> Observation:
        return self.of(endpoint.workload.partition("/")[0], endpoint.labels)

    def _hold(self, *objects: object) -> None:
        if len(self._held) >= 2 * LIMIT:
            self._logged.clear()
            self._overrides.clear()
            self._held.clear()
        self._held.extend(objects)


def override_of(kind: int, client: Sequence[MetricRule], server: Sequence[MetricRule]) -> Override:
    """What the rules of both ends make of a kind of series."""
    metrics = _METRICS[kind]
    return Override(
        metrics.values(),
        _LABELS[kind],
        made_of(client, metrics, client=True),
        made_of(server, metrics, client=False),
    )


def wanted_by(tables: Tables, wanted: ShownFields) -> None:
    """The fields that the expressions of all Telemetry read, beside those that formats show."""
    for telemetry in tables.telemetries:
        spec = telemetry.spec
        trees = [
            parse_filter(entry.filter.expression)
            for entry in spec.access_logging
            if entry.filter is not None and entry.filter.expression
        ]
        trees += [
            parse_value(tag.value)
            for metrics in spec.metrics
            for override in metrics.overrides
            for tag in override.tag_overrides.values()
            if tag.value
        ]
        for tracing in spec.tracing:
            for custom in tracing.custom_tags.values():
                if custom.header is not None and custom.header.name:
                    wanted.request.add(custom.header.name.lower().encode())
        for tree in trees:
            found = fields_of(tree)
            wanted.request |= found["request"]
            wanted.response |= found["response"]
            wanted.trailers |= found["trailers"]
