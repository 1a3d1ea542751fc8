"""One stream of a connection to an endpoint: the upstream side of a call."""

from __future__ import annotations

from typing import Final

from mypy_extensions import trait

from ...reasons import Reason
from ..http.head import Edits, RequestHead, ResponseHead
from ..http.stream import Requester, Stream
from ..transport import SILENT, Buffer, Transport
from .codes import CANCEL, NO_ERROR
from .fault import Http2Fault
from .head import Head
from .heads import request_opening, response_of
from .receiver import Receiver
from .sending import Sending
from .stream import CLOSED, ON_SENT_END, Http2Stream
from .tunnel import StreamTransport

#: An endpoint's breaches of the protocol are one thing to a request, whichever rule it was.
FIRST_BREACH: Final = int(Reason.HTTP2_PROTOCOL_ERROR)
LAST_BREACH: Final = int(Reason.HTTP2_WINDOW_UPDATE_FLOOD)

#: Why a connection was never made: what is said of that is the system's word, not the peer's.
NEVER_MADE: Final = frozenset({Reason.UPSTREAM_CONNECTION_FAILURE, Reason.LOCAL_CONNECTION_FAILURE})


@trait
class ClientCarrier:
    """What a stream asks of its connection, which has sent so many `requests` by now."""

    __slots__ = ()

    transport: Transport
    requests: int
    answering: list[ClientStream]  # whose `tell_head` is called when all is read that has come by now

    def begin(self) -> None:
        """One more request is sent."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what the codec has to be sent."""
        raise NotImplementedError

    def left(self, stream: ClientStream) -> None:
        """A stream has no more requester."""
        raise NotImplementedError

    def retire(self) -> None:
        """Take no more requests."""
        raise NotImplementedError


