"""What one node has counted of a time, as its agent tells those of the other nodes, to be drawn as one picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from ..telemetry.histogram import BOUNDS
from ..telemetry.history import FlowCounts, Flows, Way


class CountedWay(msgspec.Struct, frozen=True, array_like=True):
    """One way, and what went there, in so many seconds: 0.0 stands for the whole time."""

    way: Way
    requests: int
    errors: int
    sent: float
    received: float
    duration: list[int]
    codes: list[tuple[str, str, int]]
    seconds: float = 0.0


class Counted(msgspec.Struct, frozen=True):
    """`seconds` were covered; `ejected` endpoints by host; `empty` says why there may be nothing."""

    seconds: float
    rows: list[CountedWay]
    ejected: dict[str, int]
    empty: list[str]


def counted(seconds: float, flows: Flows, ejected: dict[str, int], empty: list[str]) -> Counted:
    rows = [
        CountedWay(way, flow.requests, flow.errors, flow.sent, flow.received, flow.duration,
            [(code, flags, count) for (code, flags), count in flow.codes.items()], flow.seconds)
        for way, flow in flows.items()
    ]  # fmt: skip
    return Counted(seconds, rows, ejected, empty)


def flows_of(told: Iterable[Counted]) -> Flows:
    """The sum of what several have counted. Durations in other buckets than ours, as those of another version, are left
    out."""
    found: Flows = {}
    for each in told:
        for row in each.rows:
            flow = FlowCounts()
            flow.seconds = row.seconds
            flow.requests, flow.errors, flow.sent, flow.received = row.requests, row.errors, row.sent, row.received
            if len(row.duration) == len(BOUNDS) + 1:
                flow.duration = row.duration
            flow.codes = Counter({(code, flags): count for code, flags, count in row.codes})
            known = found.get(row.way)
            if known is None:
                known = found[row.way] = FlowCounts()
            known.add(flow)
    return found
