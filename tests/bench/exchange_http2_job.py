"""The measured half of suite `exchange` over HTTP/2: calls of gRPC on one connection, to an endpoint that speaks it.

Both peers write fields without a table, so that they cost little; what we write to them has ours."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from nodemesh.proxy.http2.encoder import Encoder
from nodemesh.proxy.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    begin,
    write_settings,
    write_window_update,
)
from nodemesh.proxy.transport import Transport

from . import rules
from .exchange_job import Driver, Fault, Pipe, measure, open_log
from .upstream import MESSAGE, METHOD, framed

REQUEST = [
    (b":method", b"POST"),
    (b":path", METHOD.encode()),
    (b":scheme", b"http"),
    (b":authority", rules.HOST.encode()),
    (b"user-agent", b"grpc-c/31.0"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]
RESPONSE = [
    (b":status", b"200"),
    (b"server", b"nginx/1.22.1"),
    (b"date", b"Fri, 02 Jan 2026 12:00:00 GMT"),
    (b"content-type", b"application/grpc"),
    (b"x-pod", b"reviews-v1-0"),
]
TRAILERS = [(b"grpc-status", b"0"), (b"grpc-message", b"")]
GREETING = write_settings([]) + write_window_update(bytes(4), 1 << 30)


def frame(kind: int, flags: int, name: bytes, payload: bytes) -> bytes:
    return begin(len(payload), kind, flags) + name + payload


class Prompting(Pipe):
    """Asks its handler what it has to say when the turn ends, as the loop does."""

    prompted: dict[Transport, None] = {}

    def prompt(self) -> None:
        self.prompted[self] = None

    @classmethod
    def end_turn(cls) -> None:
        while cls.prompted:
            cls.prompted.popitem()[0].handler.prompted()


class Calls(Driver):
    """One call after the other."""

    pipe = Prompting

    def __init__(self, log: int) -> None:
        super().__init__(log, "grpc")
        self.stream = -1
        self.greeted: set[Pipe] = set()
        self.asked = Encoder().encode(REQUEST, ())
        self.answered, self.trailers = Encoder().encode(RESPONSE, ()), Encoder().encode(TRAILERS, ())
        self.tell(self.downstream, PREFACE + GREETING)

    def tell(self, pipe: Pipe, data: bytes) -> None:
        pipe.handler.received(data)
        Prompting.end_turn()

    def request(self) -> tuple[bytes, bytes]:
        self.clock.now = time.monotonic()
        self.stream += 2
        name, message = self.stream.to_bytes(4, "big"), framed(MESSAGE)
        head = frame(HEADERS, END_HEADERS, name, self.asked)
        self.tell(self.downstream, head + frame(DATA, END_STREAM, name, message))
        for pipe in self.network.made:
            if not pipe.established:
                pipe.establish()
                Prompting.end_turn()
            if not pipe.sent:
                continue
            said = pipe.taken()
            if pipe not in self.greeted:
                self.greeted.add(pipe)
                self.tell(pipe, GREETING)
                pipe.taken()
            name = said[-len(message) - 4 : -len(message)]  # of the stream, in what said DATA last
            body = frame(HEADERS, END_HEADERS, name, self.answered) + frame(DATA, 0, name, message)
            self.tell(pipe, body + frame(HEADERS, END_HEADERS | END_STREAM, name, self.trailers))
            return said, self.downstream.taken()
        raise Fault(f"no upstream was asked; the client got {self.downstream.taken()!r}")


def main(log: Path) -> None:
    """One JSON object on standard output; the access log goes to the file named."""
    driver = Calls(open_log(log))
    asked, answered = driver.request()
    if framed(MESSAGE) not in asked or framed(MESSAGE) not in answered:
        raise Fault(f"asked the upstream {asked!r}, answered the client {answered!r}")
    print(json.dumps(measure(driver)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
