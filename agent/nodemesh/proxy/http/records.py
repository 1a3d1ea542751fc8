"""Records of requests: begun from a head, copied for mirrors, made of what is no request."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ...telemetry.operators import ShownFields
from ...telemetry.record import RequestRecord
from ..grpc.status import NO_STATUS
from .call import Call
from .head import RequestHead, ResponseHead
from .session import Session
from .trailers import grpc_status_of

#: Why a refusal with that status; all others are protocol errors.
REASONS: Final[dict[int, Reason]] = {
    403: Reason.UPGRADE_REFUSED,
    426: Reason.HTTP10_REFUSED,
    431: Reason.REQUEST_HEADERS_TOO_LARGE,
}


def begin_record(session: Session, head: RequestHead) -> RequestRecord:
    """What is known of a request when its head has come; it gets its identifier here if it has none."""
    headers = head.headers
    shared = session.pod.shared
    clock = shared.clock
    record = RequestRecord(session.peer.client)
    record.started = clock.now + clock.epoch
    record.method = head.method
    record.path = head.path + b"?" + head.query if head.query else head.path
    record.authority = head.authority
    record.request_id = headers.get(b"x-request-id") or shared.request_ids.next()
    record.user_agent = headers.get(b"user-agent") or b""
    record.forwarded_for = headers.get(b"x-forwarded-for") or b""
    record.downstream_remote = head.client or session.remote
    record.downstream_local = session.local
    if session.security is not None:
        record.sni = session.security.name
    if session.frontend is not None:
        record.service = session.frontend.service
    wanted = shared.telemetry.wanted
    if wanted is not None and wanted.request:
        record.fields = chosen(headers, wanted.request)
    return record


def chosen(headers: dict[bytes, bytes], wanted: set[bytes]) -> dict[bytes, bytes]:
    """The fields that are wanted. All namespaces together may want many: their number is not to cost each request."""
    if len(wanted) <= len(headers):
        return {name: headers[name] for name in wanted if name in headers}
    return {name: value for name, value in headers.items() if name in wanted}


def fields_of(lines: list[bytes], wanted: set[bytes]) -> dict[bytes, bytes]:
    """Of some field lines those that are wanted; several of one name are joined with commas."""
    found: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in wanted:
            value = value.strip()
            found[name] = found[name] + b"," + value if name in found else value
    return found


def note_call(record: RequestRecord, call: Call) -> None:
    """What is known of a call that was answered, or is over."""
    record.attempts = call.attempts
    if call.tries:
        record.tries = call.tries
        record.tried_at = call.sent_at + call.target.clock.epoch
    if call.host is not None:
        record.upstream_host = call.host_name
        record.upstream_local = call.local_name
        record.upstream_protocol = call.protocol
    if call.reasons:
        record.reasons += call.reasons


def note_answer(record: RequestRecord, call: Call, head: ResponseHead, now: float, wanted: ShownFields | None) -> None:
    """What an upstream's head tells, which came at `now`."""
    note_call(record, call)
    record.status = head.status
    record.grpc_status = head.grpc_status
    record.upstream_time = now - call.sent_at
    if wanted is not None and wanted.response:
        record.response_fields = fields_of(head.lines, wanted.response)


def note_trailers(record: RequestRecord, trailers: list[bytes], wanted: ShownFields | None) -> None:
    """What a response's trailers tell."""
    status = grpc_status_of(trailers)
    if status != NO_STATUS:
        record.grpc_status = status
    if wanted is not None and wanted.trailers:
        record.trailer_fields = fields_of(trailers, wanted.trailers)


def copy_of(record: RequestRecord) -> RequestRecord:
    """A record of the same request, for one of its copies."""
    copy = RequestRecord(record.client)
    copy.method = record.method
    copy.path = record.path
    copy.original_path = record.original_path
    copy.protocol = record.protocol
    copy.authority = record.authority
    copy.service = record.service
    copy.rule = record.rule
    copy.fields = record.fields
    copy.user_agent = record.user_agent
    copy.forwarded_for = record.forwarded_for
    copy.request_id = record.request_id
    copy.route_name = record.route_name
    copy.downstream_remote = record.downstream_remote
    copy.downstream_local = record.downstream_local
    copy.is_copy = True
    return copy


def reason_of(status: int) -> Reason:
    """Why something that is no request was answered with that status."""
    return REASONS.get(status, Reason.DOWNSTREAM_PROTOCOL_ERROR)


def refused_record(session: Session, status: int, reason: Reason, detail: str) -> RequestRecord:
    """The record of something that could not be read as a request, and of the answer (0: none)."""
    record = RequestRecord(session.peer.client)
    record.started = session.pod.shared.clock.time()
    record.method = b"-"
    record.status = status
    record.duration = 0.0
    record.reasons = (reason,)
    record.downstream_remote = session.remote
    record.termination = detail
    return record
