"""Connections that lead nowhere: their record, and their end."""

from __future__ import annotations

from ...reasons import Reason
from ...telemetry.record import ConnectionRecord
from ..pod import Pod
from ..transport import Transport


def turn_away(pod: Pod, transport: Transport, reason: Reason, detail: str = "", sni: str = "") -> None:
    """Refuse a connection before anything is decided about it."""
    record = ConnectionRecord(transport.peer.client)
    record.started = pod.shared.clock.time()
    record.downstream_remote = transport.remote
    record.downstream_local = transport.local
    record.sni = sni
    record.reasons = (reason,)
    record.termination = detail
    refuse(pod, transport, record)


def refuse(pod: Pod, transport: Transport, record: ConnectionRecord) -> None:
    """Reset a connection, and write its record. The place that it has in the pod's budget is the caller's to give back
    (`Pod.release`)."""
    record.duration = max(record.duration, 0.0)
    transport.abort()
    pod.shared.telemetry.opened(record)
    pod.shared.telemetry.record(record)
