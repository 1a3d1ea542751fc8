"""A simulated client's end of one connection, and the calls it makes."""

from __future__ import annotations

from collections.abc import Iterable

from ..proxy.clock import Clock
from . import http1, http2
from .answer import CLOSED, RESET, Answer
from .pipe import Peer
from .serving import framed, readable
from .tls import TlsLine

Fields = list[tuple[bytes, bytes]]


class SimCall:
    """One request under way, with its answer as far as that has come."""

    def __init__(
        self, answer: Answer, method: bytes, scheme: bytes, target: bytes, host: bytes, fields: Fields
    ) -> None:
        self.answer = answer
        self.method = method
        self.scheme = scheme
        self.target = target
        self.host = host
        self.fields = fields
        self.body = b""
        self.began = 0.0
        self.before = 0  # requests that upstreams had seen
        self.done = False
        self.caller: SimCaller | None = None

    def frame(self, message: bytes) -> None:
        """Make it a call of gRPC."""
        self.body = framed(message)
        given = {name for name, _ in self.fields}
        needed = ((b"content-type", b"application/grpc"), (b"te", b"trailers"))
        self.fields += [pair for pair in needed if pair[0] not in given]

    def end(self, now: float, error: str = "") -> None:
        """It is over."""
        if not self.done:
            self.done = True
            self.answer.error = error
            self.answer.seconds = round(now - self.began, 3)


class SimCaller:
    """One connection of a client, for one call at a time. `port` is the client's, by which records are found."""

    def __init__(self, clock: Clock, peer: Peer, port: int, tls: TlsLine | None) -> None:
        self.clock = clock
        self.peer = peer
        self.port = port
        self.tls = tls
        self.call: SimCall | None = None
        peer.watcher = self._heard
        if peer.closed:  # at once, before anybody listened
            peer.tell()
        if tls is not None:
            tls.step(b"")

    @property
    def usable(self) -> bool:
        """Whether another call can be made on it."""
        return self.call is None and not self.peer.closed and (self.tls is None or not self.tls.closed)

    def begin(self, call: SimCall) -> None:
        """Send a request."""
        self.call = call
        call.caller = self
        call.began = self.clock.now
        self._ask(call)

    def send(self, data: bytes) -> None:
        (self.tls or self.peer).send(data)

    def leave(self) -> None:
        """Reset the connection, as a client does that waits no longer."""
        self.peer.reset()
        self._lost(CLOSED)

    def _heard(self) -> None:
        data = self.peer.take()
        if self.tls is not None:
            self.tls.step(data)
            data = self.tls.take()
        if data:
            self._take(data)
        if self.peer.closed or (self.tls is not None and (self.tls.ended or self.tls.broken)):
            self._ended()
            error = self.tls.broken if self.tls is not None else ""
            self._lost(error or (RESET if self.peer.reset_seen else CLOSED))
            if not self.peer.reset_seen:
                self.peer.end()

    def _lost(self, error: str) -> None:
        if self.call is not None:
            self.call.end(self.clock.now, error)
            self.call = None

    def _finish(self) -> None:
        if self.call is not None:
            self.call.end(self.clock.now)
            self.call = None

    def _ask(self, call: SimCall) -> None:
        raise NotImplementedError

    def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def _ended(self) -> None:
        """The connection ends; what lasted until then is whole."""


class Http1Caller(SimCaller):
    def __init__(self, clock: Clock, peer: Peer, port: int, tls: TlsLine | None) -> None:
        super().__init__(clock, peer, port, tls)
        self._reader = http1.Http1Reader(True)

    def _ask(self, call: SimCall) -> None:
        self._reader.bodiless = call.method == b"HEAD"
        fields = [(b"host", call.host), *call.fields]
        if call.body:
            fields.append((b"content-length", b"%d" % len(call.body)))
        self.send(http1.write(call.method + b" " + call.target + b" HTTP/1.1", fields, call.body))

    def _take(self, data: bytes) -> None:
        for message in self._reader.feed(data):
            self._answered(message)

    def _ended(self) -> None:
        message = self._reader.end()
        if message is not None:
            self._answered(message)

    def _answered(self, message: http1.Http1Message) -> None:
        if self.call is None:
            return
        answer = self.call.answer
        answer.status = message.status
        answer.headers = readable(message.fields)
        answer.body = message.body
        answer.trailers = readable(message.trailers)
        self._finish()


class Http2Caller(SimCaller):
    def __init__(self, clock: Clock, peer: Peer, port: int, tls: TlsLine | None) -> None:
        self._connection = http2.SimHttp2Connection(client=True)
        self._gone = False
        super().__init__(clock, peer, port, tls)

    @property
    def usable(self) -> bool:
        return super().usable and not self._gone

    def _ask(self, call: SimCall) -> None:
        stream = self._connection.open()
        head = [
            (b":method", call.method), (b":scheme", call.scheme), (b":authority", call.host), (b":path", call.target)
        ]  # fmt: skip
        fields: Iterable[tuple[bytes, bytes]] = ((name.lower(), value) for name, value in call.fields)
        self._connection.send_fields(stream, [*head, *fields], ended=not call.body)
        if call.body:
            self._connection.send_data(stream, call.body, ended=True)
        self.send(self._connection.take())

    def _take(self, data: bytes) -> None:
        for event in self._connection.receive(data):
            self._gone = self._gone or event.goaway
            call = self.call
            if call is None:
                continue
            answer = call.answer
            if event.reset >= 0:
                self._lost(RESET)
                continue
            if event.fields:
                self._take_fields(answer, event.fields)
            answer.body += event.data
            if event.ended:
                self._finish()
        out = self._connection.take()
        if out:
            self.send(out)

    @staticmethod
    def _take_fields(answer: Answer, fields: Fields) -> None:
        head = dict(fields)
        status = int(head.get(b":status", b"0"))
        if status and status < 200:
            return
        found = readable(pair for pair in fields if pair[0] != b":status")
        if status:
            answer.status, answer.headers = status, found
        else:
            answer.trailers = found


class BytesCaller(SimCaller):
    """A connection without HTTP: what comes back first is the answer."""

    def _ask(self, call: SimCall) -> None:
        if call.body:
            self.send(call.body)

    def _take(self, data: bytes) -> None:
        if self.call is not None:
            self.call.answer.body += data
            self._finish()