class ClientStream(Receiver, Stream):
    """From the request to the end of the response, or until the requester gives it up."""

    __slots__ = (
        "_codec", "_carrier", "_stream", "_requester", "_method", "_upgrade", "_answered", "_unprocessed",
        "_paused", "_blocked", "_tunnel", "response", "protocol", "transport", "reused",
    )  # fmt: skip

    def __init__(self, codec: Sending, carrier: ClientCarrier) -> None:
        self._codec = codec
        self._carrier = carrier
        self.protocol = b"HTTP/2"
        self.transport = carrier.transport
        self.reused = carrier.requests > 0
        self._stream: Http2Stream | None = None  # once the request is sent
        self._requester: Requester | None = None
        self._method = b""
        self._upgrade = b""  # the protocol that the request asks to change to
        self._answered = False  # something of a response has come
        self.response: ResponseHead | None = None  # not told yet: what comes with the head is told along with it
        self._unprocessed = False
        self._paused = False  # the requester takes no more of the response for now
        self._blocked = False  # the requester was told that no more of the request goes out for now
        self._tunnel: StreamTransport | None = None  # what the stream has become

    @property
    def sent(self) -> bool:
        """Whether the request is."""
        return self._stream is not None

    # --- what the requester calls

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
        carrier, codec = self._carrier, self._codec
        self._requester = requester
        self._method = head.method
        self._upgrade = head.fields.upgrade
        carrier.begin()
        over = ended and not data and not trailers and not self._upgrade
        stream = self._stream = codec.open(self, head.method == b"HEAD")
        codec.send_head(stream, request_opening(head, path, authority), edits, over)
        if data:
            codec.send_data(stream, data if isinstance(data, bytes) else bytes(data), ended and not trailers)
        if ended and trailers:
            codec.send_trailers(stream, trailers)
        carrier.flush()

    def send(self, data: Buffer) -> None:
        if self._stream is not None:
            self._codec.send_data(self._stream, bytes(data), False)
            self._carrier.flush()

    def finish(self, trailers: list[bytes]) -> None:
        stream = self._stream
        if stream is not None and not self._upgrade:
            if trailers:
                self._codec.send_trailers(stream, trailers)
            else:
                self._codec.send_data(stream, b"", True)
            self._carrier.flush()

    def cancel(self) -> None:
        stream = self._stream
        self._requester = None
        if stream is None:
            if self.is_stale():
                self._carrier.retire()
        elif self._tunnel is not None:
            self._tunnel.close()
        elif stream.state != CLOSED:
            self._codec.reset(stream, CANCEL)
            self._carrier.flush()
        self._carrier.left(self)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._stream is not None:
            self._codec.taken(self._stream, self._stream.untaken)
            self._carrier.flush()

    @property
    def pending(self) -> int:
        waiting = self.transport.pending + (self._stream.pending if self._stream is not None else 0)
        self._blocked = waiting > 0
        return waiting

    def is_stale(self) -> bool:
        # Only a connection that is idle may have been closed unseen: others are read.
        return not self._codec.streams and self.transport.stale

    @property
    def untouched(self) -> bool:
        return self.reused and not self._answered

    @property
    def unprocessed(self) -> bool:
        return self._unprocessed

    # --- what the codec tells

    def head(self, head: Head, ended: bool) -> None:
        requester, stream = self._requester, self._stream
        self._answered = True
        if requester is None or stream is None:
            return
        if self._upgrade and 200 <= head.status < 300 and not ended:
            self._switch(requester, stream, head)
            return
        response = response_of(head, ended, self._method)
        if ended:
            self._end(stream)
            requester.responded(response, b"", True)
        else:
            self.response = response
            self._carrier.answering.append(self)

    def tell_head(self) -> None:
        """Nothing has come with the response's head."""
        response, self.response = self.response, None
        if response is not None and self._requester is not None:
            self._requester.responded(response, b"", False)

    def informed(self, head: Head) -> None:
        self._answered = True
        if self._requester is not None:
            self._requester.informed(response_of(head, False, self._method))

    def data(self, data: bytes, ended: bool) -> bool:
        requester, stream = self._requester, self._stream
        if self._tunnel is not None:
            self._tunnel.received(data, ended)
            return False
        if requester is not None and stream is not None:
            if ended:
                self._end(stream)
            response = self.response
            if response is not None:
                self.response = None
                requester.responded(response, data, ended)
            else:
                requester.response_data(data, ended, [])
        return not self._paused

    def trailers(self, trailers: list[bytes]) -> None:
        if self.response is not None:
            self.tell_head()
        requester, stream = self._requester, self._stream
        if self._tunnel is not None:
            self._tunnel.received(b"", True)
        elif requester is not None and stream is not None:
            self._end(stream)
            requester.response_data(b"", True, trailers)

    def drained(self) -> None:
        if self._tunnel is not None:
            self._tunnel.drained()
        elif self._blocked and not self.transport.pending:
            self._unblock()

    def failed(self, fault: Http2Fault) -> None:
        if self.response is not None:
            self.tell_head()
        requester, tunnel = self._requester, self._tunnel
        self._unprocessed = fault.unprocessed
        if tunnel is not None:
            tunnel.failed(fault)
        elif requester is not None:
            self._requester = None
            self._carrier.left(self)
            told = not fault.remote or self._stream is None or fault.reason in NEVER_MADE
            requester.failed(reason_of(fault), fault.text if told else "")

    # --- what the connection tells

    def transport_drained(self) -> None:
        """The endpoint's connection takes more."""
        if self._tunnel is not None:
            self._tunnel.drained()
        elif self._blocked and (self._stream is None or self._stream.waiting is None):
            self._unblock()

    # --- inside

    def _end(self, stream: Http2Stream) -> None:
        """The response is complete: the requester is done with us, and the rest of its request is not wanted."""
        self._requester = None
        if ON_SENT_END[stream.state] >= 0 and stream.writing:
            self._codec.reset(stream, NO_ERROR)
        self._carrier.left(self)

    def _unblock(self) -> None:
        self._blocked = False
        if self._requester is not None:
            self._requester.upstream_drained()

    def _switch(self, requester: Requester, stream: Http2Stream, head: Head) -> None:
        """A 2xx to an extended CONNECT is what HTTP/1.1 says by 101 (RFC 8441 section 5)."""
        answer = response_of(head, False, self._method)
        changed = ResponseHead(101, b"", answer.lines, answer.names, upgrade=self._upgrade)
        tunnel = self._tunnel = StreamTransport(SILENT, self._codec, stream, self._carrier.flush)
        tunnel.remote, tunnel.local = self.transport.remote, self.transport.local
        requester.switched(changed, tunnel, b"")


def reason_of(fault: Http2Fault) -> Reason:
    """Why a request failed whose stream did."""
    reason = fault.reason
    if reason is Reason.HTTP2_REMOTE_RESET:
        return Reason.UPSTREAM_REMOTE_RESET
    if FIRST_BREACH <= int(reason) <= LAST_BREACH:
        return Reason.UPSTREAM_PROTOCOL_ERROR
    return reason
