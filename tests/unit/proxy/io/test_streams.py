"""Streams rest after each reading, nobody else does: who is one, who is none any more, and what waits for what."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from tests.unit.proxy.io.ears import Ear, open_to, turn_until
from tests.unit.proxy.io.test_pipes import Door, Half

from nodemesh.proxy.io.lane import QUANTUM
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import Reactor
from nodemesh.proxy.io.streams import STREAM

PIECE = bytes(64 * 1024)
NEVER = 1e6  # seconds


class Pair:
    """Two joined connections of a pod, and the far end of each."""

    def __init__(self, reactor: Reactor, lane: int) -> None:
        self.reactor = reactor
        halves = Half(), Half()
        listener = socket.create_server(("127.0.0.1", 0))
        reactor.listen(listener, lane, Door(*halves), ("10.0.0.1", 80))
        self.ends = []
        for half in halves:
            self.ends.append(socket.create_connection(listener.getsockname()))
            turn_until(reactor, lambda half=half: half.transport is not None)
        for half, other in (halves, halves[::-1]):
            half.other = other
            half.transport.join(other.transport)
        self.halves = halves

    def say(self, side: int, data: bytes) -> None:
        """One end says something, and the other end has it at last."""
        other = self.ends[1 - side]
        other.settimeout(0.001)
        self.ends[side].sendall(data)
        left, end = len(data), time.monotonic() + 10
        while left:
            assert time.monotonic() < end
            self.reactor.turn()
            try:
                left -= len(other.recv(left))
            except TimeoutError:
                continue

    def stream(self) -> None:
        """The first end says so much that it is a stream, and rests or not as the reactor has it."""
        for _ in range(STREAM // len(PIECE)):
            self.say(0, PIECE)

    def came(self) -> int:
        return self.halves[0].shown + self.halves[0].unseen


@pytest.fixture
def reactor():
    """One whose streams are never left alone."""
    reactor = Reactor(Platform())
    reactor.loop.lanes.lull.soon = 0.0
    return reactor


@pytest.fixture
def lane(reactor):
    return reactor.add_lane()


@pytest.fixture
def pair(reactor, lane):
    return Pair(reactor, lane)


def rest_from_now_on(reactor: Reactor) -> None:
    """As soon as streams have been read, until `wake`."""
    reactor.loop.lanes.lull.soon = reactor.loop.lanes.lull.gather = NEVER


def wake(reactor: Reactor) -> None:
    reactor.loop.lanes.lull.until = time.monotonic()


def test_a_stream_is_left_alone_for_a_moment_after_each_reading(reactor, pair):
    pair.stream()
    rest_from_now_on(reactor)
    pair.say(0, b"before")
    came = pair.came()
    pair.ends[0].sendall(b"in between")
    bystander = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), bystander)
    client.sendall(b"x")
    turn_until(reactor, lambda: bystander.data)
    assert pair.came() == came
    wake(reactor)
    turn_until(reactor, lambda: pair.came() == came + len(b"in between"))


def test_the_pod_s_other_sockets_do_not_rest(reactor, lane, pair):
    pair.stream()
    rest_from_now_on(reactor)
    pair.say(0, b"before")
    Pair(reactor, lane).say(0, b"other")
    assert reactor.loop.lanes.lull.until


def test_the_wait_is_over_when_the_rest_is(reactor, pair):
    """Even if nothing else happens."""
    pair.stream()
    rest_from_now_on(reactor)
    reactor.loop.lanes.lull.gather = 0.01
    for _ in range(3):
        pair.say(0, b"more")


def test_what_comes_seldom_is_not_kept_waiting(reactor, pair):
    pair.stream()
    assert reactor.loop.lanes.streaming and not reactor.loop.lanes.lull.until


def test_without_an_answer_a_megabyte_is_a_stream_and_less_is_none(reactor, pair):
    pair.say(0, PIECE)
    for _ in range(STREAM // len(PIECE) - 1):
        pair.say(1, b"answer")
        pair.say(0, PIECE)
        pair.say(0, PIECE)
    assert not reactor.loop.lanes.streaming
    pair.stream()
    assert reactor.loop.lanes.streaming


def test_an_answer_ends_a_stream(reactor, pair):
    pair.stream()
    pair.say(1, b"answer")
    rest_from_now_on(reactor)
    pair.say(0, b"request")
    pair.say(0, b"another")
    assert not reactor.loop.lanes.lull.until


def test_a_stream_s_end_is_told(reactor, pair):
    pair.stream()
    rest_from_now_on(reactor)
    reactor.loop.lanes.lull.gather = 0.001
    pair.ends[0].shutdown(socket.SHUT_WR)
    turn_until(reactor, lambda: pair.halves[0].over)
    assert pair.ends[1].recv(1) == b""
    pair.say(1, b"the other way is open")


def test_more_streams_than_a_quantum_do_not_rest_before_each_was_read(reactor, lane):
    pairs = [Pair(reactor, lane) for _ in range(QUANTUM + 1)]
    for pair in pairs:
        pair.stream()
    rest_from_now_on(reactor)
    before = [pair.came() for pair in pairs]
    for pair in pairs:
        pair.ends[0].sendall(b"x")
    turn_until(reactor, lambda: reactor.loop.lanes.lull.until)
    assert [pair.came() for pair in pairs] == [came + 1 for came in before]


def test_a_pod_may_go_while_its_streams_rest(reactor, lane, pair):
    pair.stream()
    rest_from_now_on(reactor)
    pair.say(0, b"before")
    reactor.drop_lane(lane, -1)
    for half in pair.halves:
        half.transport.close()
    reactor.turn()
    assert (
        lane not in reactor.loop.lanes.known and not reactor.loop.lanes.streaming and not reactor.loop.lanes.lull.until
    )


def test_nothing_is_lost_with_rests_as_long_as_a_worker_s(reactor, pair):
    reactor.loop.lanes.lull.soon, rested, size = NEVER, False, 8 << 20
    writer = threading.Thread(target=lambda: [pair.ends[0].sendall(PIECE) for _ in range(size // len(PIECE))])
    writer.start()
    left = size
    pair.ends[1].setblocking(False)
    end = time.monotonic() + 30
    while left:
        assert time.monotonic() < end
        reactor.turn()
        rested = rested or reactor.loop.lanes.lull.until > 0.0
        try:
            left -= len(pair.ends[1].recv(1 << 20))
        except BlockingIOError:
            continue
    writer.join()
    assert rested
