"""Sockets as transports: fairness between pods, back-pressure, resets, and events that come unasked."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import struct
import time
from contextlib import suppress

import pytest

from nodemesh.proxy.io.lane import QUANTUM
from nodemesh.proxy.io.loop import ACCEPTS
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import AT_WORK, TIMERS, Reactor
from nodemesh.proxy.network import Acceptor
from nodemesh.proxy.transport import LAST_WORDS, Buffer, Handler, Transport
from nodemesh.registry.snapshot import Endpoint


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


@pytest.fixture
def reactor():
    """One whose turns do not end early on a slow machine."""
    reactor = Reactor(Platform())
    reactor.shared_turn = reactor.lone_turn = 60.0
    return reactor


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


def test_both_ends_of_an_ipv6_connection_have_their_names(reactor):
    """The kernel tells four things of such an address, not two."""
    lane, ear, caller = reactor.add_lane(), Ear(), Ear()
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    reactor.listen(listener, lane, Door(ear), ("10.0.0.1", 80))
    port = listener.getsockname()[1]
    upstream = reactor.connect(Endpoint(address="::1", port=port), -1, lane, None, caller)
    turn_until(reactor, lambda: ear.transport is not None and "connected" in caller.log)
    assert ear.transport.remote == upstream.local != ""
    assert upstream.remote == f"[::1]:{port}"


def test_a_busy_pod_does_not_keep_a_quiet_one_waiting(reactor):
    log: list[str] = []
    many, few = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, many, *(Ear(" crowd", log) for _ in range(3 * QUANTUM)))
    (single,) = open_to(reactor, few, Ear(" single", log))
    for client in [*crowd, single]:
        client.sendall(b"x")
    reactor.turn()
    assert log.count("received crowd") == QUANTUM and log.count("received single") == 1
    turn_until(reactor, lambda: len(log) == 3 * QUANTUM + 1)


def test_a_turn_ends_after_its_time_and_nobody_is_left_out(reactor):
    """However long each socket takes: here the first one's time is all of the turn."""
    log: list[str] = []
    many, few = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, many, *(Ear(f" {number}", log) for number in range(QUANTUM + 8)))
    (single,) = open_to(reactor, few, Ear(" single", log))
    reactor.shared_turn = reactor.lone_turn = 0.0
    for client in crowd:
        client.sendall(b"x")
    for turn in range(1, len(crowd) + 1):
        single.sendall(b"x")
        turn_until(reactor, lambda turn=turn: log.count("received single") == turn)
        assert len(log) == 2 * turn, "one of the crowd for one of the other pod"
    assert len(set(log)) == len(crowd) + 1, "each had its turn"


def test_a_pod_alone_has_longer_turns(reactor):
    log: list[str] = []
    lane, other = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, lane, *(Ear(log=log) for _ in range(4)))
    (single,) = open_to(reactor, other, Ear(" single", log))
    reactor.shared_turn = 0.0
    single.sendall(b"x")
    turn_until(reactor, lambda: log == ["received single"])
    for client in crowd:
        client.sendall(b"x")
    reactor.turn()
    assert len(log) == 2, "the other pod was at work a moment ago"
    turn_until(reactor, lambda: len(log) == 5)
    reactor.clock.now = time.monotonic()
    end = reactor.clock.now + AT_WORK
    turn_until(reactor, lambda: time.monotonic() > end)
    for client in crowd:
        client.sendall(b"x")
    reactor.turn()
    assert len(log) == 9


@pytest.mark.parametrize("deed", ["close", "abort", "pause"])
def test_what_was_left_of_a_turn_hears_nothing_if_it_is_not_to(reactor, deed):
    ears: list[Ear] = []

    class First(Ear):
        def received(self, data: Buffer) -> None:
            super().received(data)
            for ear in ears:
                if ear is not self and ear.transport is not None:
                    getattr(ear.transport, deed)()

    ears += [First(), First(), First()]
    lane = reactor.add_lane()
    clients = open_to(reactor, lane, *ears)
    reactor.shared_turn = reactor.lone_turn = 0.0
    for client in clients:
        client.sendall(b"x")
    for _ in range(6):
        reactor.turn()
    assert sorted(bool(ear.data) for ear in ears) == [False, False, True]
    assert not any(entry.startswith("lost") for ear in ears for entry in ear.log)


