"""The ring of the last requests and connections: what was asked, who answered, and which rule of whose decided."""

from __future__ import annotations

from collections import deque

import msgspec

from .labels import FLAGS, flags_of, source_workload
from .record import ConnectionRecord, RequestRecord
from .values import details_of

#: Records of each kind that are kept.
CAPACITY = 256

#: Characters of a path, a host or a failure's text that are kept: they are peers' words.
SHOWN = 1024


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
    request_id: str = ""
    failed: bool = False
    rule: str = ""
    workload: str = ""  # the client's, as metrics name it
    host: str = ""  # of the service, where one is known
    node: str = ""  # where it was served, as far as the agents of several nodes were asked


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
        details=details_of(record),
        cluster=record.cluster.name if record.cluster is not None else "",
        upstream_host=record.upstream_host,
        route=record.route_name,
        attempts=request.attempts if request is not None else 0,
        duration_ms=round(record.duration * 1000, 3),
        bytes_received=record.bytes_received,
        bytes_sent=record.bytes_sent,
        request_id=request.request_id.decode("latin-1") if request is not None else "",
        failed=has_failed(record),
        workload=source_workload(client),
        host=host_of(record),
        rule=str(record.rule) if record.rule is not None else "",
    )


def host_of(record: ConnectionRecord) -> str:
    """The host of the service that was meant."""
    if record.cluster is not None and record.cluster.host:
        return record.cluster.host
    return record.service.host if record.service is not None else ""


class Decisions:
    """The last `capacity` records, and as many of the last that failed; the proxy gives each away for good, so they are
    described only when asked for."""

    __slots__ = ("_ring", "_failed")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._ring: deque[ConnectionRecord] = deque(maxlen=capacity)
        self._failed: deque[ConnectionRecord] = deque(maxlen=capacity)

    def extend(self, records: list[ConnectionRecord]) -> None:
        """Take what has ended; the access log has no more use for it."""
        for record in records:
            if type(record) is RequestRecord:
                record.user_agent = record.forwarded_for = record.original_path = b""
                record.fields = record.response_fields = record.trailer_fields = None
                size = len(record.path) + len(record.authority) + len(record.method) + len(record.request_id)
                usual = 200 <= record.status < 500 and not record.reasons and size <= SHOWN
            else:
                usual = False
            if not usual:
                shorten(record)
                if has_failed(record):
                    self._failed.append(record)
        self._ring.extend(records)

    def take(self) -> list[DecisionRecord]:
        """What has come since this was asked last, oldest first."""
        last = set(map(id, self._ring))
        found = [describe(record) for record in self._failed if id(record) not in last]
        found += [describe(record) for record in self._ring]
        self._failed.clear()
        self._ring.clear()
        return found


def has_failed(record: ConnectionRecord) -> bool:
    """Whether it is one of those that people look for."""
    if isinstance(record, RequestRecord) and (record.status >= 500 or not record.status):
        return True
    return bool(FLAGS[record.reasons])


def shorten(record: ConnectionRecord) -> None:
    """Keep no more of what peers have said than is shown."""
    if len(record.authority) > SHOWN:
        record.authority = record.authority[:SHOWN] + b"..."
    if len(record.transport_failure) + len(record.termination) > SHOWN:
        record.transport_failure, record.termination = record.transport_failure[:SHOWN], record.termination[:SHOWN]
    if isinstance(record, RequestRecord) and len(record.path) + len(record.method) + len(record.request_id) > SHOWN:
        record.path = record.path[:SHOWN] + b"..."
        record.method = record.method[:SHOWN]
        record.request_id = record.request_id[:SHOWN]
