"""Requests that another service lets pass or not (GEP-1494): the call waits until that has spoken.

The service is asked through the same pools as any upstream, once, within LONGEST and with no more than MOST of an
answer. Whatever goes wrong with it is a refusal."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ...routing.decision import Cluster, ExternalAuth
from ...routing.fields import HOP_NAMES, NO_REPEATED
from ...telemetry.record import RequestRecord
from ..clock import Alarm
from ..grpc.authorization import METHOD, Change, CheckedRequest, MessageError, Verdict, Where, check_request, read_check
from ..pod import Pod
from ..transport import Buffer, Transport
from .call import Call
from .call_states import ENDED
from .caller import NOBODY, Caller
from .head import Edits, RequestFields, RequestHead, ResponseHead
from .lines import TOKEN, VALUE_BYTES, name_of, value_of
from .local_reply import reply_to
from .outgoing import Outgoing
from .records import copy_of, note_answer, note_call, note_trailers
from .request_body import RequestBody
from .retry import NO_RETRY
from .target import HttpTarget
from .trailers import grpc_status_of
from .try_lines import ATTEMPT_COUNT, EXPECTED_TIMEOUT

#: Seconds that the service has; a route's own timeout may be shorter.
LONGEST: Final = 5.0
#: Bytes of its answer's body; of a longer one nothing is passed on.
MOST: Final = 64 * 1024

#: What a service over HTTP always gets of a request's fields, beside the Host (GEP-1494).
ALWAYS: Final = frozenset({b"authorization"})
#: Fields of an answer that are about itself, its way here, or about where a request goes: they never become the
#: request's, nor its response's.
ITS_OWN: Final = HOP_NAMES | {b"host", b"date", b"server", b"trailer"}
ABOUT_CONTENT: Final = b"content-"


def call_for(
    auth: ExternalAuth | None,
    caller: Caller,
    pod: Pod,
    cluster: Cluster,
    request: Outgoing,
    body: RequestBody | None,
    alarm: Alarm,
    record: RequestRecord,
) -> Call:
    """The call of a request, behind an inquiry where its route has one."""
    target = pod.shared.target(cluster)
    if auth is None:
        return Call(caller, pod, target, request, body, alarm)
    return GuardedCall(caller, pod, target, request, body, alarm, auth, record)


class GuardedCall(Call):
    """A call that sets out once the service has let it pass. Until then it is NEW, and keeps the body."""

    __slots__ = ("_auth", "_alarm", "_inquiry", "_collecting", "_record", "_response")

    def __init__(
        self,
        caller: Caller,
        pod: Pod,
        target: HttpTarget,
        request: Outgoing,
        body: RequestBody | None,
        alarm: Alarm,
        auth: ExternalAuth,
        record: RequestRecord,
    ) -> None:
        super().__init__(caller, pod, target, request, body, alarm)
        self._auth = auth
        self._record = record
        self._response: tuple[Change, ...] = ()  # what the service has for the client
        self._alarm = alarm
        self._inquiry: Inquiry | None = None
        self._collecting = False  # the part of the body that the service gets is not here yet

    @property
    def _held(self) -> bool:
        return self._collecting or self._inquiry is not None

    def start(self) -> None:
        if self._auth.cluster is None:
            self._refuse()
            return
        self._collecting = True
        self._look()

    def _look(self) -> None:
        """Ask, if what is to be shown of the body is here."""
        body, most = self.body, self._auth.body
        if body is None or body.complete or not most or body.size >= most or body.full:
            self._collecting = False
            inquiry = self._inquiry = Inquiry(self, self._auth, self.pod, self.request, body, self._alarm, self._record)
            inquiry.call.start()

    def send(self, data: Buffer) -> bool:
        more = super().send(data)
        if self._collecting:
            self._look()
        return more

    def finish(self) -> None:
        if self._collecting:
            self._look()
        elif self._inquiry is None:
            super().finish()

    def cancel(self) -> None:
        if not self._held:
            super().cancel()
            return
        self._stop()
        inquiry, self._inquiry = self._inquiry, None
        if inquiry is not None:
            inquiry.cancel()

    def _stop(self) -> None:
        """Over, before it has set out."""
        self._collecting = False
        self._enter(ENDED)
        self.caller = NOBODY

    # --- what the service says

    def passed(self, verdict: Verdict) -> None:
        self._inquiry = None
        self._response = verdict.response
        edits = self.request.edits
        for name in verdict.remove:
            edits[name] = b""
        apply(verdict.fields, edits, self.request.head.headers)
        super().start()

    def responded(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        super().responded(with_changes(head, self._response) if self._response else head, data, ended)

    def denied(self, verdict: Verdict) -> None:
        self._inquiry = None
        caller = self.caller
        edits: Edits = {}
        for name, value, _ in verdict.fields:
            line = name + b": " + value
            edits[name] = edits[name] + b"\r\n" + line if name in edits else line
        head, body = reply_to(self.request.head, verdict.status, verdict.body, -1, edits)
        edits.pop(b"content-length", None)
        lines = [line for found in edits.values() for line in found.split(b"\r\n")]
        self.sent_at = self.target.clock.now
        self.reasons += (Reason.EXTERNAL_AUTH_DENIED,)
        self._stop()
        caller.answered(head.with_fields(lines, frozenset(edits)), body, True)

    def unheard(self) -> None:
        self._inquiry = None
        self._refuse()

    def _refuse(self) -> None:
        caller = self.caller
        self._stop()
        caller.call_failed(Reason.EXTERNAL_AUTH_FAILED, "")


class Inquiry(Caller):
    """What the service is asked, and its answer as it comes."""

    __slots__ = ("call", "_guarded", "_grpc", "_allowed", "_head", "_pieces", "_size", "_record", "_began")

    def __init__(
        self,
        guarded: GuardedCall,
        auth: ExternalAuth,
        pod: Pod,
        request: Outgoing,
        body: RequestBody | None,
        alarm: Alarm,
        about: RequestRecord,
    ) -> None:
        assert auth.cluster is not None
        clock = pod.shared.clock
        self._began = clock.now
        record = self._record = copy_of(about)
        record.cluster = auth.cluster
        record.started = clock.time()
        self._guarded: GuardedCall | None = guarded
        self._grpc = auth.grpc
        self._allowed = frozenset(auth.response_headers)
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        shown = body.take()[: auth.body] if body is not None and auth.body else b""
        head = request.head
        path = head.path + b"?" + head.query if head.query else head.path
        if auth.grpc:
            protocol = b"HTTP/2" if head.http2 else b"HTTP/1.1"
            headers = chosen(head, frozenset(auth.headers) if auth.headers else None)
            shown = check_request(
                CheckedRequest(
                    head.method, path, head.authority, head.scheme, protocol, headers, shown, about.downstream_remote,
                    about.downstream_local, about.request_id, about.started,
                )
            )  # fmt: skip
            authority, path = auth.authority, METHOD
            asked = asked_by_grpc(authority)
        else:
            authority, path = head.authority, auth.path.rstrip(b"/") + path
            asked = asked_by_http(head, path, chosen(head, ALWAYS.union(auth.headers)), len(shown))
        record.method, record.path, record.authority = asked.method, path, authority
        record.bytes_received = len(shown)
        timeout = min(LONGEST, request.timeout or LONGEST)
        outgoing = Outgoing(
            asked,
            path,
            authority,
            {ATTEMPT_COUNT: b"", EXPECTED_TIMEOUT: b""},
            timeout=timeout,
            retry=NO_RETRY,
            key=None,
            wanted=None,
            dialled=None,
        )
        kept = RequestBody(pod.gate, shown, True) if shown else None
        self.call = Call(self, pod, pod.shared.target(auth.cluster), outgoing, kept, alarm)

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        self._guarded = None
        self.call.cancel()
        self._forget(Reason.DOWNSTREAM_CONNECTION_TERMINATION)

    def _forget(self, *reasons: Reason) -> None:
        """It is over: count it, as a request to the service."""
        call, record = self.call, self._record
        if call.body is not None:
            call.body.forget()
        shared = call.pod.shared
        if self._head is None:
            note_call(record, call)
        record.reasons += reasons
        record.bytes_sent = self._size
        record.duration = shared.clock.now - self._began
        shared.telemetry.count(record)

    # --- its answer

    def answered(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        self._head = head
        note_answer(self._record, self.call, head, self.call.pod.shared.clock.now, None)
        self.answer_data(data, ended, [])

    def answer_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        self._size += len(data)
        if self._size > MOST:
            self._pieces.clear()
            self.call.cancel()
            self._conclude(b"", [])
            return
        self._pieces.append(bytes(data))
        if ended:
            self._conclude(b"".join(self._pieces), trailers)

    def switched(self, head: ResponseHead, transport: Transport, data: bytes) -> None:
        self.call.cancel()
        self._record.status = head.status
        self._fail()

    def call_failed(self, reason: Reason, detail: str) -> None:
        self._fail(reason)

    def _fail(self, *reasons: Reason) -> None:
        self._forget(*reasons)
        guarded, self._guarded = self._guarded, None
        if guarded is not None:
            guarded.unheard()

    def _conclude(self, data: bytes, trailers: list[bytes]) -> None:
        head = self._head
        assert head is not None
        if trailers:
            note_trailers(self._record, trailers, None)
        verdict = self._by_grpc(head, data, trailers) if self._grpc else self._by_http(head, data)
        if verdict is None or not all(map(is_sound, [*verdict.fields, *verdict.response])):
            self._fail()
            return
        self._forget()
        guarded, self._guarded = self._guarded, None
        if guarded is None:
            return
        if verdict.status:
            guarded.denied(verdict)
        else:
            guarded.passed(verdict)

    def _by_grpc(self, head: ResponseHead, data: bytes, trailers: list[bytes]) -> Verdict | None:
        if head.status != 200 or head.grpc_status > 0 or grpc_status_of(trailers) > 0:
            return None
        try:
            verdict = read_check(data)
        except MessageError:
            return None
        if verdict.status:
            return verdict
        fields = [change for change in verdict.fields if is_others(change.name)]
        response = tuple([change for change in verdict.response if is_others(change.name)])
        remove = tuple([name for name in verdict.remove if is_others(name)])
        return verdict._replace(fields=fields, remove=remove, response=response)

    def _by_http(self, head: ResponseHead, data: bytes) -> Verdict | None:
        """200 lets the request pass; 5xx is the service's own trouble, as to Envoy; all else is for the client."""
        fields = [Change(name_of(line), value_of(line)) for line in head.lines]
        if head.status >= 500:
            return None
        if head.status != 200:
            return Verdict(head.status, fields, body=data)
        allowed = self._allowed
        kept = [change for change in fields if is_others(change.name) and (not allowed or change.name in allowed)]
        return Verdict(0, kept)


