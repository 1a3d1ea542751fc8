"""A fake upstream's end of one connection: it reads HTTP/1.1, HTTP/2, TLS around them, or bytes, and does its deeds."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from ..proxy.accept.proxy_protocol import read_header
from ..proxy.clock import Clock
from ..proxy.http2.frames import PREFACE
from ..proxy.preamble import SIGNATURE
from . import http1, http2
from .deeds import Act, Deed, SeenRequest
from .network import SimServer
from .pipe import Peer
from .tls import TlsLine
from .upstream import Station

#: A ClientHello's first byte (RFC 8446 section 5.1).
HANDSHAKE = 0x16

METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")

#: What the PROXY protocol begins with.
ANNOUNCING = (b"PROXY ", SIGNATURE)

#: RST_STREAM's code where a pod gives a stream up.
INTERNAL_ERROR = 2


class Line(Protocol):
    """Where bytes come from and go to: a connection, or what is within its TLS."""

    def send(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def reset(self) -> None: ...


class FakeServer(SimServer):
    """One port of a pod."""

    def __init__(self, station: Station, port: int, clock: Clock, tls: Callable[[], ssl.SSLContext]) -> None:
        super().__init__()
        self.station = station
        self.port = port
        self.clock = clock
        self.tls = tls
        station.add(self)

    def opened(self, peer: Peer, namespace: int) -> None:
        Serving(self, peer)


class Serving:
    """One connection. What is spoken on it shows with its first bytes."""

    def __init__(self, server: FakeServer, peer: Peer) -> None:
        self.server = server
        self.peer = peer
        self.line: Line = peer
        self.tls: TlsLine | None = None
        self._speaker: Speaker | None = None
        self._first = b""
        self._announcement = b""
        self.announced: str | None = None
        server.station.peers.add(peer)
        peer.watcher = self._heard
        if server.station.greeting:
            peer.send(server.station.greeting)

    def _heard(self) -> None:
        data = self._announcement + self.peer.take()
        self._announcement = b""
        if self.tls is None and self._speaker is None and self.announced is None and data.startswith(ANNOUNCING):
            header = read_header(data)
            if header is None:
                self._announcement = data
                return
            self.announced, data = header[1], data[header[0] :]
        if self.tls is None and self._speaker is None and data[:1] and data[0] == HANDSHAKE:
            self.line = self.tls = TlsLine(self.peer, self.server.tls(), server=True)
        if self.tls is not None:
            self.tls.step(data)
            data = self.tls.take()
        if data:
            self._take(data)
        if self.peer.closed:
            self.server.station.peers.discard(self.peer)
            if not self.peer.reset_seen and self._speaker is not None:
                self._speaker.ended()

    def _take(self, data: bytes) -> None:
        if self._speaker is None:
            data, self._first = self._first + data, b""
            if PREFACE.startswith(data[: len(PREFACE)]) and len(data) < len(PREFACE):
                self._first = data
                return
            if data.startswith(PREFACE):
                self._speaker = Http2Speaker(self)
            else:
                self._speaker = Http1Speaker(self) if data.startswith(METHODS) else BytesSpeaker(self)
        self._speaker.take(data)

    def seen(self, **what: object) -> SeenRequest:
        station = self.server.station
        return SeenRequest(
            pod=station.name,
            port=self.server.port,
            at=self.server.clock.now,
            tls=self.tls is not None,
            announced=self.announced,
            **what,  # type: ignore[arg-type]
        )

    def act(self, deed: Deed, answer: Callable[[], None]) -> None:
        """Do it, at once or later."""
        deeds = {Act.ANSWER: answer, Act.RESET: self.line.reset, Act.CLOSE: self.line.end, Act.HANG: nothing}
        if deed.after:
            self.server.clock.after(deed.after, deeds[deed.act])
        else:
            deeds[deed.act]()


def nothing() -> None:
    """What one does who hangs."""


class Speaker:
    """One protocol on a connection."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.station = serving.server.station

    def take(self, data: bytes) -> None:
        raise NotImplementedError

    def ended(self) -> None:
        """The proxy says no more."""
        self.serving.line.end()


