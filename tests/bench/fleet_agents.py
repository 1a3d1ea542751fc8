"""Many agents as one process: each follows a few kinds over plain connections, and knows what it has by its version.

It is there to receive, not to be measured: what many get is decoded once, and one loop reads all sockets. A watch that
is cut goes on at the next of the relays from the version that it has, after the pause of a real agent."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import random
import select
import socket
import statistics
import sys
import time
import zlib
from typing import NamedTuple

import msgspec

from nodemesh.registry.sources.backoff import Backoff

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
KINDS = {
    "pods": ("/api/v1/pods", METADATA),
    "services": ("/api/v1/services", "application/json"),
    "endpointslices": ("/apis/discovery.k8s.io/v1/endpointslices", "application/json"),
}
COUNTED = "endpointslices"  # of these each agent knows what it has
QUERY = "?watch=true&allowWatchBookmarks=true&timeoutSeconds=3000&resourceVersion="
INITIAL = f"{QUERY}0&sendInitialEvents=true"
REMEMBERED = 20_000  # pieces that have been decoded


class _Meta(msgspec.Struct):
    name: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    annotations: dict[str, str] | None = None


class _Object(msgspec.Struct):
    metadata: _Meta


class _Event(msgspec.Struct):
    type: str
    object: _Object


class Told(NamedTuple):
    """What some bytes say: objects by name with their version, whether the initial events end with them, up to which
    version they tell, and whether the relay says that it has forgotten where the watch was."""

    versions: dict[str, str]
    ended: bool
    last: str
    expired: bool


_read = msgspec.json.Decoder(_Event).decode


def told(lines: bytes) -> Told:
    versions, ended, last, expired = {}, False, "", False
    for line in lines.splitlines():
        event = _read(line)
        meta = event.object.metadata
        if event.type == "ERROR":
            expired = True
            continue
        last = meta.resource_version
        if event.type == "BOOKMARK":
            ended = ended or bool(meta.annotations)
        else:
            versions[meta.name] = last
    return Told(versions, ended, last, expired)


class Watch:
    """One watch of one agent, from its own address; `held` has what the agent knows (None: it does not count that)."""

    __slots__ = ("_agents", "_fresh", "_rest", "address", "backoff", "begun", "held", "kind", "place", "sock", "synced",
                 "version")  # fmt: skip

    def __init__(self, agents: Agents, kind: str, address: str, held: dict[str, str] | None) -> None:
        self._agents = agents
        self._fresh: dict[str, str] = {}  # what the initial events told, until they have ended
        self._rest = b""
        self.kind = kind
        self.address = address
        self.held = held
        self.place = 0  # of the relay that it asks
        self.version = ""  # up to which it knows everything; empty: it starts over
        self.backoff = Backoff(random.random)
        self.sock: socket.socket | None = None
        self.begun = self.synced = False

    def request(self, deflate: bool) -> bytes:
        path, accept = KINDS[self.kind]
        query = QUERY + self.version if self.version else INITIAL
        wants = "accept-encoding: deflate\r\n" if deflate else ""
        self._rest, self._fresh, self.begun = b"", {}, False
        return f"GET {path}{query} HTTP/1.1\r\nhost: relay\r\naccept: {accept}\r\n{wants}\r\n".encode()

    def take(self, data: bytes) -> bool:
        """Some bytes, most often a whole chunk or several; False where the watch has ended."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self.begun:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return True
            if not head.startswith(b"HTTP/1.1 200"):
                return False
            self.begun = True
        while data:
            size, end, rest = data.partition(b"\r\n")
            length = int(size, 16) if end else 0
            if not end or len(rest) < length + 2:
                self._rest = data
                return True
            data = rest[length + 2 :]
            if not length or not self._note(self._agents.told(rest[:length])):
                return False
        return True

    def _note(self, found: Told) -> bool:
        if found.expired:
            self.version = ""
            return False
        self.backoff.reset()
        if self.version:
            self._know(found.versions)
        else:
            self._fresh.update(found.versions)
            if not found.ended:
                return True
            if self.held is not None:
                known, fresh = self.held, self._fresh
                for name in known.keys() - fresh.keys():
                    del known[name]
                self._know({name: version for name, version in fresh.items() if known.get(name) != version})
            if not self.synced:
                self.synced = True
                self._agents.synced += 1
        self.version = found.last or self.version
        return True

    def _know(self, versions: dict[str, str]) -> None:
        if self.held is not None:
            self.held.update(versions)
            if self.synced:
                self._agents.hear(versions)


