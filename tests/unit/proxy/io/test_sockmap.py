"""Connections whose app gets its bytes without TCP: the queue is asked before it is written to, and nobody spins."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

import pytest
from tests.unit.proxy.io.ears import Door, Ear, turn_until

from nodemesh.proxy.io.flow import Flow
from nodemesh.proxy.io.platform import AppQueue, Platform
from nodemesh.proxy.io.reactor import Reactor
from nodemesh.proxy.io.sockmap import LEAST, MAX_DEPTH, SockmapTransport
from nodemesh.proxy.transport import READ_SIZE
from nodemesh.registry.snapshot import Endpoint


class Queue(AppQueue):
    """As deep as it is told to be; a socket's own TCP carries the bytes."""

    def __init__(self) -> None:
        self.now = 0
        self.asked = 0
        self.small: list[bool] = []

    def depth(self, small: bool) -> int:
        self.asked += 1
        self.small.append(small)
        if self.now == -errno.EBADF:
            raise OSError(errno.EBADF, "queue depth")
        return self.now


class Joined(Platform):
    """Every connection's sockets are both in the map."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def original_destination(self, connection, peer):
        return "10.0.0.1", 80

    def app_queue(self, connection):
        return self.queue


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def reactor(queue) -> Reactor:
    return Reactor(Joined(queue))


@pytest.fixture
def lane(reactor) -> int:
    return reactor.add_lane()


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def client(reactor, lane, ear) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    reactor.listen(listener, lane, Door(ear), None)
    sock = socket.create_connection(listener.getsockname())
    turn_until(reactor, lambda: ear.transport is not None)
    assert isinstance(ear.transport, SockmapTransport)
    sock.setblocking(False)
    return sock


def drain(reactor: Reactor, client: socket.socket, size: int) -> bytes:
    came = bytearray()

    def read() -> bool:
        with suppress(BlockingIOError):
            came.extend(client.recv(1 << 20))
        return len(came) >= size

    turn_until(reactor, read)
    return bytes(came)


def test_the_queue_is_asked_before_the_first_byte_and_then_once_in_a_while(reactor, ear, client, queue):
    assert queue.asked == 0
    for _ in range(100):
        ear.transport.send(b"x" * 100)
        assert drain(reactor, client, 100) == b"x" * 100
    assert queue.asked == 1
    data = bytes(range(256)) * 4096
    for _ in range(4 * MAX_DEPTH // len(data)):
        ear.transport.send(data)
        assert drain(reactor, client, len(data)) == data
    assert 4 <= queue.asked <= 8


@pytest.mark.parametrize(
    ("first", "to_come", "small"),
    [(LEAST - 1, 0, True), (LEAST, 0, False), (100, 65536, False)],
    ids=["small", "large", "the head of a large one"],
)
def test_the_first_answer_says_whether_it_is_small(reactor, ear, client, queue, first, to_come, small):
    ear.transport.to_come = to_come
    ear.transport.send(bytes(first))
    drain(reactor, client, first)
    assert queue.small == [small]


def test_what_goes_by_tcp_never_asks_again(reactor, ear, client, queue):
    queue.now = -1
    data = bytes(3 * MAX_DEPTH)
    ear.transport.send(data)
    assert drain(reactor, client, len(data)) == data
    assert queue.asked == 1


def test_a_full_queue_stops_writing_until_the_app_has_read_and_nobody_spins(reactor, ear, client, queue):
    queue.now = MAX_DEPTH
    ear.transport.send(b"first")
    ear.transport.send(b"second" * 10_000)
    end = reactor.clock.now + 0.1
    turns = 0
    while reactor.clock.now < end:
        reactor.turn()
        turns += 1
    assert ear.transport.pending == 60_005 and "drained" not in ear.log
    assert queue.asked <= 20 and turns <= 40, "a look every few milliseconds, and fewer with time"
    queue.now = 0
    assert drain(reactor, client, 60_005) == b"first" + b"second" * 10_000
    turn_until(reactor, lambda: ear.transport.pending == 0)
    assert ear.log[-1] == "drained"


def test_what_the_socket_does_not_take_at_once_follows_after_a_large_read_too(reactor, ear, client, queue):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
    client.sendall(b"q" * READ_SIZE)
    turn_until(reactor, lambda: len(ear.data) == READ_SIZE)
    data = b"late" * (1 << 21)  # more than the system lets a socket have
    ear.transport.send(data)
    assert ear.transport.pending > 0
    assert drain(reactor, client, len(data)) == data


def test_a_close_waits_for_what_the_queue_does_not_take_yet(reactor, ear, client, queue):
    queue.now = MAX_DEPTH
    ear.transport.send(b"late")
    ear.transport.close()
    reactor.turn()
    queue.now = 0
    assert drain(reactor, client, 4) == b"late"
    turn_until(reactor, lambda: ear.transport.closed)


def test_a_queue_that_cannot_be_asked_ends_the_connection(reactor, ear, client, queue):
    queue.now = -errno.EBADF
    ear.transport.send(b"x")
    client.sendall(b"y")
    client.shutdown(socket.SHUT_WR)
    turn_until(reactor, lambda: ear.log and ear.log[-1].startswith("lost"))


def test_one_that_is_relayed_goes_by_tcp_from_the_first_byte_and_is_spliced(reactor, lane, ear, client, queue):
    """What is known before anything is written: a relay's bytes cost less through a pipe."""
    assert not ear.transport.spliceable
    queue.now = -1
    server = socket.create_server(("127.0.0.1", 0))
    mouth = Mouth()
    endpoint = Endpoint(address="127.0.0.1", port=server.getsockname()[1])
    upstream = reactor.connect(endpoint, -1, lane, None, mouth)
    upstream.join(ear.transport)
    assert queue.small == [True] and ear.transport.spliceable
    ear.transport.send(b"x" * (1 << 20))
    assert drain(reactor, client, 1 << 20) == b"x" * (1 << 20)
    assert queue.asked == 1


