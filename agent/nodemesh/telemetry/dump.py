"""What a worker has counted, as it travels to control."""

from __future__ import annotations

import msgspec

from .decisions import DecisionRecord
from .names import Names


class HttpCounts(msgspec.Struct, array_like=True):
    """One label set's HTTP numbers on their way to control: histograms as (counts by bucket, sum)."""

    labels: tuple[str, ...]
    requests: int
    duration: tuple[list[int], float]
    request_bytes: tuple[list[int], float]
    response_bytes: tuple[list[int], float]


class TcpCounts(msgspec.Struct, array_like=True):
    """One label set's TCP numbers on their way to control."""

    labels: tuple[str, ...]
    opened: int
    closed: int
    sent: int
    received: int


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one worker has counted since it started; `decisions` are the last requests, oldest first."""

    http: list[HttpCounts] = []
    tcp: list[TcpCounts] = []
    decisions: list[DecisionRecord] = []
    log_lines_lost: int = 0
    names: Names = msgspec.field(default_factory=Names)
