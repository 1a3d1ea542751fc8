"""Joined sockets: what comes in large pieces goes through a pipe, in order and complete, at the reader's pace."""

import hashlib
import os
import socket
import threading
import time

import pytest

from nodemesh.proxy.io.pipes import Pipes
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import Reactor
from nodemesh.proxy.network import Acceptor
from nodemesh.proxy.transport import Handler

SIZE = 64 << 20


class Half(Handler):
    """One of two joined connections, as a relay has them."""

    def __init__(self):
        self.transport = None
        self.other = None
        self.shown = self.unseen = 0
        self.error = None
        self.over = False

    def received(self, data):
        self.shown += len(data)
        self.other.transport.send(data)
        self.check()

    def passed(self, size):
        self.unseen += size
        self.check()

    def check(self):
        if self.other.transport.pending:
            self.transport.pause()

    def drained(self):
        if not self.other.over:
            self.other.transport.resume()

    def ended(self):
        self.over = True
        self.other.transport.end()

    def lost(self, error):
        self.error = error
        self.other.transport.abort()


class Door(Acceptor):
    def __init__(self, *halves):
        self.halves = list(halves)

    def accepted(self, transport, dialled):
        half = self.halves.pop(0)
        half.transport = transport
        transport.handler = half
        transport.bulk = True


@pytest.fixture
def joined():
    """A reactor with two connections, and the far end of each."""
    reactor = Reactor(Platform())
    halves = Half(), Half()
    listener = socket.create_server(("127.0.0.1", 0))
    reactor.listen(listener, reactor.add_lane(), Door(*halves), ("10.0.0.1", 80))
    ends = []
    for half in halves:
        ends.append(socket.create_connection(listener.getsockname()))
        while half.transport is None:
            reactor.turn()
    for half, other in (halves, halves[::-1]):
        half.other = other
        half.transport.join(other.transport)
    yield reactor, *halves, *ends
    for end in ends:
        end.close()


def turn_while(reactor, thread):
    end = time.monotonic() + 30
    while thread.is_alive():
        assert time.monotonic() < end
        reactor.turn()


def pump(writer, reader, pause=0.0):
    """Send SIZE random bytes and a FIN while the other end reads; the digests of both."""
    block = os.urandom(1 << 20)
    sent, got = hashlib.sha256(), hashlib.sha256()

    def write():
        for _ in range(SIZE >> 20):
            writer.sendall(block)
            sent.update(block)
        writer.shutdown(socket.SHUT_WR)

    def read():
        while data := reader.recv(1 << 18):
            got.update(data)
            time.sleep(pause)

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    return threads, sent, got


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_everything_comes_through_in_order(joined, pause):
    reactor, one, other, writer, reader = joined
    threads, sent, got = pump(writer, reader, pause)
    for thread in threads:
        turn_while(reactor, thread)
    assert sent.digest() == got.digest()
    assert one.shown + one.unseen == SIZE and one.unseen > SIZE / 2
    assert one.over and not other.over, "only one half is closed"
    reader.sendall(b"back")
    while other.shown < 4:
        reactor.turn()
    assert writer.recv(10) == b"back"


def test_without_pipes_it_is_copied(joined):
    reactor, one, _, writer, reader = joined
    reactor.loop.pipes = Pipes(0)
    threads, sent, got = pump(writer, reader)
    for thread in threads:
        turn_while(reactor, thread)
    assert sent.digest() == got.digest() and one.unseen == 0


def test_a_handler_that_comes_later_is_shown_everything(joined):
    reactor, one, other, writer, reader = joined
    writer.sendall(bytes(300_000))
    seen = 0
    reader.setblocking(False)
    while seen < 300_000:
        reactor.turn()
        try:
            seen += len(reader.recv(1 << 20))
        except BlockingIOError:
            continue
    later = Half()
    later.transport, later.other = one.transport, other
    one.transport.handler = later
    writer.sendall(bytes(300_000))
    while later.shown < 300_000:
        reactor.turn()
        try:
            reader.recv(1 << 20)
        except BlockingIOError:
            continue
    assert later.unseen == 0


def test_a_reader_that_resets_is_told(joined):
    reactor, one, other, writer, reader = joined
    writer.setblocking(False)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    end = time.monotonic() + 10
    while other.error is None:
        assert time.monotonic() < end
        try:
            writer.send(bytes(1 << 20))
        except BlockingIOError:
            reader.close()
        except OSError:
            break
        reactor.turn()
    assert other.error is not None
    descriptors = len(os.listdir("/proc/self/fd"))
    assert reactor.loop.pipes.take() is not None and len(os.listdir("/proc/self/fd")) <= descriptors + 2


def test_pipes_are_used_again_and_bounded():
    pool = Pipes(2)
    first, second = pool.take(), pool.take()
    assert first is not None and second is not None and pool.take() is None
    pool.give(first)
    assert pool.take() is first
    second.held = 1
    pool.give(second)
    replaced = pool.take()
    assert replaced is not None and replaced is not second, "one with bytes in it is never used again"
    for pipe in (first, replaced):
        pipe.close()


def test_a_pipe_that_cannot_grow_is_none_at_all():
    pool = Pipes(capacity=2**31 - 1)
    descriptors = len(os.listdir("/proc/self/fd"))
    assert pool.take() is None and pool.take() is None
    assert len(os.listdir("/proc/self/fd")) == descriptors
