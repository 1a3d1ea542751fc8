"""Control's sum of what all workers have counted: it outlives them, and lets go of what nobody has used for long."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from ..reasons import Reason
from .bounds import Bounds, Labels
from .bypass import Bypasses, Key
from .decision_record import DecisionRecord
from .decisions import CAPACITY
from .dump import Dump, HttpCounts, MessageCounts, Numbered, TcpCounts
from .histogram import BOUNDS
from .labels import HTTP_LABELS, TCP_LABELS
from .names import Names

_DUMPS = msgspec.msgpack.Decoder(list[Numbered])
_DUMP = msgspec.msgpack.Decoder(Dump)
_ENCODER = msgspec.msgpack.Encoder()

#: Staged rollouts whose counts are kept.
ROLLOUTS = 64

_REASONS = frozenset(map(int, Reason))


class Gone(msgspec.Struct, array_like=True):
    """What was counted under label sets that have left, and how many have; and those that were folded into others."""

    series: int = 0
    requests: int = 0
    connections: int = 0
    folded: int = 0


C = TypeVar("C", HttpCounts, TcpCounts, MessageCounts)


class SeriesRow(Generic[C]):
    """One series: its numbers, when they last changed, and what is kept of making them into bytes."""

    __slots__ = ("counts", "changed", "text", "saved")

    def __init__(self, counts: C, now: float) -> None:
        self.counts: C = counts
        self.changed = now
        self.text = ""  # the labels as they stand on the page
        self.saved = b""

    def add(self, more: C, now: float) -> None:
        self.counts.add(more)
        self.changed, self.saved = now, b""


def _is_ours(counts: HttpCounts) -> bool:
    """Whether labels and buckets are this version's: workers and predecessors may be of another."""
    histograms = (counts.duration, counts.request_bytes, counts.response_bytes)
    return len(counts.labels) == len(HTTP_LABELS) and all(len(one[0]) == len(BOUNDS) + 1 for one in histograms)


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """The totals of a control process, for its successor. Rows come as `HttpCounts`, `TcpCounts`, `MessageCounts`."""

    numbers: dict[str, int]
    gone: Gone
    log_lines_lost: int
    names: Names
    reasons: dict[int, int]
    retries: int
    http: list[msgspec.Raw]
    tcp: list[msgspec.Raw]
    bypasses: list[tuple[str, int, str, int]] = []
    messages: list[msgspec.Raw] = []


