"""A client's HTTP/1.1 connection: reads requests, makes an exchange of each, and writes the answers in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...reasons import Reason
from ...telemetry.record import RequestRecord
from ..clock import Alarm
from ..gate import OVER_QUOTA, Gate
from ..http.errors import ProtocolError
from ..http.exchange import Exchange
from ..http.exchange_states import ANSWERING, DONE
from ..http.grpc import begin_exchange
from ..http.grpc_web import begin_web_exchange
from ..http.head import NO_EDITS, Edits, RequestHead, ResponseHead
from ..http.local_reply import http_reply
from ..http.records import reason_of, refused_record
from ..http.responder import Responder
from ..http.session import Session
from ..http.tunnel import Tunnel
from ..tcp.relay import Relay
from ..transport import Buffer, Handler, Transport
from .body import FRAMED_READ, BodyReader, ChunkedReader, LengthReader
from .client import BULK_LENGTH
from .receive import MAX_HEAD, HeadBuffer
from .request import read_request
from .write import CONTINUE, write_chunk, write_last_chunk, write_response

#: Seconds for a request's head to come in full once it has begun (nginx's client_header_timeout).
HEAD_TIMEOUT: Final = 60.0

#: Seconds a connection may stay without a request (Envoy's idle_timeout).
IDLE_TIMEOUT: Final = 3600.0

#: Requests of one connection that are answered without an upstream before other connections get their turn.
AT_ONCE: Final = 4

#: Of a request without a body.
NO_TRAILERS: Final[list[bytes]] = []

#: Seconds during which a client that we close may still send (RFC 9112 section 9.6): a RST would destroy our answer.
LINGER: Final = 1.0


#: What HTTP/2's connection preface is to a reader of HTTP/1.1: a head, and the start of what follows (RFC 9113 section
#: 3.4).
PREFACE_HEAD: Final = b"PRI * HTTP/2.0"
PREFACE_START: Final = PREFACE_HEAD + b"\r\n\r\n"

#: Takes a connection over that begins with HTTP/2's preface.
ServeHttp2 = Callable[[Session, Transport, bytes], None]


class Http1Server(Handler, Responder):
    """One connection. `exchange` is the request being served; what a pipelining client sends meanwhile waits. Where it
    begins with HTTP/2's preface, `serve_http2` has it."""

    __slots__ = (
        "session", "pod", "transport", "exchange", "alarm", "_serve_http2", "_buffer", "_body", "_held", "_counted",
        "_chunked", "_bodiless", "_close", "_closing", "_ended", "_reading", "_served", "_since", "_timer",
    )  # fmt: skip

    def __init__(self, session: Session, transport: Transport, serve_http2: ServeHttp2) -> None:
        pod = session.pod
        self.session = session
        self._serve_http2 = serve_http2
        self.pod = pod
        self.transport = transport
        self.exchange: Exchange | None = None
        self.alarm = Alarm(pod.proxy.clock)  # of the exchange's call
        self._buffer = HeadBuffer()
        self._body: BodyReader | None = None  # of the present request, while it is not complete
        self._held = b""  # what came after the present request
        self._counted = 0  # bytes of heads that the pod's gate knows of
        self._chunked = False  # how the present response is framed
        self._bodiless = False
        self._close = False  # after the present response
        self._closing = False
        self._ended = False  # the client has sent its FIN
        self._reading = False  # inside `_read`
        self._served = False  # a request has come
        self._since = pod.proxy.clock.now
        self._timer = pod.proxy.clock.after(HEAD_TIMEOUT, self._check)
        transport.appetite = FRAMED_READ
        transport.handler = self
        pod.connections[self] = None

    @property
    def gate(self) -> Gate:
        """On whose account the client's bytes are kept."""
        return self.transport.gate

    @property
    def idle(self) -> bool:
        return self.exchange is None and not self._held

    # --- what the transport calls

    def received(self, data: Buffer) -> None:
        if self._closing:
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
            self._close = True  # a client that closed its half still gets its answers

    def drained(self) -> None:
        if self.exchange is not None:
            self.exchange.downstream_drained()

    def lost(self, error: OSError) -> None:
        full = error.errno == OVER_QUOTA
        self._drop(Reason.LIMIT_PER_POD if full else Reason.DOWNSTREAM_CONNECTION_TERMINATION)

    def drain(self) -> None:
        """Close an idle connection; a fresh one may have its first request on the way, and gets its answer."""
        self._close = True
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
            self._since = self.pod.proxy.clock.now
        served = 0
        try:
            while data and not self._closing:
                if served == AT_ONCE:
                    self._rest(data)
                    break
                served += 1
                head = self._buffer.cut(data)
                if not head:
                    self._count_held()
                    break
                if head == PREFACE_HEAD and not self._served:
                    self._hand_over(PREFACE_START + self._buffer.rest)
                    break
                data = self._begin(read_request(head, self.session.scheme), self._buffer.rest)
                if self.exchange is not None:
                    break
        except ProtocolError as error:
            self._refuse(error)
        finally:
            self._reading = False

    def _hand_over(self, data: bytes) -> None:
        """It is HTTP/2: another one serves the connection."""
        self._leave()
        self._serve_http2(self.session, self.transport, data)

    def _begin(self, head: RequestHead, rest: bytes) -> bytes:
        """Start the exchange; returns what belongs to the next request if this one is over already."""
        pod = self.pod
        fields = head.fields
        if fields.http10 and not pod.proxy.accept_http10:
            raise ProtocolError("HTTP/1.0 is not accepted", 426)
        self._served = True
        self.session.admit(head)
        self._close = fields.close or pod.proxy.draining
        self._bodiless = head.method == b"HEAD"
        length = fields.length
        data: Buffer = b""
        trailers = NO_TRAILERS
        if length:
            body = LengthReader(length) if length > 0 else ChunkedReader()
            data = body.read(rest) if rest else b""
            rest = body.rest
            trailers = body.trailers
            if not body.done:
                self._body = body
                self.transport.bulk = length >= BULK_LENGTH
                self.transport.appetite = body.appetite
        if self._ended and not rest:
            self._close = True
        session = self.session
        begin = begin_web_exchange if session.grpc_web else begin_exchange
        exchange = begin(session, head, self, self.alarm)
        self.exchange = exchange
        exchange.start(data, self._body is None, trailers)
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
        self._since = self.pod.proxy.clock.now
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
            self._break_off(exchange, error)

    def _break_off(self, exchange: Exchange, error: ProtocolError) -> None:
        """The request's body is malformed: answer that, unless another answer has begun."""
        answering = exchange.state == ANSWERING
        if not answering:
            exchange.record.status = error.status
        exchange.record.termination = str(error)
        self._closing = True  # before the exchange is `done`, so that our FIN comes after the answer
        exchange.abandoned(Reason.DOWNSTREAM_PROTOCOL_ERROR)
        if answering:
            self.reset()
        else:
            self._answer_refusal(error.status)

    def _rest(self, data: bytes) -> None:
        """Go on with what has come when the others have had their turn."""
        self._held = data
        self._count_held()
        self.transport.pause()
        self._timer, timer = self.pod.proxy.clock.after(0.0, self._go_on), self._timer
        self.pod.proxy.clock.cancel(timer)

    def _go_on(self) -> None:
        self._timer = self.pod.proxy.clock.after(HEAD_TIMEOUT, self._check)
        self.transport.resume()
        self._read_held()

    def _read_held(self) -> None:
        """Read what came while the last request was served."""
        held, self._held = self._held, b""
        self._read(held)
        if self._ended and self.exchange is None and not self._held and not self._closing:
            self._shut()  # what is left is no complete request

    # --- what the exchange calls

    def inform(self, head: ResponseHead) -> None:
        """Pass an interim response on; HTTP/1.0 knows none (RFC 9110 section 15.2)."""
        if self.exchange is not None and self.exchange.head.fields.http10:
            return
        if head.status == 100:
            self.transport.send(CONTINUE)
        else:
            self.transport.send(write_response(head, NO_EDITS, False, True, False, False))

    def respond(self, head: ResponseHead, edits: Edits, data: Buffer, ended: bool) -> None:
        """The response's head, and as much of its body as there is."""
        exchange = self.exchange
        assert exchange is not None
        status = head.status
        http10 = exchange.head.fields.http10
        bodiless = self._bodiless = self._bodiless or status == 304 or status == 204
        if self._body is not None:
            self._close = True  # what is left of the request stands before the next one
        chunked = head.length < 0 and not bodiless
        if chunked and http10:
            chunked = False
            self._close = self._close or not ended  # only closing ends such a body
        self._chunked = chunked
        message = write_response(head, edits, chunked, bodiless, self._close, http10)
        if data and not bodiless:
            message += write_chunk(data) if chunked else data
        if ended and chunked:
            message += write_last_chunk([])
        if head.length >= BULK_LENGTH:
            self.transport.to_come = head.length
        self.transport.send(message)
        if not ended and self.transport.pending:
            exchange.pause()

    def send(self, data: Buffer) -> bool:
        """More of the body; False where no more should come until `Exchange.downstream_drained`."""
        self.transport.send(write_chunk(data) if self._chunked else data)
        return not self.transport.pending

    def finish(self, data: Buffer, trailers: list[bytes]) -> None:
        """The end of the body."""
        if self._chunked:
            self.transport.send(write_chunk(data) + write_last_chunk(trailers))
        elif data:
            self.transport.send(data)

    def done(self) -> None:
        """The exchange is over: on to the next request, or close."""
        self.exchange = None
        if self._closing:
            return
        if self._close:
            self._shut()
            return
        self._since = self.pod.proxy.clock.now
        self.transport.resume()
        if self._counted and not self._held:
            self._count_held()
        if self._held and not self._reading:
            self._read_held()

    def reset(self) -> None:
        """The response cannot be completed: the client must see it as broken."""
        self._forget()
        self.transport.abort()

    def pause(self) -> None:
        """Read no more of the request's body for now."""
        self.transport.pause()

    def resume(self) -> None:
        """Read on; a client that waits for it is told to go on by the upstream's 100."""
        if self._body is not None:
            self.transport.resume()

    def switch(
        self, head: ResponseHead, edits: Edits, upstream: Transport, data: bytes, record: RequestRecord, tunnel: Tunnel
    ) -> None:
        """Both sides speak another protocol from here on: relay bytes."""
        self.transport.send(write_response(head, edits, False, True, False, False))
        held, self._held = self._held, b""
        self._count_held()
        self.exchange = None
        self._leave()
        relay = Relay(self.pod, record, tunnel.idle_timeout, tunnel)
        relay.client.take(self.transport)
        relay.upstream.take(upstream)
        relay.start(held, data)

    def _leave(self) -> None:
        """Someone else serves the connection from here on."""
        self._closing = True
        self.pod.proxy.clock.cancel(self._timer)
        self.alarm.close()
        self.pod.connections.pop(self, None)

    def _count_held(self) -> None:
        """Tell the pod's gate what is kept here of requests that have not begun."""
        size = len(self._held) + len(self._buffer.data)
        if size != self._counted:
            change, self._counted = size - self._counted, size
            self.gate.change_held(change)

    # --- the end

    def _refuse(self, error: ProtocolError) -> None:
        """Answer a request that is none, and close."""
        record = refused_record(self.session, error.status, reason_of(error.status), str(error))
        self.pod.proxy.telemetry.record(record)
        self._answer_refusal(error.status)

    def _answer_refusal(self, status: int) -> None:
        pod = self.pod
        edits = {b"date": pod.proxy.date_line(), b"server": pod.server}
        self.transport.send(write_response(http_reply(status, b"", edits), edits, False, False, True, False))
        self._shut()

    def _shut(self) -> None:
        """Send our FIN, and listen for a moment to a client that is still sending."""
        self._closing = True
        if self._ended:
            self._forget()
            self.transport.close()
            return
        self.transport.end()
        self.transport.resume()
        clock = self.pod.proxy.clock
        clock.cancel(self._timer)
        self._timer = clock.after(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._forget()
        self.transport.close()

    def _drop(self, reason: Reason) -> None:
        """The client is gone, or sent away."""
        self._closing = True
        self._forget()
        self.transport.close()
        exchange = self.exchange
        if exchange is not None:
            exchange.abandoned(reason)

    def _forget(self) -> None:
        self._closing = True
        self._held = b""
        self._buffer.clear()
        self._count_held()
        self.pod.proxy.clock.cancel(self._timer)
        self.alarm.close()
        self.pod.forget(self)

    def _check(self) -> None:
        """Close a connection that is slow with its head, or sends nothing of what it owes for too long."""
        clock = self.pod.proxy.clock
        waited = clock.now - self._since
        left = HEAD_TIMEOUT
        # The time of a gateway's client counts from accepting on: those from outside may mean ill by saying nothing.
        owed = bool(self.pod.gateway_port) and not self._served
        if owed and waited >= HEAD_TIMEOUT and not self._buffer.data:
            self._shut()
            return
        if self._buffer.data:
            left = HEAD_TIMEOUT - waited
            if left <= 0.0:
                self._refuse(ProtocolError("the head did not come in time", 408))
                return
        elif waited >= IDLE_TIMEOUT and self._body is not None:
            self._drop(Reason.IDLE_TIMEOUT)
            return
        elif waited >= IDLE_TIMEOUT and self.exchange is None:
            self._shut()
            return
        self._timer = clock.after(left, self._check)
