"""Where the agents of other nodes ask this one: their addresses alone are let in, and their tokens are reviewed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from ..admin.http import mapped
from ..admin.peers import application
from ..admin.state import AdminNode
from ..registry.sources.api import Api
from ..registry.sources.reviews import Reviews
from .logs import Log
from .options import ListenAddress

log = Log("control")

#: What agents' tokens are for (the volume `token` in manifests/agent/daemonset.yaml), and whose they are.
AUDIENCE = "nodemesh-agents"
ACCOUNT = "nodemesh-agent"

#: Seconds for a handshake, between two tries to listen, and after an accept that failed.
HANDSHAKE = 5.0
REST = 5.0
PAUSE = 0.1


class PeerDoor:
    """`knows` says whether an agent has an address: nobody else gets as far as a handshake."""

    def __init__(self, api: Api, address: ListenAddress, namespace: str, knows: Callable[[str], bool]) -> None:
        self._reviews = Reviews(api, AUDIENCE, time.monotonic)
        self._account = f"system:serviceaccount:{namespace}:{ACCOUNT}"
        self._address = address
        self._knows = knows

    async def admit(self, token: str, address: str) -> bool:
        """Raises ApiError and Busy."""
        return (await self._reviews.account(token, address)).user == self._account

    async def run(self, node: AdminNode) -> None:
        """Until cancelled."""
        from aiohttp import web

        from .own_certificate import server_context  # loads cryptography's 7 MB

        runner = web.AppRunner(application(node, self.admit), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        context = await asyncio.to_thread(server_context)
        loop = asyncio.get_running_loop()
        assert runner.server is not None
        handshakes: set[asyncio.Future[Any]] = set()
        listener = await self._listen()
        try:
            while True:
                try:
                    connection, peer = await loop.sock_accept(listener)
                except OSError:  # it is gone again, or there are no descriptors left
                    await asyncio.sleep(PAUSE)
                    continue
                if not self._knows(str(mapped(ip_address(peer[0].partition("%")[0])))):
                    connection.close()
                    continue
                task: asyncio.Future[Any] = asyncio.ensure_future(
                    loop.connect_accepted_socket(
                        runner.server, connection, ssl=context, ssl_handshake_timeout=HANDSHAKE
                    )
                )
                handshakes.add(task)
                task.add_done_callback(handshakes.discard)
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
        finally:
            listener.close()
            for task in handshakes:
                task.cancel()
            await runner.cleanup()

    async def _listen(self) -> socket.socket:
        """A predecessor may be there still; both may listen meanwhile."""
        told = False
        while True:
            family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family is socket.AF_INET6:
                    with contextlib.suppress(OSError):
                        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                listener.bind((self._address.host, self._address.port))
                listener.listen(128)
                return listener
            except OSError as error:
                listener.close()
                if not told:
                    log.warning("other agents cannot ask this one", at=self._address, error=error.strerror)
                    told = True
            await asyncio.sleep(REST)
