"""One stream of a client's connection: the client side of an exchange."""

from __future__ import annotations

from typing import Final

from mypy_extensions import trait

from ...reasons import Reason
from ...telemetry.record import RequestRecord
from ..clock import Alarm
from ..http.errors import ProtocolError
from ..http.exchange import Exchange
from ..http.exchange_states import DONE
from ..http.grpc import begin_exchange
from ..http.grpc_web import begin_web_exchange
from ..http.head import NO_EDITS, Edits, ResponseHead
from ..http.local_reply import http_reply
from ..http.records import reason_of
from ..http.responder import Responder
from ..http.session import Session
from ..http.tunnel import Upgrade
from ..transport import SILENT, Buffer, Transport
from .codes import CANCEL, INTERNAL_ERROR
from .fault import Http2Fault
from .head import Head
from .heads import request_of, response_opening
from .receiver import Receiver
from .sending import Sending
from .stream import ON_RECEIVED_END, Http2Stream
from .tunnel import StreamTransport

#: Responses without a body, whatever their fields say.
BODILESS: Final = frozenset({204, 304})

PROTOCOL: Final = b"HTTP/2"


@trait
class ServerCarrier:
    """What a stream asks of its connection."""

    __slots__ = ()

    transport: Transport
    begun: list[ServerStream]  # whose `begin` is called when all is read that has come by now

    def flush(self) -> None:
        """Send what the codec has to be sent."""
        raise NotImplementedError

    def alarm(self) -> Alarm:
        """One that is not set."""
        raise NotImplementedError

    def spare(self, alarm: Alarm) -> None:
        """Take it back."""
        raise NotImplementedError

    def note_refusal(self, reason: Reason, detail: str, status: int) -> None:
        """Write the record of a request that never became one."""
        raise NotImplementedError


