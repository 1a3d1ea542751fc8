"""One request's life, from its head to its record, whichever codec carries it.

A decision says what is to become of the request; the exchange does it: fault, call upstream, mirrors, answer."""

from __future__ import annotations

from ...reasons import Reason
from ...routing.decision import Decision, DirectResponse, Failure, Redirect, Route
from ...routing.rewrite import redirect_location
from ..clock import Alarm, Timer
from ..transport import Buffer, Transport
from . import cors, fault
from .call import Call
from .caller import Caller
from .compose import compose
from .errors import ProtocolError
from .exchange_states import ANSWERING, CALLING, DELAYED, DONE, NEXT, RECEIVED
from .external_auth import call_for
from .head import NO_FIELDS, Edits, RequestHead, ResponseHead
from .headers import change
from .local_reply import DATE, SERVER, failure, reply_to
from .mirror import Mirrors
from .placement import Placement, place
from .records import begin_record, note_answer, note_call, note_trailers
from .request_body import RequestBody
from .responder import Responder
from .retry import NO_RETRY
from .service_time import LINES, SERVICE_TIME, write_line
from .session import Session
from .tracing import begin_trace
from .tunnel import Upgrade
from .variables import NO_FACTS, RequestFacts


class Exchange(Caller):
    """Made for each request, which it answers through its `responder`. `start` comes first, then the request's body by
    `request_data` and `request_ended`; `abandoned` if the client goes. `alarm` is for the call's timeout."""

    __slots__ = (
        "shared", "pod", "session", "head", "record", "state", "_responder", "_alarm", "_call", "_body", "_decision",
        "_placement", "_mirrors", "_began", "_received", "_admitted", "_timer",
    )  # fmt: skip

    def __init__(self, session: Session, head: RequestHead, responder: Responder, alarm: Alarm) -> None:
        self.session = session
        self.pod = session.pod
        self.shared = session.pod.shared
        self.head = head
        self._responder = responder
        self._alarm = alarm
        self.state = RECEIVED
        self._call: Call | None = None
        self._body: RequestBody | None = None
        self._decision: Decision | None = None
        self._placement: Placement | None = None
        self._mirrors: Mirrors | None = None
        self._began = self.shared.clock.now
        self._received = 0.0  # when the request was complete
        self._timer: Timer | None = None  # of a fault's delay
        self._admitted = False  # counts in the pod's budget
        self.record = begin_record(session, head)

    def __repr__(self) -> str:
        return f"<Exchange {self.head.method!r} {self.head.path!r} state={self.state} {self._call!r}>"

    # --- what the codec calls

    def start(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        """Decide about the request and set out; `data` is the part of its body that came with the head, `trailers` what
        stood behind it."""
        pod, head, record = self.pod, self.head, self.record
        if ended:
            self._received = self._began
            record.received_at = 0.0
        if not ended or data or trailers:
            self._body = RequestBody(self.session.gate, data, ended, trailers)
            record.bytes_received = len(data)
        if pod.tracing is not None:
            shared = self.shared
            record.trace = begin_trace(pod.tracing, head.headers, shared.rng, shared.request_ids)
        self._admitted = pod.budget.try_request(head.weight)
        if not self._admitted:
            self._fail(Reason.LIMIT_PER_POD, "")
            return
        decision = self._decide()
        if isinstance(decision, Route):
            # What becomes of the request counts at its destination, even if that is never called.
            placement = self._placement = place(decision, head, record, self.shared.rng, self.shared.clock)
            record.cluster = placement.destination.cluster
            if decision.fault is not None and self._delay(decision):
                return
            self._filter(decision)
        elif decision.cors is None or not self._answers_preflight(decision):
            self._answer(decision)

    def _decide(self) -> Decision:
        record = self.record
        decision = self._decision = self.session.decide(self.head)
        record.route_name = decision.name
        record.rule = decision.rule
        return decision

    def _answer(self, decision: Decision) -> None:
        """Without an upstream."""
        if isinstance(decision, Redirect):
            self._note(decision.reason)
            location = redirect_location(decision, self.head, listener_port=self.session.dialled_port)
            self._reply(decision.status, b"", {b"location": b"location: " + location}, -1)
        elif isinstance(decision, DirectResponse):
            self._note(decision.reason)
            self._reply(decision.status, decision.body, {}, -1)
        elif isinstance(decision, Failure):
            self._fail(decision.reason, "", decision.status)

    def request_data(self, data: Buffer) -> None:
        """More of the request's body."""
        self.record.bytes_received += len(data)
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
        self._received = self.shared.clock.now
        body.complete = True
        body.trailers = trailers
        self.record.received_at = self.shared.clock.now - self._began
        if self._call is not None:
            self._call.finish()
        if self._mirrors is not None:
            self._mirrors.finish(trailers)

    def malformed(self, error: ProtocolError) -> None:
        """The request's body cannot be read: answer that by the request's rule, or break off the answer under way.
        Comes in place of `start` where that part of the body came with the head."""
        if self.state == DONE:
            return
        self.record.termination = str(error)
        if self.state == RECEIVED:
            self._decide()
        if self._call is not None:
            note_call(self.record, self._call)
            self._call.cancel()
        self._fail(Reason.DOWNSTREAM_PROTOCOL_ERROR, "", error.status)

    def downstream_drained(self) -> None:
        """The client takes more of the response."""
        if self._call is not None:
            self._call.resume()

    def progress(self) -> None:
        """Count what has come, where that is counted before the end."""

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
            note_call(self.record, self._call)
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
        seconds = fault.delay_of(route.fault, self.shared.rng)
        if seconds <= 0.0:
            return False
        self._note(Reason.FAULT_DELAY)
        self._enter(DELAYED)
        self._timer = self.shared.clock.after(seconds, self._delayed)
        return True

    def _delayed(self) -> None:
        self._timer = None
        assert isinstance(self._decision, Route)
        self._filter(self._decision)

    def _filter(self, route: Route) -> None:
        """Abort, or answer a preflight; else forward. Fault, then cors: Istio's order of filters."""
        if route.fault is not None and fault.is_aborted(route.fault, self.shared.rng):
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

    def _forward(self, route: Route) -> None:
        """Call the destination."""
        placement, record = self._placement, self.record
        assert placement is not None
        destination = placement.destination
        if destination.instead is not None:
            self._decision = destination.instead
            self._answer(destination.instead)
            return
        cluster = destination.cluster
        if cluster is None:
            self._fail(Reason.CLUSTER_NOT_FOUND, "")
            return
        if placement.path != record.path:
            record.original_path = record.path
        first, second = destination.request_headers, route.request_headers
        formatted = (first is not None and first.formatted) or (second is not None and second.formatted)
        facts = self._facts(None) if formatted else NO_FACTS
        request = compose(route, placement, self.head, record, facts, self.session.dialled)
        call = self._call = call_for(route.auth, self, self.pod, cluster, request, self._body, self._alarm, record)
        self._enter(CALLING)
        if route.mirrors or destination.mirrors:
            mirrors = route.mirrors + destination.mirrors
            self._mirrors = Mirrors(request, self.pod, mirrors, self._body, record)
        call.start()

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
        now = self.shared.clock.now
        note_answer(record, call, head, now, self.shared.telemetry.wanted)
        record.bytes_sent = len(data)
        record.answered_at = now - self._began
        milliseconds = int(record.upstream_time * 1000.0)
        edits = {SERVICE_TIME: LINES[milliseconds] if milliseconds < len(LINES) else write_line(milliseconds)}
        self._dress(head, edits)
        self._responder.respond(head, edits, data, ended)
        if ended:
            self._finish()

    def answer_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        self.record.bytes_sent += len(data)
        if ended:
            if trailers:
                note_trailers(self.record, trailers, self.shared.telemetry.wanted)
            self._responder.finish(data, trailers)
            self._finish()
        elif not self._responder.send(data):
            assert self._call is not None
            self._call.pause()

    def switched(self, head: ResponseHead, transport: Transport, data: bytes) -> None:
        self._enter(ANSWERING)
        assert self._call is not None
        note_call(self.record, self._call)
        self.record.status = head.status
        edits: Edits = {}
        self._dress(head, edits)
        self._enter(DONE)
        self.pod.budget.release_request(self.head.weight - 1)  # the tunnel is one, and keeps no head
        if self._body is not None:
            self._body.forget()
        self._responder.switch(head, edits, transport, data, self.record, Upgrade(self.pod, self._call, self._began))

    def call_failed(self, reason: Reason, detail: str) -> None:
        assert self._call is not None
        note_call(self.record, self._call)
        self._fail(reason, detail)

    # --- the answer

    def _fail(self, reason: Reason, detail: str, status: int = 0, grpc_status: int = -1) -> None:
        """Answer in the upstream's stead, or break off an answer that has begun and cannot be completed."""
        self._note(reason)
        if self.state == ANSWERING:
            self._responder.reset()
            self._finish()
            return
        self.record.transport_failure = detail
        retried = self._call is not None and self._call.attempts > 1
        edits: Edits = {}
        usual, body = failure(reason, self.head, retried, detail, edits)
        self._reply(status or usual, body, edits, grpc_status)

    def _reply(self, status: int, body: bytes, edits: Edits, grpc_status: int) -> None:
        """Answer without an upstream."""
        request = self.head
        decision = self._decision
        self._enter(ANSWERING)
        if isinstance(decision, (Redirect, DirectResponse)) and decision.response_headers is not None:
            ops = decision.response_headers
            change(ops, NO_FIELDS, edits, self._facts(None) if ops.formatted else NO_FACTS)
        if decision is not None and decision.cors is not None:
            cors.edit_response(decision.cors, request.headers.get(b"origin", b""), edits)
        head, body = reply_to(request, status, body, grpc_status, edits)
        self.record.status = head.status
        self.record.grpc_status = head.grpc_status
        self.record.bytes_sent = len(body)
        if not edits.get(DATE):
            edits[DATE] = self.shared.date_line()
        edits[SERVER] = self.pod.server
        self._responder.respond(head, edits, body, True)
        self._finish()

    def _dress(self, head: ResponseHead, edits: Edits) -> None:
        """Change an upstream's response as the rules say, and put our own fields in."""
        decision = self._decision
        placement, call = self._placement, self._call
        assert decision is not None and placement is not None and call is not None
        for ops in (placement.destination.response_headers, decision.response_headers):
            if ops is not None:
                change(ops, head, edits, self._facts(head) if ops.formatted else NO_FACTS)
        if decision.cors is not None:
            cors.edit_response(decision.cors, self.head.headers.get(b"origin", b""), edits)
        if placement.announces:
            placement.announce(head, edits, call.host)
        if not edits.get(DATE) and (DATE in edits or DATE not in head.names):  # it may be changed, and not be missing
            edits[DATE] = self.shared.date_line()
        edits[SERVER] = self.pod.server

    def _facts(self, response: ResponseHead | None) -> RequestFacts:
        """The values of variables in header values; `response` is the upstream's, once it has answered."""
        facts = self.session.facts(self.head, self.record)
        facts.response = response
        facts.call = self._call
        facts.began = self._began
        facts.received = self._received
        return facts

    # --- the end

    def _note(self, reason: Reason) -> None:
        if reason:
            self.record.reasons += (reason,)

    def _finish(self) -> None:
        """The exchange is over: write its record."""
        self._enter(DONE)
        if self._timer is not None:
            self.shared.clock.cancel(self._timer)
            self._timer = None
        if self._admitted:
            self.pod.budget.release_request(self.head.weight)
        body = self._body
        if body is not None:
            if body.size:
                body.forget()
            if self._mirrors is not None and not body.complete:
                self._mirrors.cancel()
        record = self.record
        record.duration = self.shared.clock.now - self._began
        self.shared.telemetry.record(record)
        self._responder.done()

    def _enter(self, state: int) -> None:
        assert state & NEXT[self.state], f"{self!r} cannot become {state}"
        self.state = state
