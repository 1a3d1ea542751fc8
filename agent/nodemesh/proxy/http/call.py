"""A request on its way to one cluster, over all its tries: picks endpoints, retries, and keeps the time limits."""

from __future__ import annotations

from ...balance.host import Host
from ...reasons import Reason
from ...telemetry.record import Try
from ..clock import Alarm, Timer
from ..grpc.status import NO_STATUS, http_status_of
from ..pod import Pod
from ..transport import Buffer, Secured, Transport
from .call_states import ANSWERED, BACKING_OFF, ENDED, NEW, NEXT, QUEUED, SENT, SWITCHED
from .caller import NOBODY, Caller
from .head import ResponseHead, is_grpc
from .outgoing import Outgoing
from .request_body import KEPT, RequestBody
from .retry import IDEMPOTENT, NO_RETRY, OUTCOMES, backoff, wants_failure, wants_response
from .stream import Requester, Stream
from .target import HttpTarget
from .time_limits import TimeLimits
from .trailers import grpc_status_of
from .try_lines import ATTEMPT_COUNT, ATTEMPT_LINES, EXPECTED_LINES, EXPECTED_TIMEOUT, attempt_line, expected_line


class Call(Requester):
    """One request to one target. `start` it, feed it the request's body by `send` and `finish`; `cancel` ends it."""

    __slots__ = (
        "caller", "pod", "target", "request", "body", "policy", "security", "state", "attempts", "reasons", "upstream",
        "host", "host_name", "local_name", "protocol", "sent_at", "_retries", "_tried", "_limits", "_fresh",
        "_spared", "_unsettled", "_retrying", "_backoff_timer", "_light", "tries",
    )  # fmt: skip

    def __init__(
        self, caller: Caller, pod: Pod, target: HttpTarget, request: Outgoing, body: RequestBody | None, alarm: Alarm
    ) -> None:
        self.caller = caller
        self.pod = pod
        self.target = target
        self.request = request
        self.body = body
        self.policy = request.retry
        self.state = NEW
        self.attempts = 0
        self.reasons: tuple[Reason, ...] = ()
        self.upstream: Stream | None = None
        self.host: Host | None = None
        self.host_name = ""  # "address:port" of the last try
        self.protocol = b""  # and its version of HTTP
        self.local_name = ""  # our end of the connection that answered
        self.security: Secured | None = None  # of the connection that answered
        self.sent_at = 0.0
        self.tries: tuple[Try, ...] = ()  # that were tried again
        self._retries = 0
        self._tried: list[Host] = []
        self._limits: TimeLimits | None = None
        if request.timeout or request.retry.per_try_timeout:
            self._limits = TimeLimits(request.timeout, target.clock, alarm)
        self._fresh = False  # a stale connection failed us: take a new one
        self._spared = False  # the present try stands for one that no endpoint has seen
        self._unsettled = False  # a gRPC call whose status is still to come
        self._retrying = False  # holds a place under the limit of retries
        self._backoff_timer: Timer | None = None
        #: Whether sending again will do no harm and be possible, whatever happens.
        self._light = body is None and request.head.method in IDEMPOTENT

    def __repr__(self) -> str:
        return f"<Call {self.target.cluster.name} state={self.state} attempts={self.attempts} host={self.host!r}>"

    def attempted(self) -> list[str]:
        """The endpoints that were tried, `address:port`, as far as they were not tried again."""
        before = [f"{host.endpoint.address}:{host.endpoint.port}" for host in self._tried]
        return [*before, self.host_name]

    @property
    def asked(self) -> bool:
        """Whether an upstream has the request."""
        return self.upstream is not None

    # --- what the caller calls

    def start(self) -> None:
        """Set out; the caller may hear of failure before this returns."""
        if not self.target.limits.requests.try_acquire():
            caller, self.caller = self.caller, NOBODY
            self._enter(ENDED)
            caller.call_failed(Reason.UPSTREAM_OVERFLOW, "")
            return
        self._try()

    def send(self, data: Buffer) -> bool:
        """More of the request's body; False where no more should come until `Caller.call_drained`."""
        body = self.body
        assert body is not None
        if self.upstream is None:
            if self.state == BACKING_OFF and body.size + len(data) > KEPT:
                self._give_up(Reason.RETRY_BUFFER_LIMIT, "")
                return True
            if self.state != ENDED:
                body.hold(data)
            return not body.full
        body.passed(data)
        self.upstream.send(data)
        return not self.upstream.pending

    def finish(self) -> None:
        """The request's body is complete."""
        if self.upstream is not None:
            assert self.body is not None
            self.upstream.finish(self.body.trailers)
        if self.state != ENDED and self._limits is not None:
            self._limits.begin(self._timed_out)  # whether there is an upstream yet or not

    def resume(self) -> None:
        """The caller takes more of the response."""
        if self.upstream is not None:
            self.upstream.resume()

    def pause(self) -> None:
        """The caller takes no more of the response for now."""
        if self.upstream is not None:
            self.upstream.pause()

    def cancel(self) -> None:
        """Nobody wants the response any more."""
        if self.state != ENDED:
            self._leave_upstream()
            self._end()

    # --- tries

    def _try(self) -> None:
        request, target = self.request, self.target
        host = target.group.find(*request.wanted) if request.wanted is not None and not self._tried else None
        host = host or target.pick(request.key, self._tried, self.policy.remote_localities, request.dialled)
        if host is None:
            self._give_up(Reason.NO_HEALTHY_UPSTREAM, "")
            return
        self.host = host
        self._connect(host)

    def _connect(self, host: Host) -> None:
        """Take a connection and send, or wait for one."""
        upstream = self._obtain(host)
        if upstream is not None:
            self._send(host, upstream)
        elif self.target.wait(self, host):
            self._enter(QUEUED)
            if self._limits is not None and (self.body is None or self.body.complete):
                self._limits.begin(self._timed_out)
        else:
            self._give_up(Reason.UPSTREAM_OVERFLOW, "")

    def _obtain(self, host: Host) -> Stream | None:
        """A connection that will do; None where there is none to be had."""
        target, request = self.target, self.request
        name = target.server_name(request.authority) if target.cluster.tls is not None else ""
        while True:
            upstream = target.stream(host, self.pod.outlet, self._fresh, name, request.head)
            if upstream is None or self._light or not upstream.reused or not upstream.is_stale():
                return upstream
            upstream.cancel()  # what is sent there would be lost, and nobody may or can send it again

    def proceed(self) -> bool:
        host = self.host
        assert host is not None
        upstream = self._obtain(host)
        if upstream is None:
            return False
        self.target.leave(self, host)
        self._send(host, upstream)
        return True

    def redirected(self) -> None:
        assert self.host is not None
        self.target.leave(self, self.host)
        self._try()

    def waited_too_long(self) -> None:
        self._leave_upstream()
        self._give_up(Reason.UPSTREAM_OVERFLOW, "")

    def _send(self, host: Host, upstream: Stream) -> None:
        self._enter(SENT)
        self.upstream = upstream
        if not self._fresh and not self._spared:
            self.attempts += 1
        self.host_name = upstream.transport.remote
        self.protocol = upstream.protocol
        host.begin()
        attempts, request, policy, body, limits = self.attempts, self.request, self.policy, self.body, self._limits
        edits = request.edits
        if not request.counted:
            edits[ATTEMPT_COUNT] = ATTEMPT_LINES[attempts] if attempts < len(ATTEMPT_LINES) else attempt_line(attempts)
        complete = body is None or body.complete
        if limits is not None:
            if complete:
                limits.begin(self._timed_out)
            left = limits.whole
            if attempts > 1 or policy.per_try_timeout:
                left = limits.begin_try(attempts, policy.per_try_timeout, self._try_timed_out)
            if not request.timed:
                edits[EXPECTED_TIMEOUT] = EXPECTED_LINES.found.get(left) or expected_line(left)
        data = b""
        trailers: list[bytes] = []
        if body is not None:
            data = body.take()
            trailers = body.trailers
            if not policy.attempts:
                body.forget()
            elif body.counted:
                body.sent()
        self.sent_at = self.target.clock.now
        upstream.request(self, request.head, request.path, request.authority, edits, data, complete, trailers)
        if not complete and not upstream.pending:
            self.caller.call_drained()

    def _timed_out(self) -> None:
        if self.upstream is not None:  # who was not asked has not failed
            self._report(Reason.RESPONSE_TIMEOUT)
        self._leave_upstream()
        self._give_up(Reason.RESPONSE_TIMEOUT, "")

    def _try_timed_out(self) -> None:
        self._report(Reason.PER_TRY_TIMEOUT)
        self._leave_upstream()
        self._retry_or_give_up(Reason.PER_TRY_TIMEOUT, "")

    # --- what the upstream tells

    def informed(self, head: ResponseHead) -> None:
        self.policy = NO_RETRY  # Envoy: none after an interim response was passed on
        self.caller.informed(head)

    def responded(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        host, upstream = self.host, self.upstream
        assert host is not None and upstream is not None
        self.local_name = upstream.transport.local
        target = self.target
        group = target.group
        if target.cluster.tls is not None:
            self.security = upstream.transport.security
        if group.timed:
            host.observe(target.clock.now - self.sent_at, target.clock.now)
        if group.detector is not None:
            grpc = is_grpc(self.request.head)
            self._unsettled = grpc and not ended and head.grpc_status == NO_STATUS and head.status == 200
            if not self._unsettled:  # else its trailers tell how the call ended
                group.report(host, http_status_of(head.grpc_status, head.status))
        policy = self.policy
        if self._retries < policy.attempts and wants_response(policy, head) and self._again(head.status, ended):
            return
        if head.status >= 500 and 0 < policy.attempts <= self._retries and wants_response(policy, head):
            self.reasons += (Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED,)
        if self.body is not None:
            self.body.forget()  # there will be no other try
        if self._limits is not None and self._limits.timer is not None:
            self._limits.end_try()  # it has no say once a response is passed on
        caller = self.caller
        if ended:
            self._release_upstream()
            self._end()
        else:
            self._enter(ANSWERED)
        caller.answered(head, data, ended)

    def response_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        caller = self.caller
        if ended:
            if self._unsettled and self.host is not None:
                self.target.group.report(self.host, http_status_of(grpc_status_of(trailers), 200))
            self._release_upstream()
            self._end()
        caller.answer_data(data, ended, trailers)

    def switched(self, head: ResponseHead, transport: Transport, data: bytes) -> None:
        self._enter(SWITCHED)
        self.local_name = transport.local
        if self._limits is not None:
            self._limits.end()
        self.caller.switched(head, transport, data)

    def upstream_drained(self) -> None:
        self.caller.call_drained()

    def failed(self, reason: Reason, detail: str) -> None:
        upstream = self.upstream
        assert upstream is not None
        untouched, unprocessed = upstream.untouched, upstream.unprocessed
        self._release_upstream()
        if self.state == ANSWERED:
            self._report(reason)
            self._give_up(reason, detail)
        elif unprocessed and not self._spared and (self.body is None or self.body.whole):
            self._spared = True  # nobody has seen the request: another try is as good as the first, and counts as that
            self._try()
        elif untouched and not self._fresh and self._is_safe() and self.host is not None and not self._may_try(reason):
            # The upstream closed an idle connection while our request was on its way. Whether it saw the request is
            # not known, so that others than idempotent ones fail (RFC 9110 section 9.2.2).
            self._fresh = True
            self._connect(self.host)
        else:
            self._report(reason)
            self._retry_or_give_up(reason, detail)

    # --- retries

    def _is_safe(self) -> bool:
        """Whether sending again does no harm and is possible."""
        return self.request.head.method in IDEMPOTENT and (self.body is None or self.body.whole)

    def _again(self, status: int, ended: bool, reason: Reason | None = None) -> bool:
        """Wait a little, then try again, if that is possible and allowed; it takes its place under the limit of
        retries. Else a budget may say that the call ends by that. False: neither, the present try is what counts."""
        if self.body is not None and not self.body.whole:
            return False
        retries = self.target.limits.retries
        allowed = retries.grant(self._retrying)
        if (allowed or retries.answers) and self.upstream is not None:
            self._leave_upstream(ended)
        if not allowed:
            self.reasons += (Reason.UPSTREAM_RETRY_OVERFLOW,)
            if retries.answers:
                self._give_up(Reason.UPSTREAM_RETRY_OVERFLOW, "")
            return retries.answers
        self._retrying = True
        self._retries += 1
        clock = self.target.clock
        self.tries += (Try(self.sent_at + clock.epoch, clock.now - self.sent_at, self.host_name, status, reason),)
        self._fresh = self._spared = False
        if self.policy.ignore_previous_hosts and self.host is not None:
            self._tried.append(self.host)
        self._enter(BACKING_OFF)
        self._backoff_timer = clock.after(backoff(self.policy, self._retries, self.target.rng), self._try)
        return True

    def _may_try(self, reason: Reason) -> bool:
        """Whether the policy itself takes this for a try that failed."""
        return self.policy.attempts > 0 and wants_failure(self.policy, reason)

    def _retry_or_give_up(self, reason: Reason, detail: str) -> None:
        if self._may_try(reason):
            if self._retries >= self.policy.attempts:
                self.reasons += (Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED,)
            elif self._again(0, False, reason):
                return
        self._give_up(reason, detail)

    def _report(self, reason: Reason) -> None:
        """Tell outlier detection of a failure; an upstream that has not answered has taken at least so long."""
        if self.upstream is not None and self.host is not None and self.target.group.timed:
            self.host.observe(self.target.clock.now - self.sent_at, self.target.clock.now)
        outcome = OUTCOMES.get(reason)
        if outcome is not None and self.host is not None:
            self.target.group.report(self.host, 0, outcome)

    # --- the end

    def _give_up(self, reason: Reason, detail: str) -> None:
        caller = self.caller
        self._end()
        caller.call_failed(reason, detail)

    def _leave_upstream(self, ended: bool = False) -> None:
        """Break the present try off, unless it has ended."""
        upstream = self.upstream
        if upstream is not None:
            self._release_upstream()
            if not ended:
                upstream.cancel()
        elif self.state == QUEUED and self.host is not None:
            self.target.leave(self, self.host)

    def _release_upstream(self) -> None:
        """The connection is not ours any more."""
        host, body, limits = self.host, self.body, self._limits
        if self.upstream is not None and host is not None:
            self.upstream = None
            host.end()
            if body is not None and body.counted:
                body.need()
        if limits is not None and limits.timer is not None:
            limits.end_try()

    def _end(self) -> None:
        self._enter(ENDED)
        self.caller = NOBODY
        self.target.limits.requests.release()
        if self._retrying:
            self._retrying = False
            self.target.limits.retries.release()
        if self._limits is not None:
            self._limits.end()
        if self._backoff_timer is not None:
            self.target.clock.cancel(self._backoff_timer)
            self._backoff_timer = None

    def _enter(self, state: int) -> None:
        assert state & NEXT[self.state], f"{self!r} cannot become {state}"
        self.state = state
