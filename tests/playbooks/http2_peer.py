"""A peer of HTTP/2 in a conversation, played by python-hyper's h2: our codec is not its own judge."""

from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.events

from nodemesh.sim.pipe import Peer
from nodemesh.sim.world import World

Headers = list[tuple[bytes, bytes]]

#: The type of its frame (RFC 9113 section 6.8).
GOAWAY = 7

#: A call of gRPC: its fields, and a message in its frame.
CALL = ((b"content-type", b"application/grpc"), (b"te", b"trailers"))
MESSAGE = b"\x00\x00\x00\x00\x02hi"


class Http2Peer:
    """One connection, as client or server. `events` are all that came, in order."""

    def __init__(self, world: World, peer: Peer, client: bool) -> None:
        self.world = world
        self.peer = peer
        config = h2.config.H2Configuration(client_side=client, header_encoding=None)
        self.codec = h2.connection.H2Connection(config)
        self.events: list[Any] = []
        self.codec.initiate_connection()
        self.turn()

    def turn(self) -> list[Any]:
        """Say what there is to say, let everything happen, and hear what comes of it; what has come since."""
        before = len(self.events)
        for _ in range(50):
            out = self.codec.data_to_send()
            if out and not self.peer.closed:
                self.peer.send(out)
            self.world.run()
            came = self.peer.take()
            if not came and not out:
                break
            if came:
                self.events += self.codec.receive_data(came)
        return self.events[before:]

    def ask(self, *fields: tuple[bytes, bytes], method: bytes = b"GET", path: bytes = b"/a?b=c", body: bytes = b"",
            ended: bool = True) -> int:  # fmt: skip
        """Send a request to `reviews`; its stream."""
        stream: int = self.codec.get_next_available_stream_id()
        head = [(b":method", method), (b":scheme", b"http"), (b":authority", b"reviews"), (b":path", path), *fields]
        self.codec.send_headers(stream, head, end_stream=ended and not body)
        if body:
            self.codec.send_data(stream, body, end_stream=ended)
        self.turn()
        return stream

    def answer(self, stream: int, *fields: tuple[bytes, bytes], status: bytes = b"200", body: bytes = b"hi",
               trailers: Headers | None = None) -> None:  # fmt: skip
        """As a server: a whole response."""
        self.codec.send_headers(stream, [(b":status", status), *fields], end_stream=not body and trailers is None)
        if body:
            self.codec.send_data(stream, body, end_stream=trailers is None)
        if trailers is not None:
            self.codec.send_headers(stream, trailers, end_stream=True)
        self.turn()

    def of(self, kind: type, stream: int | None = None) -> list[Any]:
        """The events of a kind, of one stream or of all."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and (stream is None or getattr(event, "stream_id", None) == stream)
        ]

    def head(self, stream: int) -> dict[bytes, bytes]:
        """The head that came on a stream: a response's, or a request's."""
        (event,) = self.of(h2.events.ResponseReceived, stream) or self.of(h2.events.RequestReceived, stream)
        return dict(event.headers)

    def body(self, stream: int) -> bytes:
        return b"".join(event.data for event in self.of(h2.events.DataReceived, stream))

    def trailers(self, stream: int) -> dict[bytes, bytes]:
        (event,) = self.of(h2.events.TrailersReceived, stream)
        return dict(event.headers)

    def is_over(self, stream: int) -> bool:
        return bool(self.of(h2.events.StreamEnded, stream))

    def resets(self, stream: int) -> list[int]:
        return [int(event.error_code) for event in self.of(h2.events.StreamReset, stream)]

    @property
    def requests(self) -> list[int]:
        """As a server: the streams that were opened, in order."""
        return [event.stream_id for event in self.of(h2.events.RequestReceived)]


def dial(world: World, port: int = 80) -> Http2Peer:
    """A client that knows that HTTP/2 is spoken."""
    return Http2Peer(world, world.connect("10.96.0.10", port), client=True)


def frames(data: bytes) -> list[tuple[int, int, bytes]]:
    """Type, stream and payload of each."""
    found = []
    while data:
        end = 9 + int.from_bytes(data[:3], "big")
        found.append((data[3], int.from_bytes(data[5:9], "big"), data[9:end]))
        data = data[end:]
    return found


def endpoint(world: World) -> Http2Peer:
    """The endpoint's end of the next connection, which speaks HTTP/2."""
    return Http2Peer(world, world.network.servers["10.1.0.1", 9080].accept(), client=False)