class Agents:
    """`synced` counts the watches whose initial events have ended once, `cut` those that had to be begun again."""

    def __init__(self, ports: list[int], *, deflate: bool) -> None:
        self.synced = 0
        self.cut = 0
        self.held: list[dict[str, str]] = []
        self._ports = ports
        self._deflate = deflate
        self._watches: dict[int, Watch] = {}
        self._due: list[tuple[float, int, Watch]] = []  # who connects again, and when
        self._counter = itertools.count()
        self._known: dict[bytes, Told] = {}
        self._heard: dict[str, list[float]] = {}  # by version: when each agent heard of it
        self._poll = select.epoll()

    def start(self) -> None:
        """One agent more, from an address of its own."""
        held: dict[str, str] = {}
        self.held.append(held)
        address = f"127.2.{len(self.held) >> 8}.{len(self.held) & 255}"
        for kind in KINDS:
            self._connect(Watch(self, kind, address, held if kind == COUNTED else None))

    def _connect(self, watch: Watch) -> None:
        port = self._ports[watch.place % len(self._ports)]
        try:
            watch.sock = socket.create_connection(("127.0.0.1", port), source_address=(watch.address, 0))
            watch.sock.sendall(watch.request(self._deflate))
        except OSError:
            self._lost(watch, elsewhere=True)
            return
        watch.sock.setblocking(False)
        self._watches[watch.sock.fileno()] = watch
        self._poll.register(watch.sock.fileno(), select.EPOLLIN)

    def _lost(self, watch: Watch, *, elsewhere: bool) -> None:
        """`elsewhere`: nobody answers there any more."""
        if watch.sock is not None:
            self._watches.pop(watch.sock.fileno(), None)
            watch.sock.close()  # which takes it out of the poll
            watch.sock = None
        self.cut += 1
        watch.place += elsewhere
        heapq.heappush(self._due, (time.monotonic() + watch.backoff.next(), next(self._counter), watch))

    def turn(self, seconds: float = 0.1) -> None:
        """Read what has come, and connect who is due."""
        while self._due and self._due[0][0] <= time.monotonic():
            self._connect(heapq.heappop(self._due)[2])
        for descriptor, _ in self._poll.poll(seconds):
            watch = self._watches[descriptor]
            assert watch.sock is not None
            try:
                data = watch.sock.recv(2**18)
            except OSError:
                data = b""
            if not data or not watch.take(data):
                self._lost(watch, elsewhere=not data)

    def told(self, chunk: bytes) -> Told:
        """A chunk has whole lines, and packed ones are packed by themselves."""
        found = self._known.get(chunk)
        if found is None:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            lines = zlib.decompressobj(-zlib.MAX_WBITS).decompress(chunk) if self._deflate else chunk
            found = self._known[chunk] = told(lines)
        return found

    def hear(self, versions: dict[str, str]) -> None:
        now = time.monotonic()
        for version in versions.values():
            self._heard.setdefault(version, []).append(now)

    def heard(self, made: dict[str, float]) -> int:
        """How often agents have heard of these."""
        return sum(len(self._heard.get(version, ())) for version in made)

    def lags(self, made: dict[str, float]) -> list[float]:
        """For each of these changes and each agent, the seconds from when it was made until it was heard of."""
        return [heard - began for version, began in made.items() for heard in self._heard.get(version, ())]

    def wrong(self, truth: dict[str, str]) -> int:
        """The agents that have other versions than these."""
        return sum(held != truth for held in self.held)


def order(agents: Agents) -> bytes:
    """The line on standard input; agents read on meanwhile."""
    line = b""
    os.set_blocking(0, False)
    while not line.endswith(b"\n"):
        agents.turn(0.01)
        with contextlib.suppress(BlockingIOError):
            piece = os.read(0, 2**16)
            if not piece:
                sys.exit("nobody asks any more")
            line += piece
    return line


def main(ports: list[int], count: int, encoding: str) -> None:
    """Starts all at the first of the relays, says so, reads on until a line says which changes were made when, and what
    is true; then how soon they came, how many agents are wrong, and how many watches were cut meanwhile; and so on,
    until nobody asks any more. Lines are JSON."""
    agents = Agents(ports, deflate=encoding == "deflate")
    began = time.monotonic()
    for _ in range(count):
        agents.start()
        agents.turn(0.0)
    while agents.synced < count * len(KINDS):
        agents.turn()
    print(json.dumps({"seconds": time.monotonic() - began}), flush=True)
    while True:
        cut = agents.cut
        said = json.loads(order(agents))
        while agents.heard(said["made"]) < len(said["made"]) * count:
            agents.turn()
        lags = agents.lags(said["made"])
        quantiles = statistics.quantiles(lags, n=100) if len(lags) > 1 else [0.0] * 99
        found = {"median": quantiles[49], "p99": quantiles[98], "worst": max(lags, default=0.0)}
        print(json.dumps({**found, "wrong": agents.wrong(said["truth"]), "cut": agents.cut - cut}), flush=True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1].split(",")], int(sys.argv[2]), sys.argv[3])
