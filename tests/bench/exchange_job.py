"""The measured half of suite `exchange`: the proxy's own code on an in-memory network, free of the kernel."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from nodemesh.config.load import load_object
from nodemesh.proxy.accept.reception import Reception
from nodemesh.proxy.clock import Clock
from nodemesh.proxy.gate import Account, Gate
from nodemesh.proxy.network import Network
from nodemesh.proxy.peer import ListenerRole
from nodemesh.proxy.proxy import Proxy
from nodemesh.proxy.transport import Buffer, Handler, Transport
from nodemesh.registry.snapshot import Endpoint
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import Keepalive
from nodemesh.telemetry.access_log import AccessLog
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.telemetry import Telemetry

from . import nodemesh, rules
from .cases import HEADERS
from .upstream import content

WARM_UP = 2_000
BATCH = 2_000  # requests between two looks at the clock
BATCHES = 15

REQUEST = b"GET /small HTTP/1.1\r\n%s\r\n" % b"".join(f"{n}: {v}\r\n".encode() for n, v in HEADERS.items())
BODY = content("/small")
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 02 Jan 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\nLast-Modified: Thu, 01 Jan 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n"
    b'ETag: "69560000-c"\r\nx-pod: reviews-v1-0\r\nAccept-Ranges: bytes\r\n\r\n' % len(BODY)
) + BODY


class Fault(Exception):
    """What was measured did not do its work."""


class Silent(Handler):
    """Stands in until the proxy has put its own handler."""

    def received(self, data: Buffer) -> None:
        raise Fault("bytes came before anyone took the connection")

    ended = lost = received  # type: ignore[assignment]


class Pipe(Transport):
    """One connection's proxy end: what is sent is kept."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self.sent: list[bytes] = []
        self.local, self.remote = "127.0.0.1:1", "127.0.0.1:2"

    def send(self, data: Buffer) -> None:
        self.sent.append(bytes(data))

    def establish(self) -> None:
        if not self.established:
            self.established = True
            self.handler.connected()

    def taken(self) -> bytes:
        """What was sent since the last look."""
        data = b"".join(self.sent)
        self.sent.clear()
        return data

    def nothing(self) -> None:
        """Pausing, resuming and closing change nothing here."""

    pause = resume = end = close = abort = nothing


class Memory(Network):
    """Connections to upstreams, each established as soon as the driver says so."""

    def __init__(self, kind: type[Pipe]) -> None:
        self.kind = kind
        self.made: list[Pipe] = []
        self._buffers = Account()

    @property
    def buffers(self) -> Account:
        return self._buffers

    def connect(
        self, endpoint: Endpoint | None, namespace: int, lane: int, keepalive: Keepalive | None, handler: Handler
    ) -> Transport:
        pipe = self.kind(handler)
        pipe.gate = self.gate(lane)
        self.made.append(pipe)
        return pipe

    def gate(self, lane: int) -> Gate:
        return Gate({}, self._buffers)

    def drop_lane(self, lane: int, namespace: int) -> None:
        """Nothing is served by lanes here."""


class Driver:
    """One client connection on which requests follow each other."""

    pipe = Pipe  # the kind of its connections

    def __init__(self, log: int, protocol: str = "http") -> None:
        store = Store()
        objects = [item for data in nodemesh.objects(8080, protocol) for item in load_object(data, "bench").objects]
        tables = compile_tables(store.apply("bench", objects))
        self.network = Memory(self.pipe)
        self.clock = Clock(time.monotonic(), time.time() - time.monotonic())
        telemetry = Telemetry(AccessLog(log, LogFormatter()))
        self.proxy = Proxy(self.network, self.clock, Random(1), telemetry, tables)
        client = Client(namespace=rules.NAMESPACE, name=nodemesh.CLIENT, labels={"app": nodemesh.CLIENT})
        self.downstream = self.pipe(Silent())
        self.downstream.gate = self.network.gate(1)
        self.downstream.established = True
        Reception(self.proxy.add_pod(1, client, -1, 1), ListenerRole.OUTBOUND).accepted(
            self.downstream, (rules.ADDRESS, rules.PORT)
        )

    def request(self) -> tuple[bytes, bytes]:
        """One request all the way: what reached the upstream, and what reached the client."""
        self.clock.now = time.monotonic()
        self.downstream.handler.received(REQUEST)
        for pipe in self.network.made:
            pipe.establish()
            if pipe.sent:
                said = pipe.taken()
                pipe.handler.received(RESPONSE)
                return said, self.downstream.taken()
        raise Fault(f"no upstream was asked; the client got {self.downstream.taken()!r}")

    def batch(self, count: int) -> None:
        for _ in range(count):
            self.request()


#: Where the drivers are, whose own calls do not count.
OURS = str(Path(__file__).parent)


def calls(driver: Driver, count: int) -> float:
    """Python functions called per request."""
    found = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal found
        if event == "call" and not frame.f_code.co_filename.startswith(OURS):
            found += 1

    sys.setprofile(note)
    driver.batch(count)
    sys.setprofile(None)
    return found / count


def open_log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def measure(driver: Driver) -> dict[str, float]:
    driver.batch(WARM_UP)
    times = []
    for _ in range(BATCHES):
        start = time.process_time()
        driver.batch(BATCH)
        times.append((time.process_time() - start) / BATCH * 1e6)
    return {"cpu": statistics.median(times), "least": min(times), "calls": calls(driver, 200)}


def main(log: Path) -> None:
    """One JSON object on standard output; the access log goes to the file named."""
    driver = Driver(open_log(log))
    asked, answered = driver.request()
    if b"x-mesh: bench" not in asked or not answered.startswith(b"HTTP/1.1 200") or not answered.endswith(BODY):
        raise Fault(f"asked the upstream {asked!r}, answered the client {answered!r}")
    print(json.dumps(measure(driver)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
