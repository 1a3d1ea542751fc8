"""What a worker has counted, as it travels to control."""

from __future__ import annotations

import msgspec

from .decision_record import DecisionRecord
from .names import Names
from .span import Span


class HttpCounts(msgspec.Struct, array_like=True):
    """One label set's HTTP numbers on their way to control: histograms as (counts by bucket, sum)."""

    labels: tuple[str, ...]
    requests: int
    duration: tuple[list[int], float]
    request_bytes: tuple[list[int], float]
    response_bytes: tuple[list[int], float]

    def add(self, more: HttpCounts) -> None:
        self.requests += more.requests
        self.duration = _added(self.duration, more.duration)
        self.request_bytes = _added(self.request_bytes, more.request_bytes)
        self.response_bytes = _added(self.response_bytes, more.response_bytes)


class TcpCounts(msgspec.Struct, array_like=True):
    """One label set's TCP numbers on their way to control."""

    labels: tuple[str, ...]
    opened: int
    closed: int
    sent: int
    received: int

    def add(self, more: TcpCounts) -> None:
        self.opened += more.opened
        self.closed += more.closed
        self.sent += more.sent
        self.received += more.received


class MessageCounts(msgspec.Struct, array_like=True):
    """One label set's messages of gRPC calls on their way to control."""

    labels: tuple[str, ...]
    requests: int
    responses: int

    def add(self, more: MessageCounts) -> None:
        self.requests += more.requests
        self.responses += more.responses


def _added(one: tuple[list[int], float], other: tuple[list[int], float]) -> tuple[list[int], float]:
    return [left + right for left, right in zip(one[0], other[0], strict=True)], one[1] + other[1]


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted since the dump before; of a part of the series, where there is `more`. `decisions` are the last
    requests since then, oldest first. So many label sets as `folded` says have got no series of their own. `reasons`
    counts early exits, `retries` the tries after first ones. `open` connections of clients there are now; the loop was
    late by `lag` seconds at the worst."""

    http: list[HttpCounts] = []
    tcp: list[TcpCounts] = []
    messages: list[MessageCounts] = []
    spans: list[Span] = []
    spans_lost: int = 0
    decisions: list[DecisionRecord] = []
    log_lines_lost: int = 0
    names: Names = msgspec.field(default_factory=Names)
    folded: int = 0
    reasons: dict[int, int] = {}
    retries: int = 0
    open: int = 0
    lag: float = 0.0
    bypasses: list[tuple[str, int, str, int]] = []  # as of Bypasses.take
    canaries: dict[str, tuple[int, int]] = {}  # by staged rollout: requests of its canaries, and those that failed
    more: bool = False


class Numbered(msgspec.Struct, frozen=True, array_like=True):
    """A worker's dump with its number, from 1 on. The worker repeats it until control says that it is kept."""

    number: int
    dump: msgspec.Raw  # msgpack of Dump
