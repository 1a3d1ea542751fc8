"""The ports of a gateway workload that come and go with its Gateway's listeners (`--gateway-listen ADDR`)."""

from __future__ import annotations

import os
import socket

from ..proxy.peer import ListenerRole
from ..registry.snapshot import Snapshot
from ..routing.client import Client
from ..routing.views import Views
from .exposed import gateway_from
from .listeners import Descriptors, Listeners
from .logs import Log
from .options import RunOptions

log = Log("control")

BACKLOG = 1024
#: So many ports at most: a Gateway's author says how many there are.
MAX_PORTS = 64


def name_of(port: int) -> str:
    return f"gateway-port:{port}"


class GatewayPorts:
    """Opens and closes listeners. A port that cannot be had is said once, and tried again with the next change."""

    def __init__(self, options: RunOptions, listeners: Listeners) -> None:
        self._options = options
        self._listeners = listeners
        self._open: set[int] = set()
        self._refused: dict[int, str] = {}

    def clients(self, snapshot: Snapshot) -> list[Client]:
        return [self._client(snapshot)] if self._options.gateway_bind else []

    def _client(self, snapshot: Snapshot) -> Client:
        return gateway_from(snapshot, self._options.gateway, self._options.client)

    def update(self, views: Views, snapshot: Snapshot) -> None:
        """Have the ports that the Gateways ask for, and no others."""
        if not self._options.gateway_bind:
            return
        client = self._client(snapshot)
        wanted = sorted({server.port for server in views.for_client(client).servers()})[:MAX_PORTS]
        for port in self._open - set(wanted):
            self._listeners.remove(name_of(port))
            self._open.discard(port)
        self._refused = {port: why for port, why in self._refused.items() if port in wanted}
        for port in wanted:
            if port in self._open:
                self._listeners.update(name_of(port), client)
            else:
                self._add(port, client)

    def _add(self, port: int, client: Client) -> None:
        fds = self._listeners.left(name_of(port))
        if fds is None:
            try:
                fds = Descriptors((listen(self._options.gateway_bind, port),))
            except OSError as error:
                why = os.strerror(error.errno or 0)
                if self._refused.get(port) != why:
                    self._refused[port] = why
                    log.error("a gateway's port cannot be had", port=port, why=why)
                return
        self._refused.pop(port, None)
        self._listeners.add(name_of(port), ListenerRole.GATEWAY, fds, client, gateway_port=port)
        self._open.add(port)
        log.info("listening as gateway", port=port, at=self._options.gateway_bind)


def listen(host: str, port: int) -> int:
    """A listening socket's descriptor."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        return sock.detach()
