"""The measured half of suite `codec`: HPACK and HTTP/2 of our own and of python-hyper, on the heads of gRPC calls."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import hpack

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.connection import Http2Connection
from nodemesh.proxy.http2.decoder import Decoder
from nodemesh.proxy.http2.encoder import Encoder
from nodemesh.proxy.http2.fault import Http2Fault
from nodemesh.proxy.http2.frames import PREFACE
from nodemesh.proxy.http2.head import Head, Pair, read_request
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.proxy.http2.receiver import Receiver
from nodemesh.proxy.http2.role import Role
from nodemesh.proxy.http2.stream import Http2Stream
from nodemesh.proxy.http2.writer import Opening

CALLS = 2_000  # of one round
ROUNDS = 9

FIELDS = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/helloworld.Greeter/SayHello"),
    (b":authority", b"greeter.default.svc.cluster.local:50051"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"grpc-go/1.64.0"),
    (b"grpc-accept-encoding", b"gzip"),
]
ANSWER = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-accept-encoding", b"identity,gzip")]
OPENING = Opening(None, ANSWER, frozenset(), ())
LINES = [b"grpc-status: 0", b"grpc-message: "]
TRAILERS = [(b"grpc-status", b"0"), (b"grpc-message", b"")]
MESSAGE = b"\x00\x00\x00\x00\x07\x0a\x05world"


def heads(varying: bool) -> list[list[Pair]]:
    """The heads of a round: the same, or with another deadline, id and trace in each call, as meshes have it."""
    found = []
    for number in range(CALLS):
        own = number if varying else 0
        found.append(
            [
                *FIELDS,
                (b"grpc-timeout", b"%dm" % (900 + own % 100)),
                (b"x-request-id", b"%08x-1234-4abc-9def-%012x" % (own * 2654435761 % 2**32, own * 40503)),
                (b"traceparent", b"00-%032x-%016x-01" % (own * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128, own * 97)),
            ]
        )
    return found


def measure(prepare: Callable[[], Callable[[], None]]) -> float:
    """Microseconds of CPU per call: the median of rounds, each on a connection of its own."""
    times = []
    for _ in range(ROUNDS):
        deed = prepare()
        start = time.process_time()
        deed()
        times.append((time.process_time() - start) / CALLS * 1e6)
    return statistics.median(times)


def decode_ours(blocks: list[bytes]) -> Callable[[], None]:
    decoder = Decoder(Http2Limits())

    def deed() -> None:
        for block in blocks:
            read_request(decoder.read(block).fields, True)

    return deed


def decode_hpack(blocks: list[bytes]) -> Callable[[], None]:
    decoder = hpack.Decoder()

    def deed() -> None:
        for block in blocks:
            decoder.decode(block, raw=True)

    return deed


def encode_ours(fields: list[list[Pair]]) -> Callable[[], None]:
    encoder = Encoder()

    def deed() -> None:
        for head in fields:
            encoder.encode(head, ())

    return deed


def encode_hpack(fields: list[list[Pair]]) -> Callable[[], None]:
    encoder = hpack.Encoder()

    def deed() -> None:
        for head in fields:
            encoder.encode(head)

    return deed


class Answering(Receiver):
    """A unary method."""

    def __init__(self, connection: Http2Connection, stream: Http2Stream) -> None:
        self.connection = connection
        self.stream = stream

    def head(self, head: Head, ended: bool) -> None:
        pass

    def data(self, data: bytes, ended: bool) -> bool:
        connection, stream = self.connection, self.stream
        if ended:
            connection.send_head(stream, OPENING, NO_EDITS, False)
            connection.send_data(stream, data, False)
            connection.send_trailers(stream, LINES)
        return True

    def failed(self, fault: Http2Fault) -> None:
        raise AssertionError(fault.text)


class Server(Role):
    def __init__(self) -> None:
        self.connection = Http2Connection(self, True, Http2Limits(), 0.0)
        self.served = 0

    def opened(self, stream: Http2Stream) -> Receiver:
        self.served += 1
        return Answering(self.connection, stream)

    def broken(self, fault: Http2Fault) -> None:
        raise AssertionError(fault.text)


def serve_ours(wire: list[bytes]) -> Callable[[], None]:
    server = Server()
    server.connection.receive(wire[0], 0.0)

    def deed() -> None:
        connection = server.connection
        for piece in wire[1:]:
            connection.receive(piece, 0.0)
            connection.outgoing()
            connection.flushed()
        assert server.served == CALLS and not connection.streams

    return deed


def serve_h2(wire: list[bytes]) -> Callable[[], None]:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    connection.initiate_connection()
    connection.receive_data(wire[0])

    def deed() -> None:
        for piece in wire[1:]:
            for event in connection.receive_data(piece):
                if isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    connection.send_headers(event.stream_id, ANSWER)
                    connection.send_data(event.stream_id, event.data)
                    connection.send_headers(event.stream_id, TRAILERS, end_stream=True)
            connection.data_to_send()

    return deed


def calls(fields: list[list[Pair]]) -> list[bytes]:
    """What a client sends: its greeting, with all the window that the answers will need, then a call each."""
    encoder = hpack.Encoder()
    wire = [PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\4\x08\0\0\0\0\0\x3f\0\0\0"]
    for number, head in enumerate(fields):
        id = (2 * number + 1).to_bytes(4, "big")
        block = encoder.encode(head)
        wire.append(
            b"".join([len(block).to_bytes(3, "big"), b"\1\4", id, block])
            + b"".join([len(MESSAGE).to_bytes(3, "big"), b"\0\1", id, MESSAGE])
        )
    return wire


def main() -> None:
    """One JSON object on standard output."""
    found: dict[str, float] = {}
    for kind in ("steady", "varying"):
        fields = heads(kind == "varying")
        encoder = hpack.Encoder()
        blocks = [encoder.encode(head) for head in fields]
        wire = calls(fields)
        found[f"decode {kind} ours"] = measure(lambda blocks=blocks: decode_ours(blocks))
        found[f"decode {kind} hpack"] = measure(lambda blocks=blocks: decode_hpack(blocks))
        found[f"encode {kind} ours"] = measure(lambda fields=fields: encode_ours(fields))
        found[f"encode {kind} hpack"] = measure(lambda fields=fields: encode_hpack(fields))
        found[f"call {kind} ours"] = measure(lambda wire=wire: serve_ours(wire))
        found[f"call {kind} h2"] = measure(lambda wire=wire: serve_h2(wire))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