class Totals:
    """Sums of all workers' dumps, each counted once. Times are seconds of a clock of the caller's."""

    def __init__(self) -> None:
        self.http: dict[Labels, SeriesRow[HttpCounts]] = {}
        self.tcp: dict[Labels, SeriesRow[TcpCounts]] = {}
        self.messages: dict[Labels, SeriesRow[MessageCounts]] = {}
        self.gone = Gone()
        self.log_lines_lost = 0
        self.names = Names()
        self.reasons: Counter[int] = Counter()  # early exits
        self.retries = 0
        self.open: dict[str, int] = {}  # connections of clients, by worker
        self.lag: dict[str, float] = {}  # by how many seconds its loop was late at the worst, lately
        self.canaries: dict[str, tuple[int, int]] = {}  # by staged rollout: requests, and those that failed
        self.bypasses = Bypasses()
        self.first_bypasses: list[Key] = []  # not said yet
        self.recent: deque[DecisionRecord] = deque(maxlen=CAPACITY)
        self.failed: deque[DecisionRecord] = deque(maxlen=CAPACITY)
        self._numbers: dict[str, int] = {}
        self._bounds = Bounds()

    def kept(self, worker: str) -> int:
        """The number of the last dump of a worker, named by its pid and start, that is counted here."""
        return self._numbers.get(worker, 0)

    def update(self, worker: str, data: bytes, now: float) -> Iterator[Dump]:
        """Count the worker's dumps that are new, one by one as they are asked for. Raises msgspec.DecodeError on those
        of another version."""
        for numbered in _DUMPS.decode(data):
            if numbered.number > self.kept(worker):
                dump = _DUMP.decode(numbered.dump)
                self._add(dump, now)
                self._numbers[worker] = numbered.number
                self.open[worker], self.lag[worker] = dump.open, dump.lag
                yield dump

    def add(self, data: bytes, now: float) -> Dump:
        """Count what belongs to no worker."""
        dump = _DUMP.decode(data)
        self._add(dump, now)
        return dump

    def retire(self, worker: str) -> None:
        """The worker is gone; what it had counted stays."""
        for by_worker in (self._numbers, self.open, self.lag):
            by_worker.pop(worker, None)

    def expire(self, before: float) -> None:
        """Let go of what has not changed since then."""
        for labels in [labels for labels, row in self.http.items() if row.changed < before]:
            self.gone.requests += self.http.pop(labels).counts.requests
            self._left(labels)
        for labels in [labels for labels, row in self.tcp.items() if row.changed < before]:
            self.gone.connections += self.tcp.pop(labels).counts.opened
            self._left(labels)
        for labels in [labels for labels, row in self.messages.items() if row.changed < before]:
            del self.messages[labels]
            self._left(labels)

    def save(self) -> bytes:
        """Everything but the last requests, for a successor of this process. What has not changed since the last time
        is not encoded again."""
        return _ENCODER.encode(
            Saved(
                self._numbers,
                self.gone,
                self.log_lines_lost,
                self.names,
                self.reasons,
                self.retries,
                _saved(self.http),
                _saved(self.tcp),
                [(*key, count) for key, count in self.bypasses.counts.items()],
                _saved(self.messages),
            )
        )

    def restore(self, data: bytes, now: float) -> None:
        """Take over what `save()` gave. Raises msgspec.DecodeError on what cannot be read; what another version counts
        that this one does not know is left out."""
        saved = msgspec.msgpack.decode(data, type=Saved)
        http = [msgspec.msgpack.decode(raw, type=HttpCounts) for raw in saved.http]
        tcp = [msgspec.msgpack.decode(raw, type=TcpCounts) for raw in saved.tcp]
        messages = [msgspec.msgpack.decode(raw, type=MessageCounts) for raw in saved.messages]
        self._numbers = saved.numbers
        self.gone = saved.gone
        dump = Dump(
            http=http,
            tcp=tcp,
            messages=messages,
            log_lines_lost=saved.log_lines_lost,
            names=saved.names,
            reasons=saved.reasons,
            retries=saved.retries,
            bypasses=saved.bypasses,
        )
        self._add(dump, now)
        self.first_bypasses.clear()  # the predecessor has said so

    def _add(self, dump: Dump, now: float) -> None:
        self._sum(self.http, filter(_is_ours, dump.http), now)
        self._sum(self.tcp, [flow for flow in dump.tcp if len(flow.labels) == len(TCP_LABELS)], now)
        self._sum(self.messages, [calls for calls in dump.messages if len(calls.labels) == len(TCP_LABELS)], now)
        self.gone.folded += dump.folded + self._bounds.folded
        self._bounds.folded = 0
        self.log_lines_lost += dump.log_lines_lost
        self.names = self.names + dump.names
        self.reasons.update({number: count for number, count in dump.reasons.items() if number in _REASONS})
        self.retries += dump.retries
        for name, (requests, failures) in dump.canaries.items():
            before = self.canaries.pop(name, (0, 0))
            self.canaries[name] = (before[0] + requests, before[1] + failures)
            if len(self.canaries) > ROLLOUTS:
                del self.canaries[next(iter(self.canaries))]
        for host, port, spoken, count in dump.bypasses:
            if self.bypasses.add((host, port, spoken), count):
                self.first_bypasses.append((host, port, spoken))
        self.recent.extend(dump.decisions)
        self.failed.extend(record for record in dump.decisions if record.failed)

    def _sum(self, rows: dict[Labels, SeriesRow[C]], more: Iterable[C], now: float) -> None:
        for counts in more:
            labels = self._bounds.place(counts.labels, rows)
            row = rows.get(labels)
            if row is None:
                counts.labels = labels
                rows[labels] = SeriesRow(counts, now)
            else:
                row.add(counts, now)

    def _left(self, labels: Labels) -> None:
        self.gone.series += 1
        self._bounds.free(labels)


def _saved(rows: dict[Labels, SeriesRow[C]]) -> list[msgspec.Raw]:
    for row in rows.values():
        row.saved = row.saved or _ENCODER.encode(row.counts)
    return [msgspec.Raw(row.saved) for row in rows.values()]