class ServerStream(Receiver, Responder):
    """From the client's head to the end of the response."""

    __slots__ = (
        "session", "stream", "exchange", "waits", "_codec", "_carrier", "_alarm", "_head_only", "_paused", "_blocked",
        "_tunnel", "_waited", "_early", "_early_end",
    )  # fmt: skip

    def __init__(self, session: Session, codec: Sending, carrier: ServerCarrier, stream: Http2Stream) -> None:
        self.session = session
        self.stream = stream
        self.exchange: Exchange | None = None
        self.waits = False  # the exchange has not begun: what comes with the head goes along with it
        self._codec = codec
        self._carrier = carrier
        self._alarm: Alarm | None = None
        self._head_only = False  # the answer to HEAD
        self._paused = False  # the exchange takes no more of the request for now
        self._blocked = False  # it was told that no more of the response goes out for now
        self._tunnel: StreamTransport | None = None  # what the stream has become
        self._early: bytearray | None = None  # what came for a tunnel to be: no more than the stream's window
        self._early_end = False
        self._waited = 0  # bytes that waited for the client's window at the last look

    @property
    def path(self) -> str:
        """What is asked for, for whoever looks at connections."""
        return self.exchange.record.path.decode("latin-1") if self.exchange is not None else ""

    # --- what the codec tells

    def head(self, head: Head, ended: bool) -> None:
        try:
            request = request_of(head, ended)
        except ProtocolError as error:
            self._refuse(reason_of(error.status), str(error), error.status, ended)
            return
        self._head_only = request.method == b"HEAD"
        session = self.session
        session.admit(request)
        alarm = self._alarm = self._carrier.alarm()
        if session.grpc_web:
            exchange = begin_web_exchange(session, request, self, alarm)
        else:
            exchange = begin_exchange(session, request, self, alarm)
        exchange.record.protocol = PROTOCOL
        self.exchange = exchange
        self._early_end = ended
        if ended or head.protocol:
            exchange.start(b"", True, [])
        else:
            self.waits = True
            self._carrier.begun.append(self)

    def begin(self) -> None:
        """The exchange sets out with nothing of the body."""
        self.waits = False
        if self.exchange is not None:
            self.exchange.start(b"", False, [])

    def oversized(self, head: Head, fault: Http2Fault, ended: bool) -> None:
        self._refuse(fault.reason, fault.text, 431, ended)

    def data(self, data: bytes, ended: bool) -> bool:
        exchange = self.exchange
        if exchange is not None:
            if self.waits:
                self.waits = False
                exchange.start(data, ended, [])
            elif exchange.head.fields.upgrade:
                if self._early is None:
                    self._early = bytearray()
                self._early += data
                self._codec.keep(len(data))
                self._early_end = self._early_end or ended
                return False
            else:
                if data:
                    exchange.request_data(data)
                if ended:
                    exchange.request_ended([])
        elif self._tunnel is not None:
            self._tunnel.received(data, ended)
            return False
        return not self._paused

    def trailers(self, trailers: list[bytes]) -> None:
        if self._tunnel is not None:
            self._tunnel.received(b"", True)
        elif self.exchange is not None:
            if self.waits:
                self.begin()
            if self.exchange is not None:
                self.exchange.request_ended(trailers)

    def drained(self) -> None:
        if self._tunnel is not None:
            self._tunnel.drained()
        elif self._blocked and not self._carrier.transport.pending:
            self._unblock()

    def failed(self, fault: Http2Fault) -> None:
        tunnel, exchange = self._tunnel, self.exchange
        if tunnel is not None:
            tunnel.failed(fault)
        elif exchange is not None:
            exchange.record.termination = fault.text
            exchange.abandoned(fault.reason)
            self._end()

    # --- what the connection tells

    def transport_drained(self) -> None:
        """The client's connection takes more."""
        if self._tunnel is not None:
            self._tunnel.drained()
        elif self._blocked and self.stream.waiting is None:
            self._unblock()

    def check(self) -> None:
        """Give the stream up if its client has not opened its window by a byte since the last look."""
        pending, waited = self.stream.pending, self._waited
        self._waited = pending
        if pending and pending == waited:
            self.give_up(Reason.HTTP2_FLOW_CONTROL, "the client's window stays shut")

    def give_up(self, reason: Reason, detail: str) -> None:
        """End the stream for what its client does, or does not."""
        tunnel, exchange = self._tunnel, self.exchange
        self._codec.reset(self.stream, CANCEL)
        if tunnel is not None:
            tunnel.failed(Http2Fault(CANCEL, reason, detail))
        elif exchange is not None:
            exchange.record.termination = detail
            exchange.abandoned(reason)
        self._end()

    # --- what the exchange calls

    def inform(self, head: ResponseHead) -> None:
        self._codec.send_informed(self.stream, response_opening(head, NO_EDITS, True))
        self._carrier.flush()

    def respond(self, head: ResponseHead, edits: Edits, data: Buffer, ended: bool) -> None:
        bodiless = self._head_only or head.status in BODILESS
        final = ended and (bodiless or not data)
        codec, stream = self._codec, self.stream
        codec.send_head(stream, response_opening(head, edits, bodiless), edits, final)
        if data and not bodiless:
            codec.send_data(stream, data if isinstance(data, bytes) else bytes(data), ended)
        self._carrier.flush()
        if not ended and self._waits() and self.exchange is not None:
            self.exchange.pause()

    def send(self, data: Buffer) -> bool:
        self._codec.send_data(self.stream, bytes(data), False)
        self._carrier.flush()
        return not self._waits()

    def finish(self, data: Buffer, trailers: list[bytes]) -> None:
        codec, stream = self._codec, self.stream
        if trailers:
            if data:
                codec.send_data(stream, bytes(data), False)
            codec.send_trailers(stream, trailers)
        else:
            codec.send_data(stream, data if isinstance(data, bytes) else bytes(data), True)
        self._carrier.flush()

    def switch(
        self, head: ResponseHead, edits: Edits, upstream: Transport, data: bytes, record: RequestRecord, tunnel: Upgrade
    ) -> None:
        """A 101 is a 200 here, and the stream's bytes are the other protocol's from there on (RFC 8441 section 5)."""
        answer = ResponseHead(200, b"", head.lines, head.names, length=-1)
        self._codec.send_head(self.stream, response_opening(answer, edits, False), edits, False)
        self.exchange = None
        self._give_alarm_back()
        self._tunnel = StreamTransport(SILENT, self._codec, self.stream, self._carrier.flush)
        self._tunnel.remote, self._tunnel.local = self.session.remote, self.session.local
        relay = tunnel.open(record, self._tunnel, upstream)
        relay.start(b"", data)
        early = self._take_early()
        if early or self._early_end:
            self._tunnel.received(early, self._early_end)
        self._carrier.flush()

    def reset(self) -> None:
        self._codec.reset(self.stream, INTERNAL_ERROR)
        self._carrier.flush()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._codec.taken(self.stream, self.stream.untaken)
        self._carrier.flush()

    def done(self) -> None:
        self._end()
        if ON_RECEIVED_END[self.stream.state] >= 0:
            self._codec.dismiss(self.stream)
            self._carrier.flush()

    # --- inside

    def _waits(self) -> bool:
        """Whether what was sent waits for the client, so that no more should come for now."""
        blocked = self._blocked = self.stream.waiting is not None or self._carrier.transport.pending > 0
        return blocked

    def _take_early(self) -> bytes:
        early, self._early = self._early, None
        if early is None:
            return b""
        self._codec.keep(-len(early))
        return bytes(early)

    def _unblock(self) -> None:
        self._blocked = False
        if self.exchange is not None:
            self.exchange.downstream_drained()

    def _refuse(self, reason: Reason, detail: str, status: int, ended: bool) -> None:
        """Answer what is no request that we serve."""
        pod = self.session.pod
        self._carrier.note_refusal(reason, detail, status)
        edits = {b"date": pod.shared.date_line(), b"server": pod.server}
        head = http_reply(status, b"", edits)
        self._codec.send_head(self.stream, response_opening(head, edits, False), edits, True)
        if not ended:
            self._codec.dismiss(self.stream)
        self._end()

    def _end(self) -> None:
        """Exchange and stream know each other: undone, so that nothing waits for the garbage collector."""
        exchange, self.exchange = self.exchange, None
        if self._early:
            self._take_early()
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            self._carrier.spare(alarm)
        assert exchange is None or exchange.state == DONE

    def _give_alarm_back(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            self._carrier.spare(alarm)
