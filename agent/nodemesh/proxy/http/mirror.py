"""Mirrors: copies of a request, sent elsewhere and forgotten."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ...routing.decision import Cluster, Mirror
from ...telemetry.record import RequestRecord
from ..clock import Alarm, Timer
from ..pod import Pod
from ..transport import Buffer, Transport
from .call import Call
from .call_states import ENDED
from .caller import Caller
from .fault import hits
from .head import ResponseHead
from .outgoing import Outgoing
from .records import copy_of
from .request_body import RequestBody

#: What a mirror may lag behind with its copy of the body before it is given up.
LAG: Final = 1024 * 1024

#: Seconds after which a copy is given up whose route has no timeout (Envoy's stream_idle_timeout): nobody waits for it,
#: and a mirror that answers nothing would collect connections for ever.
LONGEST: Final = 300.0


class Shadow(Caller):
    """One copy on its way. The response is read and dropped, so that the connection can be used again."""

    __slots__ = ("call", "record", "_began", "_alarm", "_timer")

    def __init__(
        self, request: Outgoing, pod: Pod, cluster: Cluster, original: RequestBody | None, record: RequestRecord
    ) -> None:
        shared = pod.shared
        body: RequestBody | None = None
        if original is not None:
            body = RequestBody(original.gate, original.take(), original.complete, original.trailers)
        self.record = record
        self._began = shared.clock.now
        record.cluster = cluster
        record.started = shared.clock.time()
        self._alarm = Alarm(shared.clock)
        self._timer: Timer | None = shared.clock.after(LONGEST, self._overdue)
        self.call = Call(self, pod, shared.target(cluster), request, body, self._alarm)

    def send(self, data: Buffer) -> None:
        """More of the body; a mirror that cannot follow is given up, since nobody waits for it."""
        if self.call.state != ENDED and not self.call.send(data) and self._lag > LAG:
            self.cancel(Reason.RETRY_BUFFER_LIMIT)

    @property
    def _lag(self) -> int:
        """Bytes of the request's body that wait here."""
        upstream, body = self.call.upstream, self.call.body
        waiting = upstream.pending if upstream is not None else 0
        return waiting + (body.size if body is not None else 0)

    def finish(self, trailers: list[bytes]) -> None:
        body = self.call.body
        if body is not None:
            body.complete = True
            body.trailers = trailers
            self.call.finish()

    def cancel(self, reason: Reason) -> None:
        """Give the copy up, unless it is over already."""
        if self.call.state != ENDED:
            self.call.cancel()
            self.record.reasons += (reason,)
            self._done()

    def _overdue(self) -> None:
        self._timer = None
        self.cancel(Reason.RESPONSE_TIMEOUT)

    def answered(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        self.record.status = head.status
        self.record.grpc_status = head.grpc_status
        self.record.bytes_sent += len(data)
        if ended:
            self._done()

    def answer_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        self.record.bytes_sent += len(data)
        if ended:
            self._done()

    def switched(self, head: ResponseHead, transport: Transport, data: bytes) -> None:
        """A copy has nothing to say in another protocol."""
        self.record.status = head.status
        self.call.cancel()
        self._done()

    def call_failed(self, reason: Reason, detail: str) -> None:
        self.record.reasons += (reason,)
        self.record.transport_failure = detail
        self._done()

    def _done(self) -> None:
        if self.call.body is not None:
            self.call.body.forget()
        shared = self.call.pod.shared
        self._alarm.close()
        if self._timer is not None:
            shared.clock.cancel(self._timer)
            self._timer = None
        self.record.attempts = self.call.attempts
        self.record.upstream_host = self.call.host_name
        self.record.upstream_protocol = self.call.protocol
        self.record.duration = shared.clock.now - self._began
        shared.telemetry.record(self.record)


class Mirrors:
    """All copies of one request."""

    __slots__ = ("shadows",)

    def __init__(
        self,
        request: Outgoing,
        pod: Pod,
        mirrors: tuple[Mirror, ...],
        body: RequestBody | None,
        record: RequestRecord,
    ) -> None:
        copy = request.copy()
        self.shadows = [
            Shadow(copy, pod, mirror.cluster, body, copy_of(record))
            for mirror in mirrors
            if mirror.cluster is not None and hits(mirror.percent, pod.shared.rng)
        ]
        for shadow in self.shadows:
            shadow.call.start()

    def send(self, data: Buffer) -> None:
        for shadow in self.shadows:
            shadow.send(data)

    def finish(self, trailers: list[bytes]) -> None:
        for shadow in self.shadows:
            shadow.finish(trailers)

    def cancel(self) -> None:
        """The original has ended before its body was complete."""
        for shadow in self.shadows:
            shadow.cancel(Reason.DOWNSTREAM_CONNECTION_TERMINATION)
