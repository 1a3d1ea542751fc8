"""Which connections are kept, whose they are, and when they are given up."""

import pytest
from tests.playbooks.http1_peer import GET, OK, ask
from tests.playbooks.mesh import SECOND, SERVICE

from nodemesh.sim.world import World


@pytest.fixture
def world() -> World:
    return World(SERVICE)


def policy(text: str) -> str:
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: default}}
spec:
  host: reviews
  trafficPolicy: {{connectionPool: {text}}}
"""


def use(world: World):
    """One request and its answer; returns the client and the upstream connection."""
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    upstream.send(OK)
    world.run()
    return client, upstream, server


def test_an_idle_connection_is_closed_after_the_idle_timeout():
    world = World(SERVICE + policy("{http: {idleTimeout: 60s}}"))
    _, upstream, _ = use(world)
    world.advance(59.0)
    assert not upstream.closed
    world.advance(7.0)
    assert upstream.closed


def test_a_connection_carries_only_so_many_requests():
    world = World(SERVICE + policy("{http: {maxRequestsPerConnection: 2}}"))
    client, upstream, server = use(world)
    client.send(GET)
    world.run()
    upstream.send(OK)
    world.run()
    assert upstream.closed and server.waiting == 0


def test_a_connection_lives_only_so_long():
    world = World(SERVICE + policy("{tcp: {maxConnectionDuration: 30s}}"))
    _, upstream, _ = use(world)
    world.advance(29.0)
    assert not upstream.closed
    world.advance(10.0)
    assert upstream.closed


def test_an_endpoint_that_leaves_is_drained(world):
    client, upstream, _ = use(world)
    world.configure(SERVICE.replace("10.1.0.1", "10.1.0.3"))
    fresh = world.serve("10.1.0.3", 9080)
    client.send(GET)
    world.run()
    assert upstream.closed and fresh.waiting == 1


def test_a_request_in_flight_outlives_its_endpoint(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    world.configure(SERVICE.replace("10.1.0.1", "10.1.0.3"))
    other = world.connect("10.96.0.10", 80)
    other.send(GET)
    world.run()
    upstream.send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200") and upstream.closed


def test_a_pod_that_leaves_takes_its_connections_along(world):
    client, upstream, _ = use(world)
    world.proxy.remove_pod(1)
    assert not upstream.closed and world.network.dropped_lanes == []
    client.end()
    world.run()
    assert upstream.closed and world.network.dropped_lanes == [1]


def test_an_idle_connection_of_another_pod_makes_room():
    world = World(SERVICE + SECOND + policy("{tcp: {maxConnections: 1}}"))
    servers = [world.serve(address, 9080) for address in ("10.1.0.1", "10.1.0.2")]
    ask(world)
    (first,) = [peer for server in servers for peer in server.connections]
    first.send(OK)
    world.run()
    other = world.connect("10.96.0.10", 80, name="other")
    other.send(GET)
    world.run()
    assert first.closed
    assert sum(len(server.connections) for server in servers) == 2


@pytest.mark.parametrize("closing", [b"Connection: close\r\n", b"connection: Close, x\r\n"])
def test_an_upstream_that_wants_to_close_is_not_kept(world, closing):
    server = world.serve("10.1.0.1", 9080)
    ask(world)
    upstream = server.accept()
    upstream.send(OK.replace(b"content-length", closing + b"content-length"))
    world.run()
    assert upstream.closed
