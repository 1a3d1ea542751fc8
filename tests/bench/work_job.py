"""The measured half of suite `work`: one worker's loop and both ends of its connections in one thread, step by step.

Nothing here hangs on the clock: whoever is to speak next speaks, and the loop turns until that has arrived. What is
counted is counted inside of the loop's turns alone."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import statistics
import sys
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any

from nodemesh.config.load import load_object
from nodemesh.proxy.accept.reception import Reception
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import Reactor
from nodemesh.proxy.peer import ListenerRole
from nodemesh.proxy.proxy import Proxy
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.telemetry.access_log import AccessLog, open_log
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.telemetry import Telemetry

from . import nodemesh, rules
from .exchange_job import BODY, REQUEST, RESPONSE, Fault
from .instructions_job import STORE, objects
from .instructions_load import STORED
from .proxy import LOOPBACK

HTTP, RELAYED = "HTTP/1.1 request, 10 rules", "relayed connection"
WARM_UP, COUNTED = 300, 31  # of each case
BEGIN, END, DONE = "nodemesh-work-begin", "nodemesh-work-end", "nodemesh-work-done"  # in what strace writes
PATIENCE = 200  # turns for one step


class Meter:
    """What is counted during the loop's turns."""

    def begin(self) -> None:
        """A turn begins."""

    def end(self) -> None:
        """It is over."""

    def taken(self) -> float:
        """The count since it was last taken."""
        return 0.0


class Calls(Meter):
    """Python functions that are called. A comprehension is one in some Pythons only, and counts in none."""

    def __init__(self) -> None:
        self._count = 0

    def begin(self) -> None:
        sys.setprofile(self._note)

    def end(self) -> None:
        sys.setprofile(None)

    def taken(self) -> float:
        found, self._count = self._count, 0
        return found

    def _note(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and not frame.f_code.co_name.endswith("comp>"):
            self._count += 1


class Allocations(Meter):
    """Pieces of memory that Python asks its allocators for, however small."""

    def __init__(self, library: str) -> None:
        counter = ctypes.PyDLL(library)
        counter.allocations.restype = ctypes.c_ulong
        counter.start()
        self._now: Callable[[], int] = counter.allocations
        self._began = self._count = 0

    def begin(self) -> None:
        self._began = self._now()

    def end(self) -> None:
        self._count += self._now() - self._began

    def taken(self) -> float:
        found, self._count = self._count, 0
        return found


class Marks(Meter):
    """Says where turns begin and end to who looks on from outside (strace): as a write to nowhere."""

    def begin(self) -> None:
        self._mark(BEGIN)

    def end(self) -> None:
        self._mark(END)

    def taken(self) -> float:
        self._mark(DONE)
        return 0.0

    @staticmethod
    def _mark(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(-1, text.encode())


class Bench:
    """One worker, the pods that it reaches, and their clients."""

    def __init__(self, log: str) -> None:
        self.pod, self.store = listener(), listener(STORED)
        store = Store()
        data = objects(self.pod.getsockname()[1], 1, self.store.getsockname()[1])
        found = [item for each in data for item in load_object(each, "bench").objects]
        tables = compile_tables(store.apply("bench", found))
        self.reactor = Reactor(Platform())
        telemetry = Telemetry(AccessLog(open_log(log), LogFormatter()))
        proxy = Proxy(self.reactor, self.reactor.clock, Random(1), telemetry, tables)
        client = Client(namespace=rules.NAMESPACE, name=nodemesh.CLIENT, labels={"app": nodemesh.CLIENT})
        lane = self.reactor.add_lane()
        reception = Reception(proxy.add_pod(1, client, -1, lane), ListenerRole.OUTBOUND)
        self.ports = []
        for dialled in ((rules.ADDRESS, rules.PORT), STORE):
            sock = listener(LOOPBACK)
            self.reactor.listen(sock, lane, reception, dialled)
            self.ports.append(sock.getsockname()[1])
        self.meter = Meter()
        self._client: socket.socket | None = None
        self._upstreams: list[socket.socket] = []

    # steps

    def counted(self, work: Callable[[], None]) -> None:
        self.meter.begin()
        try:
            work()
        finally:
            self.meter.end()

    def turn(self) -> None:
        self.counted(self.reactor.turn)

    def until(self, *socks: socket.socket) -> socket.socket:
        """Turn the loop until one of these has something; which."""
        poll = select.poll()
        for sock in socks:
            poll.register(sock, select.POLLIN)
        found = poll.poll(0)
        for _ in range(PATIENCE):
            if found:
                return next(sock for sock in socks if sock.fileno() == found[0][0])
            self.turn()
            found = poll.poll(0)
        raise Fault("the loop turned in vain")

    def settle(self) -> None:
        """Turn the loop until nothing is left to do."""
        poller = self.reactor.loop.poller
        for _ in range(PATIENCE):
            self.counted(self.reactor.flush)
            if not select.select([poller.fileno()], [], [], 0)[0]:
                return
            self.turn()
        raise Fault("the loop has always something to do")

    # work

    def request(self) -> None:
        """One on a kept connection, answered by whichever pod it reaches."""
        if self._client is None:
            self._client = socket.create_connection((LOOPBACK, self.ports[0]))
        self._client.sendall(REQUEST)
        asked = self.until(self.pod, *self._upstreams)
        if asked is self.pod:
            asked = self.pod.accept()[0]
            self._upstreams.append(asked)
            self.until(asked)
        if b"x-mesh: bench" not in asked.recv(65536):
            raise Fault("the upstream was not asked")
        asked.sendall(RESPONSE)
        self.until(self._client)
        if not self._client.recv(65536).endswith(BODY):
            raise Fault("the client was not answered")
        self.settle()

    def connection(self) -> None:
        """A short one: a word there, a word back, and the end."""
        with socket.create_connection((LOOPBACK, self.ports[1])) as client:
            client.sendall(b"word")
            self.until(self.store)
            with self.store.accept()[0] as upstream:
                self.until(upstream)
                if upstream.recv(100) != b"word":
                    raise Fault("the upstream was not told")
                upstream.sendall(b"answer")
                self.until(client)
                if client.recv(100) != b"answer":
                    raise Fault("the client was not answered")
                client.shutdown(socket.SHUT_WR)
                self.until(upstream)
                if upstream.recv(100):
                    raise Fault("the upstream was told more")
                upstream.shutdown(socket.SHUT_WR)
                self.until(client)
        self.settle()


def listener(address: str = "0.0.0.0") -> socket.socket:
    sock = socket.create_server((address, 0), backlog=64)
    sock.setblocking(False)
    return sock


def main(log: str, meter: str, library: str) -> None:
    """By case the median count of one piece of work, as one JSON object; with the meter `marks` nothing but marks."""
    bench = Bench(log)
    cases = {HTTP: bench.request, RELAYED: bench.connection}
    for work in cases.values():
        for _ in range(WARM_UP):
            work()
    bench.meter = Calls() if meter == "calls" else Allocations(library) if meter == "allocations" else Marks()
    found = {}
    for case, work in cases.items():
        counts = []
        for _ in range(COUNTED):
            work()
            counts.append(bench.meter.taken())
        found[case] = statistics.median(counts)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
