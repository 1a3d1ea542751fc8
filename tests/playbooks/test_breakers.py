"""Circuit breakers: who waits for a connection, who is refused, and how workers of one node share a limit."""

import pytest

from nodemesh.balance.shared import Ledger, Share, size_of
from nodemesh.node.counters import policed_by
from nodemesh.proxy.http.queue import LONGEST_WAIT
from nodemesh.routing.client import Client
from nodemesh.sim.network import SimServer
from nodemesh.sim.world import World

from .http1_peer import OK, RESET, ask, split
from .mesh import ROUTE, SERVICE, pool_of, rule


def node_of(count: int, config: str) -> list[World]:
    """Workers that count together."""
    buffer = memoryview(bytearray(size_of(count, 8)))
    ledger = Ledger(buffer, count, 8)
    workers = [World(config, number) for number in range(count)]
    for number, worker in enumerate(workers):
        worker.proxy.shared.share = Share(buffer, number)
        worker.serve("10.1.0.1", 9080)
    view = workers[0].proxy.views.for_client(Client(namespace="default", name="client"))
    ledger.assign(policed_by(view, "reviews.default.svc.cluster.local").clusters)
    return workers


def server_of(world: World) -> SimServer:
    return world.network.servers["10.1.0.1", 9080]


def test_each_worker_has_a_connection_whatever_the_breaker_says():
    one, two = node_of(2, SERVICE + pool_of("tcp: {maxConnections: 1}"))
    ask(one)
    client = ask(two)
    server_of(two).accept().send(OK)
    two.run()
    assert client.take().startswith(b"HTTP/1.1 200")
    waiting = ask(one)  # behind its own worker's first request
    assert server_of(one).waiting == 1
    for _ in range(2):
        server_of(one).connections[0].send(OK)
        one.run()
    assert waiting.take().startswith(b"HTTP/1.1 200")


def test_who_waits_hears_of_what_another_worker_gives_back():
    one, two = node_of(2, SERVICE + pool_of("tcp: {maxConnections: 2}"))
    ask(one)
    ask(two)
    waiting = ask(one)  # both places are taken
    assert server_of(one).waiting == 1
    server_of(two).accept().send(OK)
    two.run()
    assert server_of(two).connections[0].closed, "kept while another worker's request waits for its place"
    one.advance(0.1)
    server_of(one).connections[1].send(OK)
    one.run()
    assert waiting.take().startswith(b"HTTP/1.1 200")


def test_an_idle_connection_goes_when_another_worker_wants_its_place():
    one, two = node_of(2, SERVICE + pool_of("tcp: {maxConnections: 2}"))
    ask(two)
    server_of(two).accept().send(OK)
    two.run()
    ask(one)
    ask(one)
    assert server_of(one).waiting == 1 and not server_of(two).connections[0].closed
    two.advance(5.1)
    assert server_of(two).connections[0].closed
    one.advance(0.1)
    assert server_of(one).waiting == 2


def test_who_waits_keeps_the_order():
    world = World(SERVICE + pool_of("tcp: {maxConnections: 1}"))
    server = world.serve("10.1.0.1", 9080)
    clients = [ask(world) for _ in range(4)]
    for number in range(4):
        server.connections[0].send(OK)
        world.run()
        assert [bool(client.inbox) for client in clients] == [True] * (number + 1) + [False] * (3 - number)


def test_a_wait_for_a_connection_ends():
    world = World(SERVICE + pool_of("tcp: {maxConnections: 1}"))
    world.serve("10.1.0.1", 9080)
    clients = [ask(world) for _ in range(2)]
    world.advance(LONGEST_WAIT - 1.0)
    assert not clients[1].inbox
    world.advance(2.0)
    start, _, body = split(clients[1].take())
    assert start.startswith(b"HTTP/1.1 503") and body == RESET + b"reset reason: overflow"


@pytest.mark.parametrize("body", [b"", b"ab"])
def test_a_timeout_counts_while_a_request_waits_for_a_connection(body):
    world = World(SERVICE + pool_of("tcp: {maxConnections: 1}") + rule(ROUTE + "\ntimeout: 2s"))
    server = world.serve("10.1.0.1", 9080)
    ask(world, b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 2\r\n\r\na")  # whose timeout has not begun
    waiting = ask(world, b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: %d\r\n\r\n" % len(body))
    waiting.send(body)
    world.advance(3.0)
    assert split(waiting.take())[0].startswith(b"HTTP/1.1 504")
    assert not server.connections[0].closed


def test_who_waits_for_an_endpoint_that_leaves_gets_another_one():
    world = World(SERVICE + pool_of("tcp: {maxConnections: 1}"))
    world.serve("10.1.0.1", 9080)
    fresh = world.serve("10.1.0.3", 9080)
    ask(world)
    waiting = ask(world)
    world.configure(SERVICE.replace("10.1.0.1", "10.1.0.3") + pool_of("tcp: {maxConnections: 2}"))
    ask(world)  # the cluster's next use has it hear of the change
    assert fresh.waiting == 1
    fresh.connections[0].send(OK)
    world.run()
    assert waiting.take().startswith(b"HTTP/1.1 200")


def test_tcp_takes_the_place_of_an_idle_connection():
    world = World(SERVICE + pool_of("tcp: {maxConnections: 1}"))
    server = world.serve("10.1.0.1", 9082)
    ask(world, port=82)
    server.accept().send(OK)
    world.run()
    client = world.connect("10.96.0.10", 82)
    client.send(b"\x00\x01")
    world.run()
    assert server.waiting == 1 and server.accept().take() == b"\x00\x01" and not client.closed
