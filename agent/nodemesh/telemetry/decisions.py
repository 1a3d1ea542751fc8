"""The ring of the last requests and connections: what was asked, who answered, and which rule of whose decided."""

from __future__ import annotations

from collections import deque

import msgspec

from ..reasons import TEXTS, Reason
from .labels import flags_of
from .record import ConnectionRecord, RequestRecord


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ring, as `/connections` shows it. Durations are milliseconds; status 0 means no HTTP answer."""

    started: float
    client: str
    method: str
    authority: str
    path: str
    protocol: str
    status: int
    flags: str
    details: str
    cluster: str
    upstream_host: str
    route: str
    attempts: int
    duration_ms: float
    bytes_received: int
    bytes_sent: int


def describe(record: ConnectionRecord) -> DecisionRecord:
    """The record in words."""
    client = record.client
    request = record if isinstance(record, RequestRecord) else None
    return DecisionRecord(
        started=record.started,
        client=f"{client.namespace}/{client.name}",
        method=request.method.decode("latin-1") if request is not None else "",
        authority=record.authority.decode("latin-1"),
        path=request.path.decode("latin-1") if request is not None else "",
        protocol=record.protocol.decode("latin-1"),
        status=request.status if request is not None else 0,
        flags=flags_of(record),
        details=TEXTS[record.reasons[-1] if record.reasons else Reason.NONE].details,
        cluster=record.cluster.name if record.cluster is not None else "",
        upstream_host=record.upstream_host,
        route=record.route_name,
        attempts=request.attempts if request is not None else 0,
        duration_ms=round(record.duration * 1000, 3),
        bytes_received=record.bytes_received,
        bytes_sent=record.bytes_sent,
    )


class Decisions:
    """The last `capacity` records; the proxy gives each away for good, so they are described only when asked for."""

    __slots__ = ("_ring", "extend")

    def __init__(self, capacity: int = 256) -> None:
        self._ring: deque[ConnectionRecord] = deque(maxlen=capacity)
        self.extend = self._ring.extend

    def dump(self) -> list[DecisionRecord]:
        """Oldest first."""
        return [describe(record) for record in self._ring]