class Http1Speaker(Speaker):
    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._reader = http1.Http1Reader(False)
        self._tunnel: BytesSpeaker | None = None  # what follows a CONNECT

    def take(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.take(data)
            return
        for message in self._reader.feed(data):
            method, path, _ = message.start.split(b" ", 2)
            seen = self.serving.seen(
                method=method.decode(),
                path=path.decode("latin-1"),
                host=message.field(b"host").decode("latin-1"),
                headers=readable(message.fields),
                body=message.body,
            )
            deed = self.station.deed_for(seen)
            if method == b"CONNECT" and deed.act is Act.ANSWER and deed.status == 200:
                self._tunnel = BytesSpeaker(self.serving)
                self.serving.act(deed, lambda: self.serving.line.send(b"HTTP/1.1 200 OK\r\n\r\n"))
                return
            self.serving.act(deed, partial(self._answer, deed, seen))

    def _answer(self, deed: Deed, seen: SeenRequest) -> None:
        fields, body, trailers = answered(deed, seen)
        start = b"HTTP/1.1 %d %b" % (deed.status, b"OK" if deed.status == 200 else b"-")
        if trailers:  # gRPC has no other place for its status
            fields.append((b"transfer-encoding", b"chunked"))
            rest = b"".join(b"%b: %b\r\n" % pair for pair in trailers)
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.serving.line.send(http1.write(start, fields, chunk + b"0\r\n" + rest + b"\r\n"))
            return
        if deed.status not in http1.BODILESS:
            fields.append((b"content-length", b"%d" % len(body)))
        bodiless = seen.method == "HEAD" or deed.status in http1.BODILESS
        self.serving.line.send(http1.write(start, fields, b"" if bodiless else body))


class Http2Speaker(Speaker):
    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._connection = http2.SimHttp2Connection(client=False)
        self._heads: dict[int, list[tuple[bytes, bytes]]] = {}
        self._bodies: dict[int, bytes] = {}
        self._flush()

    def take(self, data: bytes) -> None:
        for event in self._connection.receive(data):
            stream = event.stream
            if event.reset >= 0:
                self._heads.pop(stream, None)
                continue
            if event.fields and stream not in self._heads:
                self._heads[stream] = event.fields
            self._bodies[stream] = self._bodies.get(stream, b"") + event.data
            if event.ended:
                self._ended(stream)
        self._flush()

    def _ended(self, stream: int) -> None:
        fields, body = self._heads[stream], self._bodies.pop(stream)
        pseudo = {name: value.decode("latin-1") for name, value in fields if name[:1] == b":"}
        seen = self.serving.seen(
            method=pseudo[b":method"],
            path=pseudo.get(b":path", ""),
            host=pseudo.get(b":authority", ""),
            headers=readable(pair for pair in fields if pair[0][:1] != b":"),
            body=body,
            protocol="HTTP/2",
        )
        deed = self.station.deed_for(seen)
        self.serving.act(deed, partial(self._answer, stream, deed, seen))

    def _answer(self, stream: int, deed: Deed, seen: SeenRequest) -> None:
        if stream not in self._heads:
            return  # the proxy has given it up
        fields, body, trailers = answered(deed, seen)
        head = [(b":status", b"%d" % deed.status), *fields]
        if seen.method == "HEAD":
            body = b""
        self._connection.send_fields(stream, head, ended=not body and not trailers)
        if body:
            self._connection.send_data(stream, body, ended=not trailers)
        if trailers:
            self._connection.send_fields(stream, trailers, ended=True)
        del self._heads[stream]
        self._flush()

    def _flush(self) -> None:
        out = self._connection.take()
        if out:
            self.serving.line.send(out)


class BytesSpeaker(Speaker):
    """No HTTP: the first bytes are a request, and what else comes is sent back as it is."""

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._asked = False
        self._echoes = False

    def take(self, data: bytes) -> None:
        if not self._asked:
            self._asked = True
            seen = self.serving.seen(body=data, protocol="TCP")
            deed = self.station.deed_for(seen)
            self._echoes = deed.act is Act.ANSWER and deed.body is None
            if not self._echoes:
                self.serving.act(deed, lambda: self.serving.line.send(deed.body or b""))
        if self._echoes:
            self.serving.line.send(data)


def readable(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Fields by name, several values joined."""
    found: dict[str, str] = {}
    for name, value in fields:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def answered(deed: Deed, seen: SeenRequest) -> tuple[list[tuple[bytes, bytes]], bytes, list[tuple[bytes, bytes]]]:
    """An answer's fields, body and trailers."""
    body = seen.pod.encode() if deed.body is None else deed.body
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in deed.headers.items()]
    if not seen.is_grpc or deed.status != 200:
        return fields, body, []
    if not any(name == b"content-type" for name, _ in fields):
        fields.append((b"content-type", b"application/grpc"))
    status = [(b"grpc-status", b"%d" % deed.grpc_status)]
    if deed.grpc_message:
        status.append((b"grpc-message", deed.grpc_message.encode()))
    return fields, framed(body) if deed.grpc_status == 0 else b"", status


def framed(message: bytes) -> bytes:
    """A message of gRPC in its frame (gRPC over HTTP/2, Length-Prefixed-Message)."""
    return b"\x00" + len(message).to_bytes(4, "big") + message
