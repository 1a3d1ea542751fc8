"""Copies of requests: sent, counted and forgotten."""

from tests.playbooks.mesh import ROUTE, SERVICE, rule

from nodemesh.proxy.http.mirror import LAG
from nodemesh.reasons import Reason
from nodemesh.sim.world import World

RATINGS = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.11").replace("10.1.0.1", "10.1.0.7")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


def world_with(mirror: str) -> World:
    return World(SERVICE + "---" + RATINGS + rule(f"{ROUTE}\n{mirror}"))


MIRROR = "mirror: {host: ratings, port: {number: 80}}"


def test_a_copy_has_the_body_and_its_own_record():
    world = world_with(MIRROR)
    server, shadow = world.serve("10.1.0.1", 9080), world.serve("10.1.0.7", 9080)
    client = world.connect("10.96.0.10", 80)
    client.send(b"PUT / HTTP/1.1\r\nHost: reviews\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    world.run()
    client.send(b"3\r\ndef\r\n0\r\nx-sum: 1\r\n\r\n")
    world.run()
    copy = shadow.accept().take()
    assert copy.endswith(b"3\r\nabc\r\n3\r\ndef\r\n0\r\nx-sum: 1\r\n\r\n")
    shadow.connections[0].send(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")
    server.accept().send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")
    assert [record.status for record in world.records] == [500, 200]
    assert [record.cluster.host for record in world.records] == [
        "ratings.default.svc.cluster.local",
        "reviews.default.svc.cluster.local",
    ]


def test_a_copy_that_fails_is_nobodys_business():
    world = world_with(MIRROR)
    server = world.serve("10.1.0.1", 9080)
    client = world.connect("10.96.0.10", 80)
    client.send(b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n")
    world.run()
    server.accept().send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")
    assert world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_FAILURE,), "tried once"


def test_a_copy_that_lags_too_far_behind_is_given_up():
    world = world_with(MIRROR)
    server, shadow = world.serve("10.1.0.1", 9080), world.serve("10.1.0.7", 9080)
    client = world.connect("10.96.0.10", 80)
    size = LAG + 500_000
    client.send(b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: %d\r\n\r\n" % size)
    world.run()
    copy, upstream = shadow.accept(), server.accept()
    copy.window = 100
    for _ in range(size // 100_000):
        client.send(bytes(100_000))
    client.send(bytes(size % 100_000))
    world.run()
    assert copy.transport.closed and world.records[0].reasons == (Reason.RETRY_BUFFER_LIMIT,)
    upstream.send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200") and len(upstream.take()) > size


def test_no_copies_are_made_where_the_percentage_says_none():
    world = world_with(MIRROR + "\nmirrorPercentage: {value: 0}")
    world.serve("10.1.0.1", 9080)
    shadow = world.serve("10.1.0.7", 9080)
    world.connect("10.96.0.10", 80).send(b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n")
    world.run()
    assert not shadow.connections
