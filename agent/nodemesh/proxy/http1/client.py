"""An HTTP/1.1 connection to an endpoint: carries one request at a time, and tells its requester what becomes of it."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ..clock import Timer
from ..http.connect_error import failure_of
from ..http.errors import ProtocolError
from ..http.head import Edits, RequestHead, ResponseHead
from ..http.pool import Pool
from ..http.stream import Exclusive, Requester
from ..outlet import Outlet
from ..transport import READ_SIZE, Buffer, Handler
from .body import BodyReader, ChunkedReader, CloseReader, LengthReader
from .receive import MAX_RESPONSE_HEAD, HeadBuffer
from .response import read_response
from .write import write_chunk, write_last_chunk, write_request

#: Interim responses (1xx) to one request; Go's client takes five.
MAX_INTERIM: Final = 16

#: From this size on a body is read without copying.
BULK_LENGTH: Final = 64 * 1024


class Http1Client(Handler, Exclusive):
    """One connection. It is its pool's while it has no requester."""

    __slots__ = (
        "pool", "outlet", "transport", "requester", "requests", "opened", "idle_since", "responding", "protocol",
        "_timer", "_buffer", "_body", "_method", "_upgrade", "_chunked", "_sent", "_close", "_interim", "name",
        "approach", "lane", "reused",
    )  # fmt: skip

    def __init__(self, pool: Pool, outlet: Outlet, name: str) -> None:
        self.pool = pool
        self.outlet = outlet
        self.lane = outlet.lane
        self.approach = pool.approach
        self.name = name  # the TLS server's
        self.requester: Requester | None = None
        self.requests = 0  # sent so far
        self.reused = False
        self.opened = pool.clock.now
        self.idle_since = 0.0
        self.protocol = b"HTTP/1.1"
        self.responding = False  # bytes of the present response have come
        self._buffer = HeadBuffer(MAX_RESPONSE_HEAD)
        self._body: BodyReader | None = None
        self._method = b""
        self._upgrade = b""  # the protocol that the present request asks to change to
        self._chunked = False
        self._sent = False  # the present request is sent completely
        self._close = False
        self._interim = 0  # responses (1xx) to the present request
        pool.line.open += 1
        target = pool.target
        self._timer: Timer | None = pool.clock.after(target.cluster.pool.connect_timeout, self.timed_out)
        self.transport = target.connect(pool.host, outlet, self, self.approach, name, "http/1.1")

    # what the requester calls

    def request(
        self,
        requester: Requester,
        head: RequestHead,
        path: bytes,
        authority: bytes,
        edits: Edits,
        data: Buffer,
        ended: bool,
        trailers: list[bytes],
    ) -> None:
        """Send a request, as much of it as there is."""
        self.requester = requester
        self.requests += 1
        self.reused = True
        self.responding = False
        self._method = head.method
        self._upgrade = head.fields.upgrade
        self._chunked = head.fields.length < 0
        self._close = False
        self._sent = ended
        message = write_request(head, path, authority, edits)
        if data:
            message += write_chunk(data) if self._chunked else data
        if ended and self._chunked:
            message += write_last_chunk(trailers)
        self.transport.send(message)

    def send(self, data: Buffer) -> None:
        """More of the request's body."""
        self.transport.send(write_chunk(data) if self._chunked else data)

    def finish(self, trailers: list[bytes]) -> None:
        """The request's body is complete."""
        self._sent = True
        if self._chunked:
            self.transport.send(write_last_chunk(trailers))

    def cancel(self) -> None:
        """The requester wants no answer any more: HTTP/1.1 can only say so by closing."""
        self.close()

    def pause(self) -> None:
        self.transport.pause()

    def resume(self) -> None:
        self.transport.resume()

    @property
    def pending(self) -> int:
        return self.transport.pending

    def is_stale(self) -> bool:
        return self.transport.stale

    @property
    def untouched(self) -> bool:
        return self.requests > 1 and not self.responding

    def became_idle(self, now: float) -> None:
        self.idle_since = now

    def close(self) -> None:
        """Give the connection up; nobody is told."""
        self.requester = None
        self._stop_timer()
        self.pool.forget(self)
        self.transport.close()

    # what the transport calls

    def connected(self) -> None:
        self._stop_timer()

    def received(self, data: Buffer) -> None:
        requester = self.requester
        if requester is None:  # nothing was asked
            self.close()
            return
        self.responding = True
        try:
            if self._body is not None:
                self._receive_body(self._body, requester, data)
            else:
                self._receive_head(requester, data if isinstance(data, bytes) else bytes(data))
        except ProtocolError as error:
            self._fail(Reason.UPSTREAM_PROTOCOL_ERROR, str(error))

    def ended(self) -> None:
        body, requester = self._body, self.requester
        if requester is not None and body is not None and body.end():
            self._release(False)
            requester.response_data(b"", True, [])
        else:
            self._fail(Reason.UPSTREAM_CONNECTION_TERMINATION, "")

    def drained(self) -> None:
        if self.requester is not None:
            self.requester.upstream_drained()

    def lost(self, error: OSError) -> None:
        self._fail(*failure_of(error, self.transport.established))

    def timed_out(self) -> None:
        """The connection did not stand in time."""
        self._timer = None
        self._fail(Reason.UPSTREAM_CONNECTION_TIMEOUT, "")

    # the response

    def _receive_head(self, requester: Requester, data: bytes) -> None:
        buffer = self._buffer
        text = buffer.cut(data)
        while text:
            head = read_response(text, self._method)
            rest = buffer.rest
            if head.status >= 200:
                self._start_body(requester, head, rest)
                return
            if head.status == 101:
                if not head.upgrade or head.upgrade.lower() != self._upgrade.lower():
                    raise ProtocolError("101 to a protocol that was not asked for")  # RFC 9110 section 15.2.2
                self.requester = None
                self._stop_timer()
                requester.switched(head, self.transport, rest)
                return
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise ProtocolError(f"more than {MAX_INTERIM} interim responses")
            requester.informed(head)
            if self.requester is not requester:
                return
            text = buffer.cut(rest) if rest else b""

    def _start_body(self, requester: Requester, head: ResponseHead, rest: bytes) -> None:
        self._close = head.close
        length = head.length
        if length == len(rest):  # the usual case: all of it in one read
            self._release(self._sent)
            requester.responded(head, rest, True)
            return
        body: BodyReader
        if length >= 0:
            body = LengthReader(length)
            self.transport.bulk = length >= BULK_LENGTH
        elif head.until_close:
            body = CloseReader()
            self.transport.bulk = True
        else:
            body = ChunkedReader()
        self._body = body
        data = body.read(rest)
        self.transport.appetite = body.appetite
        if body.done:
            self._release(self._sent and not body.rest)
        requester.responded(head, data, body.done and not body.trailers)
        if body.done and body.trailers:
            requester.response_data(b"", True, body.trailers)

    def _receive_body(self, body: BodyReader, requester: Requester, data: Buffer) -> None:
        payload = body.read(data)
        self.transport.appetite = body.appetite
        done = body.done
        if done:
            self._release(self._sent and not body.rest)
        if payload or done:
            requester.response_data(payload, done, body.trailers)

    # the end

    def _release(self, reusable: bool) -> None:
        """The exchange is over: back to the pool, or close."""
        self.requester = None
        self._body = None
        self._interim = 0
        self.transport.bulk = False
        self.transport.appetite = READ_SIZE
        if reusable and not self._close:
            self.pool.give(self)
        else:
            self.close()

    def _fail(self, reason: Reason, detail: str) -> None:
        requester = self.requester
        self.close()
        if requester is not None:
            requester.failed(reason, detail)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.pool.clock.cancel(self._timer)
            self._timer = None