def test_a_queue_that_cannot_be_asked_when_it_is_joined_is_asked_at_the_first_write(reactor, ear, client, queue):
    queue.now = -errno.EBADF
    ear.transport.joined(Flow(ear.transport, ear.transport, reactor.loop))
    assert not ear.log, "nothing has become of it yet"
    queue.now = 0
    ear.transport.send(b"x")
    assert drain(reactor, client, 1) == b"x"
    assert queue.small == [True, True]


class Mouth(Ear):
    """Hands on what it hears, as a relay does."""

    other = None

    def received(self, data):
        self.other.send(data)

    def passed(self, size):
        self.log.append(f"passed {size}")


@pytest.mark.parametrize("depth", [0, -1], ids=["without TCP", "by TCP"])
def test_bytes_reach_it_from_a_pipe_and_leave_it_as_they_have_come(reactor, lane, ear, client, queue, depth):
    """Upstream's bytes may come through a pipe; the app's, where some came without TCP, must not go into one."""
    queue.now = depth
    server = socket.create_server(("127.0.0.1", 0))
    mouth = Mouth()
    endpoint = Endpoint(address="127.0.0.1", port=server.getsockname()[1])
    upstream = reactor.connect(endpoint, -1, lane, None, mouth)
    accepted = server.accept()[0]
    turn_until(reactor, lambda: "connected" in mouth.log)
    mouth.other = ear.transport
    upstream.bulk = True
    upstream.join(ear.transport)
    ear.transport.join(upstream)
    data = bytes(range(256)) * (1 << 12)
    accepted.setblocking(False)
    came, sent = bytearray(), 0

    def pump() -> bool:
        nonlocal sent
        with suppress(BlockingIOError):
            sent += accepted.send(data[sent:])
        with suppress(BlockingIOError):
            came.extend(client.recv(1 << 20))
        return len(came) == len(data)

    turn_until(reactor, pump)
    assert came == data
    assert any(word.startswith("passed") for word in mouth.log), "some of it went through a pipe"
    ear.transport.bulk = True
    client.setblocking(True)
    client.sendall(data[:400_000])
    back = bytearray()

    def arrived() -> bool:
        """Shown to the handler, or spliced past it."""
        with suppress(BlockingIOError):
            back.extend(accepted.recv(1 << 20))
        return len(ear.data) + len(back) == 400_000

    turn_until(reactor, arrived)
    assert ear.data + back == data[:400_000]
    assert bool(back) == (depth < 0)
