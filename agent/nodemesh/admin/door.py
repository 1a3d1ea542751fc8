"""Who is let in to the admin API: so many connections, and where there are too many, those leave that ask nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

#: Connections at once. Local programs could take all of control's descriptors otherwise, which pods need.
MOST = 256

#: Seconds after an accept that failed.
PAUSE = 0.1

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminDoor:
    """A probe, a scrape and an operator always get in: for a newcomer the connection makes room that has been there
    longest without a request under way, or longest at all."""

    def __init__(self) -> None:
        self._within: dict[asyncio.BaseProtocol, asyncio.Transport] = {}  # the oldest first
        self._asking: Counter[asyncio.BaseProtocol] = Counter()

    @web.middleware
    async def asking(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Knows whose request is under way."""
        protocol = request.protocol
        self._asking[protocol] += 1
        try:
            return await handler(request)
        finally:
            self._asking[protocol] -= 1
            if not self._asking[protocol]:
                del self._asking[protocol]

    async def run(self, listener: socket.socket, server: web.Server) -> None:
        """Let them in, until cancelled."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        with contextlib.closing(listener):
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                    transport, protocol = await loop.connect_accepted_socket(server, connection)
                except OSError:  # it is gone again, or there are no descriptors left
                    await asyncio.sleep(PAUSE)
                    continue
                self._make_room()
                self._within[protocol] = transport

    def _make_room(self) -> None:
        for protocol in [each for each, transport in self._within.items() if transport.is_closing()]:
            del self._within[protocol]
        if len(self._within) >= MOST:
            idle = (protocol for protocol in self._within if protocol not in self._asking)
            self._within.pop(next(idle, next(iter(self._within)))).abort()
