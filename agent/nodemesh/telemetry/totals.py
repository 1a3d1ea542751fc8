"""Control's sum of what all workers have counted; what a worker had counted when last heard outlives it."""

from __future__ import annotations

import msgspec

from .decisions import DecisionRecord
from .dump import Dump, HttpCounts, TcpCounts


def _add_histogram(one: tuple[list[int], float], other: tuple[list[int], float]) -> tuple[list[int], float]:
    return [left + right for left, right in zip(one[0], other[0], strict=True)], one[1] + other[1]


def _add_http(one: HttpCounts, other: HttpCounts) -> HttpCounts:
    return HttpCounts(
        one.labels,
        one.requests + other.requests,
        _add_histogram(one.duration, other.duration),
        _add_histogram(one.request_bytes, other.request_bytes),
        _add_histogram(one.response_bytes, other.response_bytes),
    )


def _add_tcp(one: TcpCounts, other: TcpCounts) -> TcpCounts:
    return TcpCounts(
        one.labels,
        one.opened + other.opened,
        one.closed + other.closed,
        one.sent + other.sent,
        one.received + other.received,
    )


def merge(one: Dump, other: Dump, decisions: int = 0) -> Dump:
    """The sum of two dumps, with the last `decisions` requests of both."""
    http = {counts.labels: counts for counts in one.http}
    for counts in other.http:
        known = http.get(counts.labels)
        http[counts.labels] = counts if known is None else _add_http(known, counts)
    tcp = {counts.labels: counts for counts in one.tcp}
    for flow in other.tcp:
        before = tcp.get(flow.labels)
        tcp[flow.labels] = flow if before is None else _add_tcp(before, flow)
    recent: list[DecisionRecord] = []
    if decisions:
        recent = sorted([*one.decisions, *other.decisions], key=lambda record: record.started)[-decisions:]
    return Dump(
        http=list(http.values()),
        tcp=list(tcp.values()),
        decisions=recent,
        log_lines_lost=one.log_lines_lost + other.log_lines_lost,
        names=one.names + other.names,
    )


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """The totals of a control process, for its successor."""

    retired: Dump
    live: dict[str, Dump]


class Totals:
    """Sums by worker process. A worker is named by its pid and start, so a number never counts twice."""

    def __init__(self) -> None:
        self._retired = Dump()
        self._live: dict[str, Dump] = {}

    def update(self, worker: str, data: bytes) -> None:
        """Take a worker's newest dump in place of its last. Raises msgspec.DecodeError on one of another version."""
        self._live[worker] = msgspec.msgpack.decode(data, type=Dump)

    def add(self, data: bytes) -> None:
        """Take numbers that belong to no worker, for good."""
        self._retired = merge(self._retired, msgspec.msgpack.decode(data, type=Dump))

    def retire(self, worker: str) -> None:
        """The worker is gone; what it had counted stays."""
        last = self._live.pop(worker, None)
        if last is not None:
            self._retired = merge(self._retired, last)

    def sum(self, decisions: int = 0) -> Dump:
        """Everything counted by the living and the dead."""
        total = self._retired
        for dump in self._live.values():
            total = merge(total, dump, decisions)
        return total

    def save(self) -> bytes:
        """Everything, for a successor of this process."""
        live = {key: msgspec.structs.replace(dump, decisions=[]) for key, dump in self._live.items()}
        return msgspec.msgpack.encode(Saved(self._retired, live))

    def restore(self, data: bytes) -> None:
        """Take over what `save()` gave. A worker that still lives will send newer numbers under the same key; what the
        others had counted stays."""
        saved = msgspec.msgpack.decode(data, type=Saved)
        self._retired = merge(self._retired, saved.retired)
        self._live = {**saved.live, **self._live}
