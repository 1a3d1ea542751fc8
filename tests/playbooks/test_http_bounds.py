"""What one HTTP/1.1 connection may hold, ask for and wait for."""

import msgspec
import pytest

from nodemesh.proxy.http1.client import MAX_INTERIM
from nodemesh.proxy.http1.server import AT_ONCE
from nodemesh.reasons import Reason
from nodemesh.sim.world import World
from nodemesh.telemetry.telemetry import Dump

from .http1_peer import GET, OK, ask, split
from .mesh import LIMITS, SERVICE, rule


def test_a_slow_client_stops_the_upstream(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    client.window = 1000
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(10):
        upstream.send(b"x" * 10_000)
    world.run()
    assert client.transport.pending < 12_000, "one piece is held, not the whole body"
    client.window = 1 << 20
    got = b""
    while len(got) < 100_000:
        piece = client.take()
        world.run()
        assert piece or client.inbox
        got += piece
    assert split(got)[2] == b"x" * 100_000 and world.records[0].bytes_sent == 100_000


def test_a_slow_upstream_stops_the_client(world):
    server = world.serve("10.1.0.1", 9080)
    client = world.connect("10.96.0.10", 80)
    client.send(b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 100000\r\n\r\n")
    world.run()
    upstream = server.accept()
    upstream.take()
    upstream.window = 1000
    for _ in range(10):
        client.send(b"x" * 10_000)
    world.run()
    assert upstream.transport.pending < 12_000
    upstream.window = 1 << 20
    got = 0
    while got < 100_000:
        got += len(upstream.take())
        world.run()
    upstream.send(OK)
    world.run()
    assert client.take().endswith(b"hi")


def test_a_head_that_comes_in_drops_is_too_late(world):
    client = world.connect("10.96.0.10", 80)
    for byte in b"GET /" + b"a" * 35:
        client.send(bytes((byte,)))
        world.advance(1.4)
    assert not client.take()
    world.advance(6.0)
    assert client.take().startswith(b"HTTP/1.1 408") and client.ended
    assert world.records[0].reasons == (Reason.DOWNSTREAM_PROTOCOL_ERROR,)


def test_a_connection_without_a_request_is_closed_in_the_end(world):
    server = world.serve("10.1.0.1", 9080)
    silent = world.connect("10.96.0.10", 80)
    client = ask(world)
    world.advance(3500.0)
    assert not silent.closed
    world.advance(200.0)
    assert silent.ended and not client.closed, "an answer may take as long as the route allows"
    server.accept().send(OK)
    world.run()
    assert client.take().endswith(b"hi")
    world.advance(3700.0)
    assert client.ended


def test_a_body_that_stops_coming_is_given_up_in_the_end(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 6\r\n\r\n")
    world.advance(3000.0)
    client.send(b"abc")
    world.advance(3000.0)
    assert not client.closed
    world.advance(700.0)
    assert client.closed and server.accept().closed
    assert world.records[0].reasons == (Reason.IDLE_TIMEOUT,)


def test_pipelined_answers_of_ours_leave_others_their_turn():
    world = World(SERVICE + rule("directResponse: {status: 418}"))
    client, other = world.connect("10.96.0.10", 80), world.connect("10.96.0.10", 80, name="other")
    client.send(GET * 100)
    other.send(GET)
    world.network.events.turn()
    assert client.take().count(b" 418 ") == AT_ONCE and other.take().count(b" 418 ") == 1
    client.end()
    world.advance(0.1)
    assert client.take().count(b" 418 ") == 100 - AT_ONCE and client.ended


def test_a_client_that_pipelines_too_much_is_not_read(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    for _ in range(30):
        client.send(GET * 100)
    world.run()
    assert world.proxy.pods[1].gate.held < 70_000
    upstream = server.accept()
    for _ in range(3001):
        upstream.take()
        upstream.send(OK)
        world.run()
    assert client.take().count(b"HTTP/1.1 200") == 3001 and world.proxy.pods[1].gate.held == 0


def test_connections_beyond_a_pods_limit_are_reset_and_counted():
    world = World(SERVICE + LIMITS.format("connections: 1"))
    first, second = world.connect("10.96.0.10", 80), world.connect("10.96.0.10", 80)
    assert second.reset_seen and not first.closed
    assert world.records[0].reasons == (Reason.LIMIT_PER_POD,)
    (tcp,) = msgspec.msgpack.decode(world.telemetry.dump(), type=Dump).tcp
    assert (tcp.opened, tcp.closed) == (1, 1) and "UO" in tcp.labels
    assert not world.connect("10.96.0.10", 80, name="other").closed
    first.end()
    world.run()
    assert not world.connect("10.96.0.10", 80).closed


def test_interim_responses_have_a_bound(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    server.accept().send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_INTERIM + 1))
    world.run()
    *hints, last = client.take().split(b"HTTP/1.1 ")[1:]
    assert len(hints) == MAX_INTERIM and last.startswith(b"502 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"../" * 300 + b" HTTP/1.1\r\nHost: reviews\r\n\r\n", b"400"),
        (b"\r\n" * 100 + GET, b"400"),
        (GET[:-2] + b"Connection: " + b"a," * 200 + b"\r\n\r\n", b"431"),
        (
            b"POST / HTTP/1.1\r\nHost: reviews\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a:\r\n" * 200 + b"\r\n",
            b"431",
        ),
    ],
)
def test_what_is_too_much_work_is_refused(world, head, status):
    world.serve("10.1.0.1", 9080)
    client = ask(world, head)
    assert client.take().startswith(b"HTTP/1.1 " + status) and client.ended
