"""One request's life, from its head to its record, whichever codec carries it.

A decision says what is to become of the request; the exchange does it: fault, call upstream, mirrors, answer."""

from __future__ import annotations

from typing import Final

from ...balance.weights import choose
from ...reasons import Reason
from ...routing.decision import Cluster, Decision, Destination, DirectResponse, Failure, Redirect, Route
from ...routing.rewrite import redirect_location, rewritten
from ..clock import Alarm, Timer
from ..grpc.status import NO_STATUS
from ..transport import Buffer, Transport
from . import cors, fault
from .call import NO_RETRY, Call
from .call_messages import CallMessages
from .caller import Caller
from .controls import apply_controls, apply_grpc_timeout
from .hash_key import HashKey
from .head import NO_FIELDS, Edits, RequestHead, ResponseHead, is_grpc
from .headers import add, change
from .local_reply import REPLIES, body_of, grpc_reply, http_reply
from .mirror import Mirrors
from .records import begin_record, fields_of
from .request_body import RequestBody
from .responder import Responder
from .session import Session
from .sticky import Sticky
from .tracing import begin_trace, write_context
from .trailers import grpc_status_of
from .tunnel import Tunnel
from .variables import NO_FACTS, Facts

# The states of an exchange, each a bit of a set of them.
RECEIVED: Final = 1  # not decided yet
DELAYED: Final = 2  # by a fault
CALLING: Final = 4  # an upstream
ANSWERING: Final = 8  # the response is on its way to the client
DONE: Final = 16

#: What may follow each state; all changes go through `Exchange._enter`.
NEXT: Final[dict[int, int]] = {
    RECEIVED: DELAYED | CALLING | ANSWERING | DONE,
    DELAYED: CALLING | ANSWERING | DONE,
    CALLING: ANSWERING | DONE,
    ANSWERING: DONE,
    DONE: 0,
}

#: A client that has the second gets 204 in place of a 504 (Envoy's x-envoy-upstream-rq-timeout-alt-response).
TIMEOUTS: Final = (Reason.RESPONSE_TIMEOUT, Reason.PER_TRY_TIMEOUT)
ALTERNATIVE: Final = b"x-envoy-upstream-rq-timeout-alt-response"

# Fields that the proxy writes.
ORIGINAL_PATH: Final = b"x-envoy-original-path"
REQUEST_ID: Final = b"x-request-id"
FORWARDED_PROTO: Final = b"x-forwarded-proto"
UPSTREAM_SERVICE_TIME: Final = b"x-envoy-upstream-service-time"
DATE: Final = b"date"
SERVER: Final = b"server"

SERVICE_TIME: Final = [b"x-envoy-upstream-service-time: %d" % milliseconds for milliseconds in range(1024)]


