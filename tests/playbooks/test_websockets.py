"""Websockets over either HTTP: relayed both ways, counted until they end, whoever ends them."""

import pytest

from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import GET, ask, split
from .http2_peer import dial
from .mesh import LIMITS, ROUTE, SERVICE, pool_of, rule

UPGRADE = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_a_websocket_is_relayed_with_its_half_close(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    upstream = server.accept()
    _, headers, _ = split(upstream.take())
    assert headers[b"connection"] == b"upgrade" and headers[b"upgrade"] == b"websocket"
    upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello")
    world.run()
    start, headers, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 101") and headers[b"upgrade"] == b"websocket" and body == b"hello"
    client.send(b"frame")
    client.end()
    world.run()
    assert upstream.take() == b"frame" and upstream.ended
    upstream.send(b"last")
    upstream.end()
    world.run()
    assert client.take() == b"last" and client.ended
    assert world.records[0].status == 101
    assert world.proxy.pods[1].budget.connections == 0


def test_a_websocket_counts_as_a_request_until_it_ends():
    world = World(
        SERVICE
        + pool_of("tcp: {maxConnections: 2, idleTimeout: 60s}, http: {http2MaxRequests: 1}")
        + LIMITS.format("requests: 3")
    )
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, UPGRADE)
    upstream = server.accept()
    upstream.send(SWITCHING)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 101")
    (target,) = world.proxy.targets.values()
    budget = world.proxy.pods[1].budget
    assert target.limits.requests.active == target.limits.connections.active == budget.requests == 1
    assert [host.load for host in target.group.by_address.values()] == [1]
    assert b"reset reason: overflow" in ask(world).take()
    assert world.records[-1].reasons == (Reason.UPSTREAM_OVERFLOW,)

    world.advance(45.0)
    client.send(b"ping")
    world.advance(45.0)
    assert upstream.take().endswith(b"ping") and not client.closed
    world.advance(20.0)
    assert client.ended and upstream.ended
    record = world.records[-1]
    assert (record.status, record.reasons, record.duration) == (
        101,
        (Reason.IDLE_TIMEOUT,),
        pytest.approx(105.0, abs=1.0),
    )
    assert target.limits.requests.active == target.limits.connections.active == budget.requests == 0
    assert [host.load for host in target.group.by_address.values()] == [0] and budget.connections == 1
    ask(world)
    assert server.waiting == 1


def test_either_side_of_a_websocket_may_end_first(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, UPGRADE)
    upstream = server.accept()
    upstream.send(SWITCHING)
    upstream.end()
    world.run()
    assert client.take().startswith(b"HTTP/1.1 101") and client.ended and not upstream.ended
    client.send(b"last words")
    client.reset()
    world.run()
    assert upstream.take().endswith(b"last words") and upstream.reset_seen
    assert world.records[-1].reasons == (Reason.DOWNSTREAM_CONNECTION_TERMINATION,)
    (target,) = world.proxy.targets.values()
    assert target.limits.requests.active == target.limits.connections.active == 0


def test_a_copy_of_an_upgrade_ends_with_its_answer():
    other = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.11").replace("10.1.0.1", "10.1.0.7")
    world = World(SERVICE + "---" + other + rule(ROUTE + "\nmirror: {host: ratings, port: {number: 80}}"))
    server, shadow = world.serve("10.1.0.1", 9080), world.serve("10.1.0.7", 9080)
    client = ask(world, UPGRADE)
    copy = shadow.accept()
    copy.send(SWITCHING)
    server.accept().send(SWITCHING)
    world.run()
    assert copy.closed and not client.closed and client.take().startswith(b"HTTP/1.1 101")
    counts = {target.cluster.host: target.limits.requests.active for target in world.proxy.targets.values()}
    assert sorted(counts.values()) == [0, 1]


def test_other_upgrades_are_refused(world):
    world.serve("10.1.0.1", 9080)
    client = ask(world, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: irc/6.9\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 403")


def test_websocket_over_a_stream_reaches_an_http_1_1_endpoint(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.codec.get_next_available_stream_id()
    client.codec.config.validate_outbound_headers = False
    client.codec.send_headers(
        stream,
        [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":authority", b"reviews"),
         (b":path", b"/chat"), (b"sec-websocket-version", b"13")],
    )  # fmt: skip
    client.turn()
    upstream = server.accept()
    start, headers, _ = split(upstream.take())
    assert start == b"GET /chat HTTP/1.1" and headers[b"upgrade"] == b"websocket"
    upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello")
    client.turn()
    assert client.head(stream)[b":status"] == b"200" and client.body(stream) == b"hello"
    client.codec.send_data(stream, b"world", end_stream=True)
    client.turn()
    assert upstream.take() == b"world" and upstream.ended
    upstream.end()
    client.turn()
    assert client.is_over(stream) and world.records[-1].status == 101


def test_a_tunnel_that_its_client_ends_at_once_ends(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.codec.get_next_available_stream_id()
    client.codec.config.validate_outbound_headers = False
    head = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":authority", b"reviews"),
            (b":path", b"/chat")]  # fmt: skip
    client.codec.send_headers(stream, head, end_stream=True)
    client.turn()
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbye")
    client.turn()
    upstream.end()
    client.turn()
    assert client.body(stream) == b"bye" and client.is_over(stream) and world.proxy.pods[1].budget.requests == 0
