"""Listeners: what a turn takes of one, its rest, its end, and whose address a connection knows."""

from __future__ import annotations

import errno
import os
import resource
import socket
from contextlib import suppress

import pytest
from tests.unit.proxy.io.ears import Door, Ear, turn_until

from nodemesh.proxy.io.loop import ACCEPTS
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import Reactor


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.ENETDOWN, errno.EPROTO])
def test_a_listener_rests_after_any_error_of_accept(reactor, code):
    class Faulty:
        """A listening socket whose first accept fails."""

        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock
            self.failed = False

        def _accept(self) -> object:
            if not self.failed:
                self.failed = True
                raise OSError(code, os.strerror(code))
            return self.sock._accept()

        def __getattr__(self, name: str) -> object:
            return getattr(self.sock, name)

    ear = Ear()
    server = socket.create_server(("127.0.0.1", 0))
    listener = reactor.listen(server, reactor.add_lane(), Door(ear), ("10.0.0.1", 80))
    listener.sock = Faulty(server)
    with socket.create_connection(server.getsockname()):
        turn_until(reactor, lambda: listener.failure == code)
        turn_until(reactor, lambda: ear.transport is not None)
    assert listener.failure is None


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
def test_a_connection_knows_the_address_of_a_plain_listener_that_it_came_by(reactor, bound):
    ear = Ear()
    listener = socket.create_server((bound, 0))
    reactor.listen(listener, reactor.add_lane(), Door(ear), ("10.0.0.1", 80))
    there = ("127.0.0.1", listener.getsockname()[1])
    with socket.create_connection(there):
        turn_until(reactor, lambda: ear.transport is not None)
    assert ear.transport.entrance == f"{there[0]}:{there[1]}"


@pytest.mark.parametrize(("workers", "share"), [(1, ACCEPTS), (3, ACCEPTS // 3), (100, 1)])
def test_a_turn_takes_what_waits_for_a_listener_but_leaves_the_other_workers_their_share(workers, share):
    reactor = Reactor(Platform(), workers)
    reactor.shared_turn = reactor.lone_turn = 60.0
    ears = [Ear() for _ in range(2 * ACCEPTS)]
    listener = socket.create_server(("127.0.0.1", 0), backlog=len(ears))
    reactor.listen(listener, reactor.add_lane(), Door(*ears), ("10.0.0.1", 80))
    clients = [socket.create_connection(listener.getsockname()) for _ in ears]
    reactor.turn()
    assert sum(ear.transport is not None for ear in ears) == share
    turn_until(reactor, lambda: ears[-1].transport is not None)
    for client in clients:
        client.close()


def test_a_listener_that_closes_takes_what_waits(reactor):
    ears = Ear(), Ear(), Ear()
    sock = socket.create_server(("127.0.0.1", 0))
    address = sock.getsockname()
    listener = reactor.listen(sock, reactor.add_lane(), Door(*ears), ("10.0.0.1", 80))
    clients = [socket.create_connection(address) for _ in ears]
    listener.close()
    for client, ear in zip(clients, ears, strict=True):
        assert ear.transport is not None, "nobody is reset"
        ear.transport.send(b"welcome")
        reactor.turn()
        assert client.recv(10) == b"welcome"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    listener.close()
    reactor.turn()


def test_a_listener_rests_while_descriptors_are_short_and_may_be_closed_meanwhile(reactor):
    ears = Ear(), Ear()
    sock = socket.create_server(("127.0.0.1", 0))
    listener = reactor.listen(sock, reactor.add_lane(), Door(*ears), ("10.0.0.1", 80))
    clients = [socket.socket() for _ in ears]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        clients[0].connect(sock.getsockname())
        clients[1].connect(sock.getsockname())
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, limits[1]))
        held = fill_descriptors()
        listener.readable()
        assert ears[0].transport is None and reactor.clock.wait() is not None
        for fd in held:
            os.close(fd)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    turn_until(reactor, lambda: ears[0].transport is not None)
    listener.close()
    assert ears[1].transport is not None


def fill_descriptors() -> list[int]:
    """Open files until there is no descriptor left."""
    held = []
    with suppress(OSError):
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    return held
