"""The load of suite `instructions`: requests, calls and connections, as many as asked for, and a look at each answer.

Each request has an id, a trace and a cookie of its own."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod

import h2.config
import h2.connection
import h2.events

from . import rules
from .processes import Failed
from .proxy import LOOPBACK
from .relay_upstream import ADDRESS, ECHO
from .upstream import content

#: The pods' addresses, beside those of rules.py.
CALLED, STORED = "127.77.2.1", ADDRESS

SMALL = content("/small")
MESSAGE = b"\x00\x00\x00\x00\x07\x0a\x05world"  # of gRPC
TALK = ECHO + b"x" * 64

PATIENCE = 120.0  # seconds for an answer: callgrind is slow, and so may the machine be


def own(number: int) -> tuple[str, str, str]:
    """One request's id, trace and cookie."""
    return (
        f"{number * 2654435761 % 2**32:08x}-1234-4abc-9def-{number * 40503:012x}",
        f"00-{number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128:032x}-{number * 97 + 1:016x}-01",
        f"session={number * 0x5851F42D4C957F2D % 2**64:016x}; theme=dark",
    )


class Load(ABC):
    """One kind of work, done in rounds of several at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.number = 0

    def dial(self) -> socket.socket:
        sock = socket.create_connection((LOOPBACK, self.port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    @abstractmethod
    def round(self) -> int:
        """One round; how many were done."""

    def rounds(self, count: int) -> int:
        return sum(self.round() for _ in range(count))

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""


class Requests(Load):
    """HTTP/1.1 requests on kept connections, each with a query of its own, held against all ten rules."""

    CONNECTIONS = 32

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.socks = [self.dial() for _ in range(self.CONNECTIONS)]

    def target(self) -> str:
        return f"/small?item={self.number}"

    def head(self) -> bytes:
        self.number += 1
        name, trace, cookie = own(self.number)
        return (
            f"GET {self.target()} HTTP/1.1\r\nHost: {rules.HOST}\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"
            f"Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\nX-Request-Id: {name}\r\ntraceparent: {trace}\r\n"
            f"Cookie: {cookie}\r\nend-user: alice\r\nx-device: desktop\r\nx-forwarded-for: 10.1.2.3\r\n\r\n"
        ).encode()

    def round(self) -> int:
        for sock in self.socks:
            sock.sendall(self.head())
        for sock in self.socks:
            answer = b""
            while not answer.endswith(SMALL):
                piece = sock.recv(4096)
                answer += piece
                if not piece or not answer.startswith(b"HTTP/1.1 200"):
                    raise Failed(f"a request was answered by {answer!r}")
        return len(self.socks)

    def close(self) -> None:
        for sock in self.socks:
            sock.close()


class Alike(Requests):
    """The same, for one path, whose answers are the same but for their second."""

    def target(self) -> str:
        return "/alike/small"


class Calls(Load):
    """Unary gRPC calls, several at once on each kept HTTP/2 connection, to a pod that speaks HTTP/2, too."""

    CONNECTIONS = 8
    STREAMS = 4

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.peers = [self.greet() for _ in range(self.CONNECTIONS)]

    def greet(self) -> tuple[socket.socket, h2.connection.H2Connection]:
        sock = self.dial()
        peer = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        peer.initiate_connection()
        sock.sendall(peer.data_to_send())
        return sock, peer

    def ask(self, peer: h2.connection.H2Connection) -> None:
        self.number += 1
        name, trace, cookie = own(self.number)
        stream = peer.get_next_available_stream_id()
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/helloworld.Greeter/SayHello"),
            (":authority", "calls:50051"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-go/1.64.0"),
            ("grpc-accept-encoding", "gzip"),
            ("grpc-timeout", f"{900 + self.number % 100}S"),
            ("x-request-id", name),
            ("traceparent", trace),
            ("cookie", cookie),
        ]
        peer.send_headers(stream, fields)
        peer.send_data(stream, MESSAGE, end_stream=True)

    def round(self) -> int:
        for sock, peer in self.peers:
            for _ in range(self.STREAMS):
                self.ask(peer)
            sock.sendall(peer.data_to_send())
        for sock, peer in self.peers:
            left = self.STREAMS
            while left:
                for event in peer.receive_data(sock.recv(65536)):
                    if isinstance(event, h2.events.ResponseReceived) and (":status", "200") not in event.headers:
                        raise Failed(f"a call was answered by {event.headers}")
                    if isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                        raise Failed(f"a call was ended by {event}")
                    if isinstance(event, h2.events.DataReceived):
                        peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    left -= isinstance(event, h2.events.StreamEnded)
            sock.sendall(peer.data_to_send())
        return len(self.peers) * self.STREAMS

    def close(self) -> None:
        for sock, _ in self.peers:
            sock.close()


class Connections(Load):
    """Short TCP connections: a talk there and back, and the end."""

    AT_ONCE = 8

    def round(self) -> int:
        socks = [self.dial() for _ in range(self.AT_ONCE)]
        for sock in socks:
            sock.sendall(TALK)
        for sock in socks:
            answer = b""
            while len(answer) < len(TALK) - len(ECHO):
                piece = sock.recv(4096)
                answer += piece
                if not piece:
                    raise Failed(f"a connection was answered by {answer!r}")
            sock.close()
        return len(socks)

    def close(self) -> None:
        """None is kept."""
