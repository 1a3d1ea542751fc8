"""Conversations of many: what one pod may take of its worker, in requests and in buffered bytes."""

from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import GET, OK, ask, split
from .mesh import LIMITS, SERVICE


def test_one_pod_cannot_take_all_requests_in_flight():
    world = World(SERVICE + LIMITS.format("requests: 1"))
    server = world.serve("10.1.0.1", 9080)
    ask(world)
    refused = ask(world)
    start, headers, _ = split(refused.take())
    assert start.startswith(b"HTTP/1.1 503") and headers[b"x-envoy-overloaded"] == b"true"
    assert world.records[0].reasons == (Reason.LIMIT_PER_POD,)
    other = world.connect("10.96.0.10", 80, name="other")
    other.send(GET)
    world.run()
    assert server.waiting == 2, "the other pod has its own share"


def test_slow_readers_of_one_pod_stay_within_its_share():
    """A thousand slow readers, and an upstream that has more for each than the pod may have buffered in all."""
    world = World(SERVICE + LIMITS.format("bufferedBytes: 20000"))
    server = world.serve("10.1.0.1", 9080)
    clients = []
    for _ in range(1000):
        client = world.connect("10.96.0.10", 80)
        client.window = 100
        client.send(GET)
        clients.append(client)
    world.run()
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n"
    for upstream in server.connections:
        upstream.send(answer)
        for _ in range(3):
            upstream.send(b"x" * 1000)
    world.run()
    gate = world.proxy.pods[1].gate
    assert gate.full and 20_000 <= gate.pending < 22_000
    assert gate.pending == sum(client.transport.pending for client in clients)

    other = world.connect("10.96.0.10", 80, name="other")
    other.send(GET)
    world.run()
    server.connections[-1].send(OK)
    world.run()
    assert other.take().endswith(b"hi"), "the other pod has its own share"

    got = [b""] * len(clients)
    while not all(text.endswith(b"x" * 3_000) for text in got):  # they do read, at last
        before = sum(map(len, got))
        for index, client in enumerate(clients):
            got[index] += client.take()
        world.run()
        assert sum(map(len, got)) > before and gate.pending < 22_000
    assert gate.pending == 0


def test_bodies_and_heads_of_one_pod_stay_within_its_share():
    world = World(SERVICE + LIMITS.format("bufferedBytes: 20000"))
    server = world.serve("10.1.0.1", 9080, silent=True)
    clients = [ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 9000\r\n\r\n") for _ in range(50)]
    clients += [ask(world, b"GET / HTTP/1.1\r\n") for _ in range(50)]
    for _ in range(9):
        for client in clients[:50]:
            client.send(b"x" * 1000)
        for client in clients[50:]:
            client.send(b"field: " + b"x" * 991 + b"\r\n")
    world.run()
    gate = world.proxy.pods[1].gate
    assert gate.crowded and 10_000 < gate.held + gate.pending < 22_000 and not server.connections
    for client in clients:
        client.reset()
    world.run()
    assert gate.held == gate.pending == 0
    assert ask(world, b"GET / HTTP/1.0\r\n\r\n").take().startswith(b"HTTP/1.1 426"), "the pod goes on"


def test_uploads_of_one_pod_go_on_without_copies_where_there_is_no_room_for_them():
    world = World(SERVICE + LIMITS.format("bufferedBytes: 20000"))
    server = world.serve("10.1.0.1", 9080)
    clients = [ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 9000\r\n\r\n") for _ in range(50)]
    for _ in range(9):
        for client in clients:
            client.send(b"x" * 1000)
        world.run()
    assert all(upstream.inbox.endswith(b"x" * 9000) for upstream in server.connections)
    gate = world.proxy.pods[1].gate
    assert not gate.crowded and gate.held < 20_000
    for upstream in server.connections:
        upstream.send(OK)
    world.run()
    assert all(client.take().endswith(b"hi") for client in clients) and gate.held == 0 and not gate.copies


def test_a_pod_that_is_stuck_loses_its_largest_connection():
    world = World(SERVICE + LIMITS.format("bufferedBytes: 20000"))
    server = world.serve("10.1.0.1", 9080)
    clients = [ask(world) for _ in range(3)]
    for client, size in zip(clients, (6_000, 15_000, 3_000), strict=True):
        client.window = 0
        upstream = server.accept()
        upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 90000\r\n\r\n" + b"x" * size)
    world.run()
    gate = world.proxy.pods[1].gate
    assert gate.full
    world.advance(29.0)
    assert not any(client.closed for client in clients)
    world.advance(5.0)
    assert [client.reset_seen for client in clients] == [False, True, False]
    assert world.records[-1].reasons == (Reason.LIMIT_PER_POD,) and not gate.full