class Exchange(Caller):
    """Made for each request, which it answers through its `responder`. `start` comes first, then the request's body by
    `request_data` and `request_ended`; `abandoned` if the client goes. `alarm` is for the call's timeout."""

    __slots__ = (
        "proxy", "pod", "session", "head", "record", "state", "_responder", "_alarm", "_call", "_body", "_decision",
        "_destination", "_hash", "_sticky", "_mirrors", "_began", "_received", "_admitted", "_timer", "_messages",
    )  # fmt: skip

    def __init__(self, session: Session, head: RequestHead, responder: Responder, alarm: Alarm) -> None:
        self.session = session
        self.pod = session.pod
        self.proxy = session.pod.proxy
        self.head = head
        self._responder = responder
        self._alarm = alarm
        self.state = RECEIVED
        self._call: Call | None = None
        self._body: RequestBody | None = None
        self._decision: Decision | None = None
        self._destination: Destination | None = None
        self._hash: HashKey | None = None
        self._sticky: Sticky | None = None
        self._mirrors: Mirrors | None = None
        self._began = self.proxy.clock.now
        self._received = 0.0  # when the request was complete
        self._timer: Timer | None = None  # of a fault's delay
        self._admitted = False  # counts in the pod's budget
        self.record = begin_record(session, head)
        self._messages: CallMessages | None = None
        if is_grpc(head):
            self._messages = CallMessages(self.record, self.proxy.telemetry)

    def __repr__(self) -> str:
        request = self.head
        return f"<Exchange {request.method!r} {request.path!r} state={self.state} {self._call!r}>"

    # --- what the codec calls

    def start(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        """Decide about the request and set out; `data` is the part of its body that came with the head, `trailers` what
        stood behind it."""
        if ended:
            self._received = self._began
        if not ended or data or trailers:
            body = self._body = RequestBody(self.session.gate)
            body.complete = ended
            body.trailers = trailers
            if data:
                body.hold(data)
                self.record.bytes_received = len(data)
                if self._messages is not None:
                    self._messages.request.read(data)
        if ended:
            self.record.received_at = 0.0
        if self.pod.tracing is not None:
            self.record.trace = begin_trace(self.pod.tracing, self.head.headers, self.proxy.rng)
        self._admitted = self.pod.budget.try_request(self.head.weight)
        if not self._admitted:
            self._fail(Reason.LIMIT_PER_POD, "")
            return
        decision = self.session.decide(self.head)
        self._decision = decision
        self.record.route_name = decision.name
        self.record.rule = decision.rule
        if isinstance(decision, Route):
            self._choose(decision)
            if decision.fault is not None and self._delay(decision):
                return
            self._filter(decision)
        elif decision.cors is None or not self._answers_preflight(decision):
            self._answer(decision)

    def _answer(self, decision: Decision) -> None:
        """Without an upstream."""
        if isinstance(decision, Redirect):
            self._redirect(decision)
        elif isinstance(decision, DirectResponse):
            self._note(decision.reason)
            self._reply(decision.status, decision.body, {}, -1)
        elif isinstance(decision, Failure):
            self._fail(decision.reason, "", decision.status)

    def request_data(self, data: Buffer) -> None:
        """More of the request's body."""
        self.record.bytes_received += len(data)
        if self._messages is not None:
            self._messages.request.read(data)
        body = self._body
        if body is None or self.state == DONE:
            return
        call = self._call
        if call is None:
            body.hold(data)
            if body.full:
                self._responder.pause()
            return
        if not call.send(data):
            self._responder.pause()
        if self._mirrors is not None and self.state != DONE:
            self._mirrors.send(data)

    def request_ended(self, trailers: list[bytes]) -> None:
        """The request's body is complete."""
        body = self._body
        if body is None or self.state == DONE:
            return
        self._received = self.proxy.clock.now
        body.complete = True
        body.trailers = trailers
        self.record.received_at = self.proxy.clock.now - self._began
        if self._call is not None:
            self._call.finish()
        if self._mirrors is not None:
            self._mirrors.finish(trailers)

    @property
    def delayed(self) -> bool:
        """Whether a fault holds the request back."""
        return self.state == DELAYED

    def downstream_drained(self) -> None:
        """The client takes more of the response."""
        if self._call is not None:
            self._call.resume()

    def progress(self) -> None:
        """Count what has come of a call that goes on; before it is answered nobody knows who does."""
        if self._messages is not None and self.state == ANSWERING:
            self._messages.report()

    def pause(self) -> None:
        """The client takes no more of the response for now."""
        if self._call is not None:
            self._call.pause()

    def abandoned(self, reason: Reason) -> None:
        """The client is gone, or was sent away."""
        if self.state == DONE:
            return
        self._note(reason)
        if self._call is not None:
            self._take_call_notes(self._call)
            self._call.cancel()
        self._finish()

    def half_closed(self) -> bool:
        """The client has sent its FIN. One that only closed its half gets the answer that is under way, but nothing new
        is begun for it: False where nobody is at work on the answer, so that the client counts as gone."""
        call = self._call
        if self.state == DELAYED or (call is not None and self.state == CALLING and not call.asked):
            return False
        if call is not None:
            call.policy = NO_RETRY
        return True

    # --- before the upstream

    def _delay(self, route: Route) -> bool:
        """Start the fault's delay, if this request is one of those."""
        assert route.fault is not None
        seconds = fault.delay_of(route.fault, self.proxy.rng)
        if seconds <= 0.0:
            return False
        self._note(Reason.FAULT_DELAY)
        self._enter(DELAYED)
        self._timer = self.proxy.clock.after(seconds, self._delayed)
        return True

    def _delayed(self) -> None:
        self._timer = None
        assert isinstance(self._decision, Route)
        self._filter(self._decision)

    def _filter(self, route: Route) -> None:
        """Abort, or answer a preflight; else forward. Fault, then cors: Istio's order of filters."""
        if route.fault is not None and fault.is_aborted(route.fault, self.proxy.rng):
            self._fail(Reason.FAULT_ABORT, "", route.fault.abort_status or 200, route.fault.abort_grpc)
            return
        if route.cors is not None and self._answers_preflight(route):
            return
        upgrade = self.head.fields.upgrade
        if upgrade and upgrade.lower() != b"websocket":
            self._fail(Reason.UPGRADE_REFUSED, "")
            return
        self._forward(route)

    def _answers_preflight(self, decision: Decision) -> bool:
        """Answer the preflight of a rule with CORS, unless that is the upstream's to do."""
        if decision.cors is None or not cors.is_preflight(self.head):
            return False
        edits = cors.preflight_edits(decision.cors, self.head)
        if edits is None:
            return False
        self._reply(200, b"", edits, -1)
        return True

    def _choose(self, route: Route) -> None:
        """Choose a destination by weight: what becomes of the request counts there, even if it is never called."""
        destinations = route.destinations
        destination = destinations[0]
        kept: Destination | None = None
        if route.session is not None:
            self._sticky = Sticky(route.session, self.head.headers, self.proxy.clock.time())
            kept = self._sticky.destination(destinations)
        if kept is not None:
            destination = kept
        elif len(destinations) > 1:
            destination = choose(destinations, route.total_weight, self.proxy.rng)
        self._destination = destination
        self.record.cluster = destination.cluster

    def _forward(self, route: Route) -> None:
        """Call the destination."""
        destination = self._destination
        assert destination is not None
        if destination.instead is not None:
            self._decision = destination.instead
            self._answer(destination.instead)
            return
        cluster = destination.cluster
        if cluster is None:
            self._fail(Reason.CLUSTER_NOT_FOUND, "")
            return
        call = self._compose(route, destination, cluster)
        self._call = call
        self._enter(CALLING)
        if route.mirrors or destination.mirrors:
            self._mirrors = Mirrors(call, route.mirrors + destination.mirrors, self.record)
            self._mirrors.start()
        call.start()

    def _compose(self, route: Route, destination: Destination, cluster: Cluster) -> Call:
        """The request as the upstream gets it."""
        head = self.head
        edits = head.edits
        headers = head.headers
        record = self.record
        path = record.path
        authority = head.authority
        rewrite = destination.rewrite or route.rewrite
        if rewrite is not None:
            changed = rewritten(rewrite, head.path)
            if changed != head.path:
                record.original_path = path
                path = changed + b"?" + head.query if head.query else changed
                edits[ORIGINAL_PATH] = b"x-envoy-original-path: " + record.original_path
            authority = rewrite.authority or authority
        if destination.authority and (rewrite is None or not rewrite.authority):
            authority = destination.authority
        if not headers.get(REQUEST_ID):
            edits[REQUEST_ID] = b"x-request-id: " + record.request_id
        if FORWARDED_PROTO not in headers:
            edits[FORWARDED_PROTO] = b"x-forwarded-proto: " + head.scheme
        ops = destination.request_headers
        if ops is not None:
            change(ops, head.fields, edits, self._facts(None) if ops.formatted else NO_FACTS)
        ops = route.request_headers
        if ops is not None:
            change(ops, head.fields, edits, self._facts(None) if ops.formatted else NO_FACTS)
        if record.trace is not None:
            write_context(record.trace, headers, edits)
        target, alarm = self.proxy.target(cluster), self._alarm
        call = Call(self, self.pod, target, head, path, authority, edits, self._body, alarm)
        call.timeout = route.timeout
        if route.retry is not None:
            call.policy = route.retry
        if head.controlled:
            apply_controls(call, headers)
        if b"grpc-timeout" in headers and is_grpc(head):
            apply_grpc_timeout(call, headers[b"grpc-timeout"])
        call.dialled = self.session.dialled
        if self._sticky is not None:
            call.wanted = self._sticky.wanted
        policy = cluster.load_balancer.hash
        if policy is not None:
            self._hash = HashKey(policy, head, record)
            call.key = self._hash.value
        return call

    def _redirect(self, redirect: Redirect) -> None:
        self._note(redirect.reason)
        location = redirect_location(
            redirect,
            self.head,
            listener_port=self.session.dialled_port,
        )
        self._reply(redirect.status, b"", {b"location": b"location: " + location}, -1)

    # --- what the call tells

    def informed(self, head: ResponseHead) -> None:
        self._responder.inform(head)

    def call_drained(self) -> None:
        self._responder.resume()

    def answered(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        call = self._call
        assert call is not None
        record = self.record
        self._enter(ANSWERING)
        self._take_call_notes(call)
        record.status = head.status
        record.grpc_status = head.grpc_status
        record.bytes_sent = len(data)
        if self._messages is not None:
            self._messages.response.read(data)
        record.upstream_time = self.proxy.clock.now - call.sent_at
        record.answered_at = self.proxy.clock.now - self._began
        wanted = self.proxy.telemetry.wanted
        if wanted is not None and wanted.response:
            record.response_fields = fields_of(head.lines, wanted.response)
        milliseconds = int(record.upstream_time * 1000.0)
        edits = {
            UPSTREAM_SERVICE_TIME: SERVICE_TIME[milliseconds]
            if milliseconds < 1024
            else b"x-envoy-upstream-service-time: %d" % milliseconds
        }
        self._dress(head, edits)
        self._responder.respond(head, edits, data, ended)
        if ended:
            self._finish()

    def answer_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        self.record.bytes_sent += len(data)
        if self._messages is not None:
            self._messages.response.read(data)
        if ended:
            if trailers:
                status = grpc_status_of(trailers)
                if status != NO_STATUS:
                    self.record.grpc_status = status
            wanted = self.proxy.telemetry.wanted
            if wanted is not None and wanted.trailers and trailers:
                self.record.trailer_fields = fields_of(trailers, wanted.trailers)
            self._responder.finish(data, trailers)
            self._finish()
        elif not self._responder.send(data):
            assert self._call is not None
            self._call.pause()

    def switched(self, head: ResponseHead, transport: Transport, data: bytes) -> None:
        self._enter(ANSWERING)
        assert self._call is not None
        self._take_call_notes(self._call)
        self.record.status = head.status
        edits: Edits = {}
        self._dress(head, edits)
        self._enter(DONE)
        self.pod.budget.release_request(self.head.weight - 1)  # the tunnel is one, and keeps no head
        if self._body is not None:
            self._body.forget()
        self._responder.switch(head, edits, transport, data, self.record, Tunnel(self.pod, self._call, self._began))

    def call_failed(self, reason: Reason, detail: str) -> None:
        assert self._call is not None
        self._take_call_notes(self._call)
        if self.state == ANSWERING:
            self._note(reason)
            self._responder.reset()
            self._finish()
        else:
            self._fail(reason, detail)

    # --- the answer

    def _fail(self, reason: Reason, detail: str, status: int = 0, grpc_status: int = -1) -> None:
        """Answer in the upstream's stead."""
        reply = REPLIES[reason]
        self._note(reason)
        self.record.transport_failure = detail
        edits = {b"x-envoy-overloaded": b"x-envoy-overloaded: true"} if reply.overloaded else {}
        retried = self._call is not None and self._call.attempts > 1
        body = body_of(reason, retried, detail)
        if reason in TIMEOUTS and self.head.controlled and ALTERNATIVE in self.head.headers:
            status, body = 204, b""
        self._reply(status or reply.status, body, edits, grpc_status)

    def _reply(self, status: int, body: bytes, edits: Edits, grpc_status: int) -> None:
        """Answer without an upstream."""
        if self._timer is not None:
            self.proxy.clock.cancel(self._timer)
            self._timer = None
        request = self.head
        decision = self._decision
        self._enter(ANSWERING)
        if isinstance(decision, (Redirect, DirectResponse)) and decision.response_headers is not None:
            ops = decision.response_headers
            change(ops, NO_FIELDS, edits, self._facts(None) if ops.formatted else NO_FACTS)
        if decision is not None and decision.cors is not None:
            cors.edit_response(decision.cors, request.headers.get(b"origin", b""), edits)
        if is_grpc(request):
            head = grpc_reply(status, body, grpc_status, edits)
            body = b""
        else:
            head = http_reply(status, body, edits)
            if request.method == b"HEAD":
                edits[b"content-length"] = b"content-length: %d" % len(body)
                body = b""
        self.record.status = head.status
        self.record.grpc_status = head.grpc_status
        self.record.bytes_sent = len(body)
        if not edits.get(DATE):
            edits[DATE] = self.proxy.date_line()
        edits[SERVER] = self.pod.server
        self._responder.respond(head, edits, body, True)
        self._finish()

    def _dress(self, head: ResponseHead, edits: Edits) -> None:
        """Change an upstream's response as the rules say, and put our own fields in."""
        decision = self._decision
        destination = self._destination
        assert decision is not None and destination is not None
        headers = self.head.headers
        ops = destination.response_headers
        if ops is not None:
            change(ops, head, edits, self._facts(head) if ops.formatted else NO_FACTS)
        ops = decision.response_headers
        if ops is not None:
            change(ops, head, edits, self._facts(head) if ops.formatted else NO_FACTS)
        if decision.cors is not None:
            cors.edit_response(decision.cors, headers.get(b"origin", b""), edits)
        if self._hash is not None and self._hash.cookie:
            add(head, edits, b"set-cookie", b"set-cookie: " + self._hash.cookie)
        if self._sticky is not None and self._call is not None and self._call.host is not None:
            told = self._sticky.told(self._call.host)
            if told is not None:
                add(head, edits, *told)
        if not edits.get(DATE) and (DATE in edits or DATE not in head.names):  # it may be changed, and not be missing
            edits[DATE] = self.proxy.date_line()
        edits[SERVER] = self.pod.server

    def _facts(self, response: ResponseHead | None) -> Facts:
        """What the variables in header values stand for; `response` is the upstream's, once it has answered."""
        session, clock = self.session, self.proxy.clock
        facts = Facts(self.record, self.head, session.remote)
        facts.response = response
        facts.security = session.security.connection if session.security is not None else None
        facts.call = self._call
        facts.began = self._began
        facts.received = self._received
        facts.now = clock.now
        facts.wall = clock.time()
        facts.ids = self.proxy.request_ids
        return facts

    # --- the end

    def _note(self, reason: Reason) -> None:
        if reason:
            self.record.reasons += (reason,)

    def _take_call_notes(self, call: Call) -> None:
        record = self.record
        record.attempts = call.attempts
        if call.host is not None:
            record.upstream_host = call.host_name
            record.upstream_local = call.local_name
            record.upstream_protocol = call.protocol
        if call.reasons:
            record.reasons += call.reasons

    def _finish(self) -> None:
        """The exchange is over: write its record."""
        self._enter(DONE)
        if self._timer is not None:
            self.proxy.clock.cancel(self._timer)
            self._timer = None
        if self._admitted:
            self.pod.budget.release_request(self.head.weight)
        if self._body is not None:
            self._body.forget()
            if self._mirrors is not None and not self._body.complete:
                self._mirrors.cancel()
        record = self.record
        record.duration = self.proxy.clock.now - self._began
        if self._messages is not None:
            self._messages.report()
        self.proxy.telemetry.record(record)
        self._responder.done()

    def _enter(self, state: int) -> None:
        assert state & NEXT[self.state], f"{self!r} cannot become {state}"
        self.state = state
