"""Many agents as one process: each follows a few kinds over plain connections, and knows what it has by its version."""

from __future__ import annotations

import asyncio
import time
import zlib

import msgspec

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
KINDS = {
    "pods": ("/api/v1/pods", METADATA),
    "services": ("/api/v1/services", "application/json"),
    "endpointslices": ("/apis/discovery.k8s.io/v1/endpointslices", "application/json"),
}
QUERY = "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersion=0&timeoutSeconds=3000"


class _Meta(msgspec.Struct):
    name: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    annotations: dict[str, str] | None = None


class _Object(msgspec.Struct):
    metadata: _Meta


class _Event(msgspec.Struct):
    type: str
    object: _Object


_read = msgspec.json.Decoder(_Event).decode


class Watch(asyncio.Protocol):
    """One watch: takes chunks off, unpacks, reads lines. An event that many get at once is decoded once."""

    def __init__(self, agents: Agents, kind: str, held: dict[str, str]) -> None:
        self._agents = agents
        self._kind = kind
        self._held = held
        self._data = b""
        self._rest = b""
        self._begun = False
        self._unpack = zlib.decompressobj(-zlib.MAX_WBITS) if agents.deflate else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._agents.transports.append(transport)
        path, accept = KINDS[self._kind]
        wants = "accept-encoding: deflate\r\n" if self._unpack is not None else ""
        transport.write(f"GET {path}{QUERY} HTTP/1.1\r\nhost: relay\r\naccept: {accept}\r\n{wants}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._begun:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 200"), head
            self._data, self._begun = rest, True
        while True:
            size, end, rest = self._data.partition(b"\r\n")
            length = int(size, 16) if end else 0
            if not end or len(rest) < length + 2:
                return
            self._data = rest[length + 2 :]
            self._take(rest[:length])

    def _take(self, data: bytes) -> None:
        plain = self._unpack.decompress(data) if self._unpack is not None else data
        *lines, self._rest = (self._rest + plain).split(b"\n")
        for line in lines:
            event = self._agents.read(line)
            meta = event.object.metadata
            if event.type == "BOOKMARK":
                if meta.annotations:
                    self._agents.told += 1
            elif self._kind == "endpointslices":
                self._held[meta.name] = meta.resource_version
                self._agents.hear(meta.resource_version)


class Agents:
    """`lags` has the seconds from each expected change until each agent heard of it."""

    def __init__(self, host: str, port: int, deflate: bool) -> None:
        self.deflate = deflate
        self.transports: list[asyncio.Transport] = []
        self.told = 0  # watches whose initial events have ended
        self.lags: list[float] = []
        self._host, self._port = host, port
        self._held: list[dict[str, str]] = []
        self._expected: dict[str, float] = {}
        self._known: dict[bytes, _Event] = {}

    @property
    def synced(self) -> int:
        return self.told // len(KINDS)

    async def start(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            held: dict[str, str] = {}
            self._held.append(held)
            for kind in KINDS:
                await loop.create_connection(
                    lambda kind=kind, held=held: Watch(self, kind, held), self._host, self._port
                )

    def read(self, line: bytes) -> _Event:
        found = self._known.get(line)
        if found is None:
            if len(self._known) > 50_000:
                self._known.clear()
            found = self._known[line] = _read(line)
        return found

    def expect(self, version: str) -> None:
        self._expected[version] = time.monotonic()

    def hear(self, version: str) -> None:
        began = self._expected.get(version)
        if began is not None:
            self.lags.append(time.monotonic() - began)

    def heard_all(self, changes: int) -> bool:
        return len(self.lags) >= changes * len(self._held)

    def wrong(self, truth: dict[str, str]) -> int:
        """The agents whose EndpointSlices have other versions than these."""
        return sum(held != truth for held in self._held)

    def close(self) -> None:
        for transport in self.transports:
            transport.abort()
