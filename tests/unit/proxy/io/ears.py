"""Handlers that write down what they hear, and the sockets that bring it, for tests of the loop."""

from __future__ import annotations

import socket
import time

from nodemesh.proxy.io.reactor import Reactor
from nodemesh.proxy.network import Acceptor
from nodemesh.proxy.transport import Buffer, Handler, Transport


class Ear(Handler):
    """Writes down what it hears."""

    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        self.name = name
        self.log = log if log is not None else []
        self.data = b""
        self.transport: Transport | None = None

    def connected(self) -> None:
        self.log.append("connected")

    def received(self, data: Buffer) -> None:
        self.log.append(f"received{self.name}")
        self.data += bytes(data)

    def ended(self) -> None:
        self.log.append("ended")

    def drained(self) -> None:
        self.log.append("drained")

    def lost(self, error: OSError) -> None:
        self.log.append(f"lost {error.strerror}")


class Door(Acceptor):
    """Gives each connection the next ear."""

    def __init__(self, *ears: Ear) -> None:
        self.ears = list(ears)

    def accepted(self, transport: Transport, dialled: tuple[str, int] | None) -> None:
        ear = self.ears.pop(0)
        ear.transport = transport
        transport.handler = ear


def turn_until(reactor: Reactor, condition) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        reactor.turn()


def open_to(reactor: Reactor, lane: int, *ears: Ear) -> list[socket.socket]:
    """Clients of a new listener, accepted."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=len(ears) + 1)
    reactor.listen(listener, lane, Door(*ears), ("10.0.0.1", 80))
    clients = []
    for ear in ears:
        clients.append(socket.create_connection(listener.getsockname()))
        turn_until(reactor, lambda ear=ear: ear.transport is not None)
    return clients
