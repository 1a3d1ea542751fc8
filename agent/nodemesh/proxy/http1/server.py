"""A client's HTTP/1.1 connection: reads requests, makes an exchange of each, and writes the answers in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...reasons import Reason
from ...telemetry.record import RequestRecord
from ..clock import Alarm
from ..gate import OVER_QUOTA
from ..http.errors import ProtocolError
from ..http.exchange import Exchange
from ..http.exchange_states import DONE
from ..http.grpc import begin_exchange
from ..http.grpc_web import begin_web_exchange
from ..http.head import Edits, RequestHead, ResponseHead
from ..http.local_reply import http_reply
from ..http.records import reason_of, refused_record
from ..http.responder import Responder
from ..http.session import Session
from ..http.tunnel import Upgrade
from ..transport import Buffer, Handler, Transport
from .answer import AnswerWriter
from .body import FRAMED_READ, BodyReader, ChunkedReader, LengthReader
from .client import BULK_LENGTH
from .patience import CLOSE, DROP, HEAD_TIMEOUT, REFUSE, verdict
from .receive import MAX_HEAD, PREFACE_HEAD, PREFACE_START, HeadBuffer
from .request import LastRequest, read_request
from .server_states import CLOSED, CLOSING, LAST, NEXT, SERVING
from .write import write_response

#: Requests of one connection that are answered without an upstream before other connections get their turn.
AT_ONCE: Final = 4

#: Of a request without a body.
NO_TRAILERS: Final[list[bytes]] = []

#: Seconds during which a client that we close may still send (RFC 9112 section 9.6): a RST would destroy our answer.
LINGER: Final = 1.0

#: Takes a connection over that begins with HTTP/2's preface.
ServeHttp2 = Callable[[Session, Transport, bytes], None]


class Http1Server(Handler, Responder):
    """One connection. `exchange` is the request being served; what a pipelining client sends meanwhile waits. Where it
    begins with HTTP/2's preface, `serve_http2` has it."""

    __slots__ = (
        "session", "pod", "transport", "exchange", "alarm", "_serve_http2", "_buffer", "_body", "_held", "_counted",
        "_life", "_writer", "_ended", "_reading", "_served", "_since", "_timer", "_last",
    )  # fmt: skip

    def __init__(self, session: Session, transport: Transport, serve_http2: ServeHttp2) -> None:
        pod = session.pod
        self.session = session
        self._serve_http2 = serve_http2
        self.pod = pod
        self.transport = transport
        self.exchange: Exchange | None = None
        self.alarm = Alarm(pod.shared.clock)  # of the exchange's call
        self._buffer = HeadBuffer()
        self._last = LastRequest()
        self._body: BodyReader | None = None  # of the present request, while it is not complete
        self._held = b""  # what came after the present request
        self._counted = 0  # bytes of heads that the pod's gate knows of
        self._life = SERVING
        self._writer = AnswerWriter(transport)
        self._ended = False  # the client has sent its FIN
        self._reading = False  # inside `_read`
        self._served = False  # a request has come
        self._since = pod.shared.clock.now
        self._timer = pod.shared.clock.after(HEAD_TIMEOUT, self._check)
        transport.appetite = FRAMED_READ
        transport.handler = self
        pod.connections[self] = None

    @property
    def idle(self) -> bool:
        return self.exchange is None and not self._held

    # --- what the transport calls

    def received(self, data: Buffer) -> None:
        if self._life >= CLOSING:
            return
        if self._body is not None:
            self._receive_body(self._body, data)
        elif self.exchange is not None or self._held:
            self._held += data
            self._count_held()
            if len(self._held) > MAX_HEAD:
                self.transport.pause()
        else:
            self._read(data if isinstance(data, bytes) else bytes(data))

    def ended(self) -> None:
        self._ended = True
        exchange = self.exchange
        if exchange is None:
            self._shut()
        elif self._body is not None:
            self._drop(Reason.DOWNSTREAM_CONNECTION_TERMINATION)  # the request will never be complete
        elif not exchange.half_closed():
            self._drop(Reason.DOWNSTREAM_CONNECTION_TERMINATION)
        elif not self._held:
            self._end_after()  # a client that closed its half still gets its answers

    def drained(self) -> None:
        if self.exchange is not None:
            self.exchange.downstream_drained()

    def lost(self, error: OSError) -> None:
        full = error.errno == OVER_QUOTA
        self._drop(Reason.LIMIT_PER_POD if full else Reason.DOWNSTREAM_CONNECTION_TERMINATION)

    def drain(self) -> None:
        """Close an idle connection; a fresh one may have its first request on the way, and gets its answer."""
        self._end_after()
        if self._served and self.exchange is None and not self._buffer.data and not self._held:
            self._shut()

    def describe(self) -> dict[str, str]:
        request = self.exchange.record.path.decode("latin-1") if self.exchange is not None else ""
        return {
            "protocol": "HTTP/1.1",
            "client": self.transport.remote,
            "destination": self.transport.local,
            "request": request,
        }

    def progress(self) -> None:
        if self.exchange is not None:
            self.exchange.progress()

    # --- requests

    def _read(self, data: bytes) -> None:
        """Read requests until one is not answered yet, or what has come is used up."""
        self._reading = True
        if not self._buffer.data and (self._served or not self.pod.gateway_port):
            # A head that comes in drops has begun with its first one.
            self._since = self.pod.shared.clock.now
        served = 0
        try:
            while data and self._life < CLOSING:
                if served == AT_ONCE:
                    self._yield_turn(data)
                    break
                served += 1
                head = self._buffer.cut(data)
                if not head:
                    self._count_held()
                    break
                if head == PREFACE_HEAD and not self._served:
                    self._leave()
                    self._serve_http2(self.session, self.transport, PREFACE_START + self._buffer.rest)
                    break
                data = self._begin(read_request(head, self.session.scheme, self._last), self._buffer.rest)
                if self.exchange is not None:
                    break
        except ProtocolError as error:
            self._refuse(error)
        finally:
            self._reading = False

    def _begin(self, head: RequestHead, rest: bytes) -> bytes:
        """Start the exchange; returns what belongs to the next request if this one is over already."""
        pod = self.pod
        fields = head.fields
        if fields.http10 and not pod.shared.accept_http10:
            raise ProtocolError("HTTP/1.0 is not accepted", 426)
        self._served = True
        self.session.admit(head)
        length = fields.length
        data: Buffer = b""
        trailers = NO_TRAILERS
        breach: ProtocolError | None = None
        if length:
            body = LengthReader(length) if length > 0 else ChunkedReader()
            try:
                data = body.read(rest) if rest else b""
            except ProtocolError as error:
                breach = error
            rest = body.rest
            trailers = body.trailers
            if not body.done:
                self._body = body
                self.transport.bulk = length >= BULK_LENGTH
                self.transport.appetite = body.appetite
        if fields.close or pod.shared.draining or (self._ended and not rest):
            self._end_after()
        session = self.session
        if session.grpc_web:
            exchange = begin_web_exchange(session, head, self, self.alarm)
        else:
            exchange = begin_exchange(session, head, self, self.alarm)
        self.exchange = exchange
        if breach is None:
            exchange.start(data, self._body is None, trailers)
        else:
            exchange.malformed(breach)
        if exchange.state == DONE:
            return rest
        self._held = rest
        if rest or self._counted:
            self._count_held()
        if self._ended and not exchange.half_closed():
            self._drop(Reason.DOWNSTREAM_CONNECTION_TERMINATION)
        return b""

    def _receive_body(self, body: BodyReader, data: Buffer) -> None:
        exchange = self.exchange
        assert exchange is not None
        self._since = self.pod.shared.clock.now
        try:
            payload = body.read(data)
            self.transport.appetite = body.appetite
            if payload:
                exchange.request_data(payload)
            if body.done and self._body is body:
                self._body = None
                self.transport.bulk = False
                self.transport.appetite = FRAMED_READ
                self._held = body.rest
                if body.rest:
                    self._count_held()
                exchange.request_ended(body.trailers)
        except ProtocolError as error:
            exchange.malformed(error)

    def _yield_turn(self, data: bytes) -> None:
        """Go on with what has come when the others have had their turn."""
        self._held = data
        self._count_held()
        self.transport.pause()
        self.transport.later(self._go_on)

    def _go_on(self) -> None:
        if self._life < CLOSING:
            self.transport.resume()
            self._read_held()

    def _read_held(self) -> None:
        """Read what came while the last request was served."""
        held, self._held = self._held, b""
        self._read(held)
        if self._ended and self.exchange is None and not self._held and self._life < CLOSING:
            self._shut()  # what is left is no complete request

    # --- what the exchange calls

    def inform(self, head: ResponseHead) -> None:
        if self.exchange is not None:
            self._writer.inform(head, self.exchange.head)

    def respond(self, head: ResponseHead, edits: Edits, data: Buffer, ended: bool) -> None:
        exchange = self.exchange
        assert exchange is not None
        if self._body is not None:
            self._end_after()  # what is left of the request stands before the next one
        last = self._life >= LAST
        if self._writer.begin(head, edits, data, ended=ended, request=exchange.head, close=last) and not last:
            self._end_after()
        if not ended and self.transport.pending:
            exchange.pause()

    def send(self, data: Buffer) -> bool:
        return self._writer.send(data)

    def finish(self, data: Buffer, trailers: list[bytes]) -> None:
        self._writer.finish(data, trailers)

    def done(self) -> None:
        self.exchange = None
        if self._life >= CLOSING:
            return
        if self._life == LAST:
            self._shut()
            return
        self._since = self.pod.shared.clock.now
        self.transport.resume()
        if self._counted and not self._held:
            self._count_held()
        if self._held and not self._reading:
            self._read_held()

    def reset(self) -> None:
        self._forget()
        self.transport.abort()

    def pause(self) -> None:
        self.transport.pause()

    def resume(self) -> None:
        """Read on; a client that waits for it is told to go on by the upstream's 100."""
        if self._body is not None:
            self.transport.resume()

    def switch(
        self, head: ResponseHead, edits: Edits, upstream: Transport, data: bytes, record: RequestRecord, tunnel: Upgrade
    ) -> None:
        self.transport.send(write_response(head, edits, bodiless=True))
        held, self._held = self._held, b""
        self._count_held()
        self.exchange = None
        self._leave()
        tunnel.open(record, self.transport, upstream).start(held, data)

    def _leave(self) -> None:
        """Someone else serves the connection from here on."""
        self._enter(CLOSED)
        self.pod.shared.clock.cancel(self._timer)
        self.alarm.close()
        self.pod.connections.pop(self, None)

    def _count_held(self) -> None:
        """Tell the pod's gate what is kept here of requests that have not begun."""
        size = len(self._held) + len(self._buffer.data)
        if size != self._counted:
            change, self._counted = size - self._counted, size
            self.transport.gate.change_held(change)

    # --- the end

    def _refuse(self, error: ProtocolError) -> None:
        """Answer a request that is none, and close."""
        record = refused_record(self.session, error.status, reason_of(error.status), str(error))
        self.pod.shared.telemetry.record(record)
        self._answer_refusal(error.status)

    def _answer_refusal(self, status: int) -> None:
        pod = self.pod
        edits = {b"date": pod.shared.date_line(), b"server": pod.server}
        self.transport.send(write_response(http_reply(status, b"", edits), edits, close=True))
        self._shut()

    def _shut(self) -> None:
        """Send our FIN, and listen for a moment to a client that is still sending."""
        if self._life < CLOSING:
            self._enter(CLOSING)
        if self._ended:
            self._close()
            return
        self.transport.end()
        self.transport.resume()
        clock = self.pod.shared.clock
        clock.cancel(self._timer)
        self._timer = clock.after(LINGER, self._close)

    def _close(self) -> None:
        self._forget()
        self.transport.close()

    def _drop(self, reason: Reason) -> None:
        """The client is gone, or sent away."""
        self._close()
        exchange = self.exchange
        if exchange is not None:
            exchange.abandoned(reason)

    def _forget(self) -> None:
        if self._life < CLOSED:
            self._enter(CLOSED)
        self._held = b""
        self._buffer.clear()
        self._count_held()
        self.pod.shared.clock.cancel(self._timer)
        self.alarm.close()
        self.pod.forget(self)

    def _check(self) -> None:
        """Close a connection that is slow with its head, or sends nothing of what it owes for too long."""
        clock = self.pod.shared.clock
        waited = clock.now - self._since
        in_head, in_body = bool(self._buffer.data), self._body is not None
        owed = bool(self.pod.gateway_port) and not self._served
        found = verdict(waited, owed=owed, in_head=in_head, in_body=in_body, busy=self.exchange is not None)
        if found == CLOSE:
            self._shut()
        elif found == REFUSE:
            self._refuse(ProtocolError("the head did not come in time", 408))
        elif found == DROP:
            self._drop(Reason.IDLE_TIMEOUT)
        else:
            self._timer = clock.after(HEAD_TIMEOUT - waited if in_head else HEAD_TIMEOUT, self._check)

    def _end_after(self) -> None:
        """Close when the present request, or the next one, is answered."""
        if self._life == SERVING:
            self._enter(LAST)

    def _enter(self, state: int) -> None:
        assert state in NEXT[self._life], f"a connection in state {self._life} cannot become {state}"
        self._life = state
