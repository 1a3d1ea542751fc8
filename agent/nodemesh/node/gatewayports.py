"""The ports of a gateway workload that come and go with its Gateway's listeners (`--gateway-listen ADDR`)."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

from ..proxy.peer import ListenerRole
from ..registry.snapshot import Protocol, Snapshot
from ..routing.client import Client
from ..routing.views import Views
from .exposed import gateway_from
from .listeners import Descriptors, Listeners
from .logs import Log
from .options import RunOptions

log = Log("control")

BACKLOG = 1024
#: Workers that share a UDP port at most, each with a socket of its own: a message to a worker carries 16 descriptors.
UDP_WORKERS = 8
#: So many ports at most: a Gateway's author says how many there are.
MAX_PORTS = 64


class GatewayPort(NamedTuple):
    """What is listened on: connections and datagrams have numbers of their own."""

    number: int
    datagrams: bool = False

    @property
    def name(self) -> str:
        return f"gateway-{'udp' if self.datagrams else 'port'}:{self.number}"

    @property
    def role(self) -> ListenerRole:
        return ListenerRole.DATAGRAMS if self.datagrams else ListenerRole.GATEWAY


class GatewayPorts:
    """Opens and closes listeners. A port that cannot be had is said once, and tried again with the next change."""

    def __init__(self, options: RunOptions, listeners: Listeners) -> None:
        self._options = options
        self._listeners = listeners
        self._open: set[GatewayPort] = set()
        self._refused: dict[GatewayPort, str] = {}

    def clients(self, snapshot: Snapshot) -> list[Client]:
        return [self._client(snapshot)] if self._options.gateway_bind else []

    def _client(self, snapshot: Snapshot) -> Client:
        return gateway_from(snapshot, self._options.gateway, self._options.client)

    def update(self, views: Views, snapshot: Snapshot) -> None:
        """Have the ports that the Gateways ask for, and no others."""
        if not self._options.gateway_bind:
            return
        client = self._client(snapshot)
        servers = views.for_client(client).servers()
        wanted = sorted({GatewayPort(server.port, server.protocol is Protocol.UDP) for server in servers})[:MAX_PORTS]
        for port in self._open - set(wanted):
            self._listeners.remove(port.name)
            self._open.discard(port)
        self._refused = {port: why for port, why in self._refused.items() if port in wanted}
        for port in wanted:
            if port in self._open:
                self._listeners.update(port.name, client)
            else:
                self._add(port, client)

    def _add(self, port: GatewayPort, client: Client) -> None:
        fds = self._listeners.left(port.name)
        if fds is None or len(fds.sockets) != self._sockets_of(port):
            try:
                fds = Descriptors(self._bind(port))
            except OSError as error:
                why = os.strerror(error.errno or 0)
                if self._refused.get(port) != why:
                    self._refused[port] = why
                    log.error("a gateway's port cannot be had", port=port.number, udp=port.datagrams, why=why)
                return
        self._refused.pop(port, None)
        self._listeners.add(port.name, port.role, fds, client, gateway_port=port.number)
        self._open.add(port)
        log.info("listening as gateway", port=port.number, udp=port.datagrams, at=self._options.gateway_bind)

    def _sockets_of(self, port: GatewayPort) -> int:
        return min(self._options.workers, UDP_WORKERS) if port.datagrams else 1

    def _bind(self, port: GatewayPort) -> tuple[int, ...]:
        """The port's sockets. Raises OSError where one cannot be had, and then there is none."""
        bind = self._options.gateway_bind
        if not port.datagrams:
            return (listen(bind, port.number),)
        opened: list[int] = []
        try:
            for _ in range(self._sockets_of(port)):
                opened.append(listen_udp(bind, port.number))
        except OSError:
            for fd in opened:
                os.close(fd)
            raise
        return tuple(opened)


def listen(host: str, port: int) -> int:
    """A listening socket's descriptor."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        return sock.detach()


def listen_udp(host: str, port: int) -> int:
    """One of several sockets of a UDP port: the kernel gives all that one client sends to the same (SO_REUSEPORT,
    socket(7)), as long as they are as many."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        return sock.detach()