def test_timers_of_one_moment_leave_room_for_others(reactor):
    fired: list[int] = []
    for number in range(3 * TIMERS):
        reactor.clock.after(0.0, lambda number=number: fired.append(number))
    end = time.monotonic() + 0.01
    turn_until(reactor, lambda: time.monotonic() > end)
    assert len(fired) > 0 and len(fired) % TIMERS == 0
    turn_until(reactor, lambda: len(fired) == 3 * TIMERS)


def test_what_the_peer_does_not_take_waits_and_then_drains(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    data = bytes(8 << 20)
    ear.transport.send(data)
    assert ear.transport.pending > 0
    client.settimeout(0.01)
    while "drained" not in ear.log:
        with suppress(TimeoutError):
            client.recv(1 << 20)
        reactor.turn()
    assert ear.transport.pending == 0


def test_small_messages_of_one_turn_are_sent_together(reactor):
    """And in their order, whatever is sent between them at once."""

    class Teller(Ear):
        def received(self, data: Buffer) -> None:
            for part in (b"a", b"b"):
                self.transport.send(part)
            with pytest.raises(BlockingIOError):
                client.recv(9)
            self.log.append("told")
            if data == b"much":
                self.transport.send(memoryview(b"large"))
                self.transport.send(b"c")
            if data == b"end":
                self.transport.end()

    ear = Teller()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    client.setblocking(False)
    for asked, answer in ((b"x", b"ab"), (b"much", b"ablargec"), (b"end", b"ab")):
        client.sendall(asked)
        turn_until(reactor, lambda: ear.log)
        assert ear.log == ["told"] and client.recv(99) == answer
        ear.log.clear()
    assert client.recv(9) == b""


def test_a_timer_s_message_is_sent_before_the_loop_waits_again(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    client.setblocking(False)
    fired: list[bool] = []
    reactor.clock.after(0.0, lambda: fired.append(True) or ear.transport.send(b"late"))
    turn_until(reactor, lambda: fired)
    reactor.turn()
    assert client.recv(9) == b"late"


def test_a_paused_transport_hears_nothing_and_does_not_spin(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    ear.transport.pause()
    client.sendall(b"x")
    client.close()
    start = time.monotonic()
    for _ in range(3):
        reactor.turn()
    assert ear.log == [] and time.monotonic() - start > 0.2
    ear.transport.resume()
    turn_until(reactor, lambda: ear.log == ["received", "ended"])


def test_a_reset_is_heard_even_while_paused(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    ear.transport.pause()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    turn_until(reactor, lambda: ear.log)
    assert ear.log == ["lost ECONNRESET"] and ear.transport.closed


@pytest.mark.parametrize("left", [1, LAST_WORDS])
def test_a_fin_is_heard_though_the_pod_is_crowded(reactor, left):
    lane, ear = reactor.add_lane(), Ear()
    (client,) = open_to(reactor, lane, ear)
    gate = reactor.gate(lane)
    gate.share = 1000
    gate.change_held(1000)
    client.sendall(bytes(left))
    for _ in range(5):
        reactor.turn()
    assert not ear.data
    client.close()
    turn_until(reactor, lambda: "ended" in ear.log)
    assert len(ear.data) == left


def test_a_fin_behind_much_waits_for_room(reactor):
    lane, ear = reactor.add_lane(), Ear()
    (client,) = open_to(reactor, lane, ear)
    gate = reactor.gate(lane)
    gate.share = 1000
    gate.change_held(1000)
    client.sendall(bytes(LAST_WORDS + 1))
    client.close()
    for _ in range(5):
        reactor.turn()
    assert not ear.data and not select.select([reactor.loop.poller.fileno()], [], [], 0)[0], "nor does the loop spin"
    gate.change_held(-1000)
    turn_until(reactor, lambda: "ended" in ear.log)
    assert len(ear.data) == LAST_WORDS + 1


@pytest.mark.parametrize("hard", [False, True])
def test_a_transport_whose_peer_has_gone_is_stale(reactor, hard):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    assert not ear.transport.stale
    client.sendall(b"x")
    turn_until(reactor, lambda: ear.data)
    assert not ear.transport.stale
    if hard:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert ear.transport.stale and ear.log == ["received"]


def test_abort_is_a_reset_and_close_is_not(reactor):
    ears = Ear(), Ear()
    first, second = open_to(reactor, reactor.add_lane(), *ears)
    ears[0].transport.abort()
    ears[1].transport.send(b"bye")
    ears[1].transport.close()
    reactor.turn()
    with pytest.raises(ConnectionResetError):
        first.recv(1)
    assert second.recv(10) == b"bye" and second.recv(10) == b""


def test_connecting_and_failing_to(reactor):
    lane = reactor.add_lane()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ear = Ear()
        transport = reactor.connect(Endpoint(address="127.0.0.1", port=port), -1, lane, None, ear)
        transport.send(b"early")
        turn_until(reactor, lambda: ear.log)
        connection, peer = server.accept()
        assert connection.recv(10) == b"early" and transport.local == f"{peer[0]}:{peer[1]}"
    for endpoint, words in (
        (Endpoint(address="127.0.0.1", port=port), "ECONNREFUSED"),
        (None, "EADDRNOTAVAIL"),
        (Endpoint(address="unix:///nowhere/at/all", port=0), "ENOENT"),
    ):
        ear = Ear()
        reactor.connect(endpoint, -1, lane, None, ear)
        assert ear.log == []
        turn_until(reactor, lambda ear=ear: ear.log)
        assert ear.log == [f"lost {words}"]


@pytest.mark.parametrize(
    "code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES]
)
def test_what_is_short_while_dialling_is_told_like_any_other_failure(code):
    class Short(Platform):
        def open_socket(self, namespace_fd: int, family: int, kind: int = socket.SOCK_STREAM) -> socket.SocketType:
            raise OSError(code, os.strerror(code))

    reactor, ear = Reactor(Short()), Ear()
    lane = reactor.add_lane()
    transport = reactor.connect(Endpoint(address="127.0.0.1", port=80), -1, lane, None, ear)
    transport.send(b"early")
    assert ear.log == [] and transport.remote == "127.0.0.1:80" and not reactor.loop.lanes.known[lane].transports
    turn_until(reactor, lambda: ear.log)
    assert ear.log == [f"lost {errno.errorcode[code]}"]


def test_dialling_without_a_descriptor_left(reactor):
    lane, ear = reactor.add_lane(), Ear()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = [os.dup(0) for _ in range(used)]  # whatever numbers are free below
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(kept), hard))
        try:
            reactor.connect(Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, lane, None, ear)
            turn_until(reactor, lambda: ear.log)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in kept:
                os.close(fd)
    assert ear.log == ["lost EMFILE"]


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


def test_a_connection_that_stands_at_once_is_told_of_before_it_brings_anything(reactor):
    lane, ear = reactor.add_lane(), Ear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = reactor.connect(Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, lane, None, ear)
        assert transport.established and ear.log == []  # whoever connects has no transport to hear of yet
        connection, _ = server.accept()
        connection.sendall(b"greeting")
        transport.send(b"early")
        assert not transport.pending
        turn_until(reactor, lambda: ear.data)
        assert connection.recv(10) == b"early" and ear.log == ["connected", "received"]


def test_a_peer_that_does_not_answer_at_once_is_waited_for(reactor):
    ear = Ear()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        transport = reactor.connect(
            Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, reactor.add_lane(), None, ear
        )
        reactor.turn()
        assert not transport.established and ear.log == []
        server.accept()[0].close()
        turn_until(reactor, lambda: "connected" in ear.log)  # by the SYN's repetition, after 1 s


def test_one_that_is_closed_before_it_was_told_of_hears_nothing(reactor):
    lane, ear = reactor.add_lane(), Ear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = reactor.connect(Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, lane, None, ear)
        transport.close()
        reactor.turn()
        assert ear.log == []


def test_a_defect_costs_one_connection(reactor, caplog):
    class Broken(Ear):
        def received(self, data: Buffer) -> None:
            raise ZeroDivisionError

    ears = Broken(), Ear()
    first, second = open_to(reactor, reactor.add_lane(), *ears)
    first.sendall(b"x")
    second.sendall(b"y")
    turn_until(reactor, lambda: ears[1].data == b"y" and ears[0].log)
    assert ears[0].log == ["lost ECONNABORTED"] and "ZeroDivisionError" in caplog.text


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


def test_a_lane_outlives_its_pod_until_its_last_socket(reactor):
    ear = Ear()
    lane = reactor.add_lane()
    (client,) = open_to(reactor, lane, ear)
    reactor.drop_lane(lane, -1)
    client.sendall(b"x")
    turn_until(reactor, lambda: ear.data == b"x")
    ear.transport.close()
    reactor.turn()
    assert lane not in reactor.loop.lanes.known
