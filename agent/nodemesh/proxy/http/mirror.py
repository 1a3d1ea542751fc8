"""Mirrors: copies of a request, sent elsewhere and forgotten."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ...routing.decision import Mirror
from ...telemetry.record import RequestRecord
from ..clock import Alarm, Timer
from ..transport import Buffer, Transport
from .call import ENDED, Call
from .caller import Caller
from .fault import hits
from .head import ResponseHead
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

    def __init__(self, original: Call, mirror: Mirror, record: RequestRecord) -> None:
        cluster = mirror.cluster
        assert cluster is not None
        proxy = original.pod.proxy
        body: RequestBody | None = None
        if original.body is not None:
            body = RequestBody(original.body.gate)
            body.complete = original.body.complete
            body.trailers = original.body.trailers
            held = original.body.take()
            if held:
                body.hold(held)
        self.record = record
        self._began = proxy.clock.now
        record.cluster = cluster
        record.started = proxy.clock.time()
        self._alarm = Alarm(proxy.clock)
        self.call = Call(
            self,
            original.pod,
            proxy.target(cluster),
            original.head,
            original.path,
            original.authority,
            original.edits.copy(),
            body,
            self._alarm,
        )
        self.call.timeout = original.timeout
        self._timer: Timer | None = proxy.clock.after(LONGEST, self._overdue)
        self.call.dialled = original.dialled

    def send(self, data: Buffer) -> None:
        """More of the body; a mirror that cannot follow is given up, since nobody waits for it."""
        if self.call.state != ENDED and not self.call.send(data) and self.call.lag > LAG:
            self.cancel(Reason.RETRY_BUFFER_LIMIT)

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
        proxy = self.call.pod.proxy
        self._alarm.close()
        if self._timer is not None:
            proxy.clock.cancel(self._timer)
            self._timer = None
        self.record.attempts = self.call.attempts
        self.record.upstream_host = self.call.host_name
        self.record.upstream_protocol = self.call.protocol
        self.record.duration = proxy.clock.now - self._began
        proxy.telemetry.record(self.record)


class Mirrors:
    """All copies of one request."""

    __slots__ = ("shadows",)

    def __init__(self, original: Call, mirrors: tuple[Mirror, ...], record: RequestRecord) -> None:
        rng = original.target.rng
        self.shadows = [
            Shadow(original, mirror, copy_of(record))
            for mirror in mirrors
            if mirror.cluster is not None and hits(mirror.percent, rng)
        ]

    def start(self) -> None:
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
