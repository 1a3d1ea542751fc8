"""One line of what was decided last, as it is shown: made of a record when somebody asks."""

from __future__ import annotations

import msgspec

from .labels import flags_of, source_workload
from .record import ConnectionRecord, RequestRecord
from .values import details_of, has_failed


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
