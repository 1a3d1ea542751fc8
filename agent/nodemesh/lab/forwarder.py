"""kube-proxy's stand-in: a process on the node that spreads connections to virtual addresses over their endpoints.

Run as a script with the path of its control socket; stdlib only. Each control connection carries one JSON list of
routes, which replaces the last one, and is answered with `ok` or with what went wrong. As with kube-proxy, an endpoint
is picked per connection, an address without endpoints refuses, and a dead endpoint is not hidden: the connection is
reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import struct
import sys
from typing import NamedTuple

#: A table of 10,000 services is about 1 MB.
_CONTROL_LIMIT = 16 << 20

_CHUNK = 65536
_CONNECT_TIMEOUT = 30.0  # seconds


class ForwardRule(NamedTuple):
    """A virtual address and port, and the (address, port) pairs behind it."""

    address: str
    port: int
    endpoints: tuple[tuple[str, int], ...]


class ForwardListener:
    """One virtual address and port: accepts, picks the next endpoint, relays."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._turn = itertools.count()
        self.endpoints: tuple[tuple[str, int], ...] = ()

    async def open(self, address: str, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, address, port, backlog=1024)

    async def close(self) -> None:
        """Stop accepting; connections under way run out."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        endpoint = self.endpoints[next(self._turn) % len(self.endpoints)]
        try:
            up_reader, up_writer = await asyncio.wait_for(asyncio.open_connection(*endpoint), _CONNECT_TIMEOUT)
        except (TimeoutError, OSError):
            _reset(writer)
            return
        await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
        for one in (up_writer, writer):
            one.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Relay one direction until its end, which is passed on as a half-close; a reset is passed on as a reset."""
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN (SO_LINGER with a linger time of 0, socket(7))."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Forwarder:
    """All listeners, and the table that they follow."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, int], ForwardListener] = {}

    async def apply(self, routes: list[ForwardRule]) -> None:
        """Make the listeners match `routes`; a route without endpoints has none, so that it refuses."""
        wanted = {(route.address, route.port): route.endpoints for route in routes if route.endpoints}
        for key in self._listeners.keys() - wanted.keys():
            await self._listeners.pop(key).close()
        for key, endpoints in wanted.items():
            listener = self._listeners.get(key) or ForwardListener()
            listener.endpoints = endpoints
            if key not in self._listeners:
                await listener.open(*key)
                self._listeners[key] = listener

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One control connection: a table, an answer."""
        try:
            table = json.loads(await reader.readline())
            await self.apply(
                [ForwardRule(address, port, tuple(map(tuple, endpoints))) for address, port, endpoints in table]
            )
            writer.write(b"ok")
        except (OSError, ValueError) as error:
            writer.write(str(error).encode())
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()


async def serve(path: str) -> None:
    """Serve until killed. The control socket appears under its name only when it listens."""
    forwarder = Forwarder()
    server = await asyncio.start_unix_server(forwarder.control, f"{path}.new", limit=_CONTROL_LIMIT)
    os.rename(f"{path}.new", path)
    async with server:
        await server.serve_forever()


def send(path: str, routes: list[ForwardRule], timeout: float = 10.0) -> str:
    """Give the forwarder at `path` its table; returns `ok` or what went wrong."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(timeout)
        control.connect(path)
        control.sendall(json.dumps(routes).encode() + b"\n")
        return control.makefile().read()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
