"""Both ends of a connection in tests: frames by hand for the peer's, and a role that writes down what it is told."""

from __future__ import annotations

from typing import NamedTuple

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.connection import Http2Connection
from nodemesh.proxy.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.proxy.http2.receiver import Receiver
from nodemesh.proxy.http2.role import Role
from nodemesh.proxy.http2.stream import Http2Stream
from nodemesh.proxy.http2.writer import Opening

REQUEST = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
RESPONSE = [(b":status", b"200"), (b"x-a", b"b")]


def opening(fields: list[tuple[bytes, bytes]]) -> Opening:
    """A head as it is sent."""
    return Opening(None, fields, frozenset([name for name, _ in fields]), ())


RESPONSE_HEAD = opening(RESPONSE)


class Frame(NamedTuple):
    kind: int
    flags: int
    id: int
    payload: bytes

    @property
    def number(self) -> int:
        """The payload of RST_STREAM and WINDOW_UPDATE; a GOAWAY's code."""
        return int.from_bytes(self.payload[4:8] or self.payload, "big")


def frame(kind: int, flags: int = 0, id: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + id.to_bytes(4, "big") + payload


def frames(data: bytes) -> list[Frame]:
    found = []
    if data.startswith(PREFACE):
        data = data[len(PREFACE) :]
    while data:
        end = 9 + int.from_bytes(data[:3], "big")
        assert len(data) >= end
        found.append(Frame(data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:end]))
        data = data[end:]
    return found


def literal(name: bytes, value: bytes, first: int = 0) -> bytes:
    """A field without indexing (or as `first` says), the name spelled out, without Huffman."""
    return bytes((first,)) + prefixed(len(name)) + name + prefixed(len(value)) + value


def prefixed(size: int) -> bytes:
    """A string's length."""
    if size < 127:
        return bytes((size,))
    found, size = [127], size - 127
    while size >= 128:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes((*found, size))


def block(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


def headers(id: int, fields: list[tuple[bytes, bytes]] = REQUEST, ended: bool = True) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if ended else 0), id, block(fields))


def data(id: int, payload: bytes = b"", ended: bool = False) -> bytes:
    return frame(DATA, END_STREAM if ended else 0, id, payload)


def reset(id: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, 0, id, code.to_bytes(4, "big"))


def update(id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, id, increment.to_bytes(4, "big"))


def settings(*values: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values))


def ping(payload: bytes = b"12345678", flags: int = 0) -> bytes:
    return frame(PING, flags, 0, payload)


class Log(Receiver):
    """A stream's user: writes down what comes, and takes bodies at once unless it is told to keep them."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.stream: Http2Stream | None = None

    def note(self, *event) -> None:
        self.recorder.events.append((self.stream.id if self.stream else 0, *event))

    def head(self, head, ended):
        start = head.status or (head.method, head.scheme, head.authority, head.path, head.protocol)
        self.note("head", start, tuple(head.fields), ended)

    def informed(self, head):
        self.note("informed", head.status)

    def oversized(self, head, fault, ended):
        self.note("oversized", head.path, fault.reason, ended)

    def data(self, data, ended):
        self.note("data", data, ended)
        return self.recorder.taking

    def trailers(self, trailers):
        self.note("trailers", tuple(trailers))

    def drained(self):
        self.note("drained")

    def failed(self, fault):
        self.note("failed", fault.code, fault.reason, fault.unprocessed)


class Recorder(Role):
    """A connection's user."""

    def __init__(self, server: bool = True, limits: Http2Limits | None = None, now: float = 0.0) -> None:
        self.events: list[tuple] = []
        self.receivers: dict[int, Log] = {}
        self.taking = True
        self.connection = Http2Connection(self, server, limits or Http2Limits(), now)

    def start(self, *values: tuple[int, int]) -> Recorder:
        """Exchange preface and settings; nothing of it stays in `events` or unsent."""
        self.receive((PREFACE if self.connection.server else b"") + settings(*values) + frame(SETTINGS, 1))
        self.events.clear()
        return self

    def receive(self, data: bytes, now: float = 0.0) -> list[Frame]:
        """What the connection answers to these bytes."""
        self.connection.receive(data, now)
        return self.sent()

    def sent(self) -> list[Frame]:
        found = frames(self.connection.outgoing())
        self.connection.flushed()
        return found

    def stream(self, id: int):
        return self.connection.streams[id]

    def request(self, fields=REQUEST, ended: bool = True):
        """Client: open a stream."""
        receiver = Log(self)
        receiver.stream = self.connection.open(receiver, fields[0][1] == b"HEAD")
        self.connection.send_head(receiver.stream, opening(fields), NO_EDITS, ended)
        self.receivers[receiver.stream.id] = receiver
        return receiver.stream

    def opened(self, stream):
        receiver = self.receivers[stream.id] = self.make(stream)
        receiver.stream = stream
        return receiver

    def make(self, stream) -> Log:
        return Log(self)

    def refused(self, head, fault):
        self.events.append((0, "refused", head.path, fault.code, fault.reason))

    def released(self, stream):
        self.events.append((stream.id, "released"))

    def settled(self):
        self.events.append((0, "settled"))

    def ponged(self, payload):
        self.events.append((0, "ponged", payload))

    def leaving(self, fault):
        self.events.append((0, "leaving", fault.code))

    def broken(self, fault):
        self.events.append((0, "broken", fault.code, fault.reason))


def served(*values: tuple[int, int], streams: int = 1) -> Recorder:
    """A server with so many requests, each of which has the head of its answer."""
    peer = Recorder().start(*values)
    for id in range(1, 2 * streams, 2):
        peer.receive(headers(id))
        peer.connection.send_head(peer.stream(id), RESPONSE_HEAD, NO_EDITS, False)
    peer.sent()
    peer.events.clear()
    return peer