def chosen(head: RequestHead, allowed: frozenset[bytes] | None) -> dict[bytes, bytes]:
    """The end-to-end fields that the service gets, by their names; None: all."""
    names = head.fields.names if allowed is None else head.fields.names & allowed
    return {name: head.headers[name] for name in names if name in head.headers}


def asked_by_http(head: RequestHead, path: bytes, headers: dict[bytes, bytes], length: int) -> RequestHead:
    """The request's own method and path, with these fields alone."""
    path, _, query = path.partition(b"?")
    return RequestHead(head.method, head.scheme, head.authority, path, query, fields_with(headers, length))


def asked_by_grpc(authority: bytes) -> RequestHead:
    fields = fields_with({b"content-type": b"application/grpc"}, -1)
    fields.trailers = True
    return RequestHead(b"POST", b"http", authority, METHOD, b"", fields)


def fields_with(headers: dict[bytes, bytes], length: int) -> RequestFields:
    fields = RequestFields([name + b": " + value for name, value in headers.items()], frozenset(headers), headers)
    fields.repeated = NO_REPEATED
    fields.length = length
    return fields


def apply(changes: list[Change], edits: Edits, before: dict[bytes, bytes]) -> None:
    """Have these fields in a request; several of one name in the answer stay together."""
    seen: set[bytes] = set()
    for name, value, where in changes:
        present = bool(edits[name]) if name in edits else name in before
        if where is Where.ABSENT and present and name not in seen or where is Where.PRESENT and not present:
            continue
        line = name + b": " + value
        if where is Where.BESIDE and name not in edits and present:
            edits[name] = name + b": " + before[name]
        had = edits.get(name, b"") if where is Where.BESIDE or name in seen else b""
        edits[name] = had + b"\r\n" + line if had else line
        seen.add(name)


def with_changes(head: ResponseHead, changes: tuple[Change, ...]) -> ResponseHead:
    """A response with these fields as well."""
    lines, names = list(head.lines), set(head.names)
    for name, value, where in changes:
        present = name in names
        if where is Where.ABSENT and present or where is Where.PRESENT and not present:
            continue
        if where is not Where.BESIDE and present:
            lines = [line for line in lines if name_of(line) != name]
        lines.append(name + b": " + value)
        names.add(name)
    return head.with_fields(lines, frozenset(names))


def is_others(name: bytes) -> bool:
    """Whether the service may put that field into a request, or a response."""
    return bool(name) and name[:1] != b":" and name not in ITS_OWN and not name.startswith(ABOUT_CONTENT)


def is_sound(change: Change) -> bool:
    """Whether a field may stand in a head: what comes by gRPC was never read as one."""
    return TOKEN.fullmatch(change.name) is not None and 0 not in change.value.translate(VALUE_BYTES)
