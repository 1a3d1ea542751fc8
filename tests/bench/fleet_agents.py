"""Many agents as one process: each follows a few kinds over plain connections, and knows what it has by its version.

It is there to receive, not to be measured: what many get is decoded once, and one loop reads all sockets."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import statistics
import sys
import time
import zlib
from typing import NamedTuple

import msgspec

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
KINDS = {
    "pods": ("/api/v1/pods", METADATA),
    "services": ("/api/v1/services", "application/json"),
    "endpointslices": ("/apis/discovery.k8s.io/v1/endpointslices", "application/json"),
}
COUNTED = "endpointslices"  # of these each agent knows what it has
QUERY = "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersion=0&timeoutSeconds=3000"
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
    """What some bytes say: objects by name with their version, and whether the initial events end with them."""

    versions: dict[str, str]
    ended: bool


_read = msgspec.json.Decoder(_Event).decode


def told(lines: bytes) -> Told:
    versions, ended = {}, False
    for line in lines.splitlines():
        event = _read(line)
        meta = event.object.metadata
        if event.type == "BOOKMARK":
            ended = ended or bool(meta.annotations)
        else:
            versions[meta.name] = meta.resource_version
    return Told(versions, ended)


class Watch:
    """One watch of one agent; `held` has what the agent knows."""

    __slots__ = ("_agents", "_rest", "begun", "held", "sock", "synced")

    def __init__(self, agents: Agents, sock: socket.socket, held: dict[str, str] | None) -> None:
        self._agents = agents
        self._rest = b""
        self.sock = sock
        self.held = held
        self.begun = self.synced = False

    def take(self, data: bytes) -> None:
        """Some bytes, most often a whole chunk or several."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self.begun:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 200"):
                raise ValueError(head)
            self.begun = True
        while data:
            size, end, rest = data.partition(b"\r\n")
            length = int(size, 16) if end else 0
            if not end or len(rest) < length + 2:
                self._rest = data
                return
            data = rest[length + 2 :]
            self._note(self._agents.told(rest[:length]))

    def _note(self, found: Told) -> None:
        if self.held is not None:
            self.held.update(found.versions)
            if self.synced:
                self._agents.hear(found.versions)
        if found.ended:
            self.synced = True
            self._agents.synced += 1


class Agents:
    """`synced` counts the watches whose initial events have ended."""

    def __init__(self, port: int, *, deflate: bool) -> None:
        self.synced = 0
        self.held: list[dict[str, str]] = []
        self._port = port
        self._deflate = deflate
        self._watches: dict[int, Watch] = {}
        self._known: dict[bytes, Told] = {}
        self._heard: dict[str, list[float]] = {}  # by version: when each agent heard of it
        self._poll = select.epoll()

    def start(self) -> None:
        """One agent more, from an address of its own."""
        held: dict[str, str] = {}
        self.held.append(held)
        address = f"127.2.{len(self.held) >> 8}.{len(self.held) & 255}"
        for kind, (path, accept) in KINDS.items():
            sock = socket.create_connection(("127.0.0.1", self._port), source_address=(address, 0))
            wants = "accept-encoding: deflate\r\n" if self._deflate else ""
            sock.sendall(f"GET {path}{QUERY} HTTP/1.1\r\nhost: relay\r\naccept: {accept}\r\n{wants}\r\n".encode())
            sock.setblocking(False)
            self._watches[sock.fileno()] = Watch(self, sock, held if kind == COUNTED else None)
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def turn(self, seconds: float = 0.1) -> None:
        """Read what has come."""
        for descriptor, _ in self._poll.poll(seconds):
            watch = self._watches[descriptor]
            data = watch.sock.recv(2**18)
            if not data:
                raise ConnectionError(f"a watch has ended; {self.synced} had begun")
            watch.take(data)

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


def main(port: int, count: int, encoding: str) -> None:
    """Starts all, says so, reads on until a line says which changes were made when, and what is true; then how soon
    they came, and how many agents are wrong. Lines are JSON."""
    agents = Agents(port, deflate=encoding == "deflate")
    began = time.monotonic()
    for _ in range(count):
        agents.start()
        agents.turn(0.0)
    while agents.synced < count * len(KINDS):
        agents.turn()
    print(json.dumps({"seconds": time.monotonic() - began}), flush=True)
    said = json.loads(order(agents))
    while agents.heard(said["made"]) < len(said["made"]) * count:
        agents.turn()
    lags = agents.lags(said["made"])
    quantiles = statistics.quantiles(lags, n=100) if len(lags) > 1 else [0.0] * 99
    found = {"median": quantiles[49], "p99": quantiles[98], "worst": max(lags, default=0.0)}
    print(json.dumps({**found, "wrong": agents.wrong(said["truth"])}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
