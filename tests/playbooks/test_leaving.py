"""Clients that leave while nobody is at work on their answer, and what is short on this side."""

import errno

import pytest

from nodemesh.reasons import Reason
from nodemesh.sim.network import MemoryNetwork
from nodemesh.sim.world import World

from .http1_peer import GET, OK, RESET, ask, split
from .mesh import ROUTE, SERVICE, pool_of, rule

BAD = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
GONE = Reason.DOWNSTREAM_CONNECTION_TERMINATION
LEAVING = pytest.mark.parametrize("leave", ["end", "reset"])


@LEAVING
def test_during_a_faults_delay(leave):
    world = World(SERVICE + rule(ROUTE + "\nfault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    world.advance(1.0)
    getattr(client, leave)()
    world.run()
    (record,) = world.records
    assert record.reasons == (Reason.FAULT_DELAY, GONE) and record.duration == pytest.approx(1.0, abs=0.01)
    world.advance(10.0)
    assert not server.connections and not world.proxy.pods[1].connections


@LEAVING
def test_between_two_tries(leave):
    world = World(SERVICE + rule(ROUTE + "\nretries: {attempts: 3, retryOn: 5xx, backoff: 10s}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    server.accept().send(BAD)
    world.run()
    getattr(client, leave)()
    world.advance(100.0)
    assert len(world.records) == 1 and world.records[0].reasons[-1] == GONE
    assert server.waiting == 0 and not server.connections[0].inbox.count(b"attempt-count: 2")
    assert world.proxy.targets and all(t.limits.retries.active == 0 for t in world.proxy.targets.values())


@LEAVING
def test_while_it_waits_for_a_connection(leave):
    world = World(SERVICE + pool_of("tcp: {maxConnections: 1}"))
    server = world.serve("10.1.0.1", 9080)
    ask(world)
    client = ask(world)
    getattr(client, leave)()
    world.run()
    assert world.records[0].reasons == (GONE,)
    (target,) = world.proxy.targets.values()
    assert not target.queue.lines and target.limits.pending.active == 0
    server.connections[0].send(OK)
    world.run()
    assert server.connections[0].inbox.count(b"GET ") == 1


def test_a_client_that_has_closed_its_half_gets_no_other_try():
    world = World(SERVICE + rule(ROUTE + "\nretries: {attempts: 3, retryOn: 5xx}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    client.end()
    world.run()
    server.accept().send(BAD)
    world.advance(1.0)
    assert client.take().startswith(b"HTTP/1.1 503") and server.waiting == 0


def test_a_pipelined_request_is_not_begun_for_a_client_that_has_left():
    world = World(SERVICE + rule(ROUTE + "\nfault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, GET + GET)
    client.end()
    world.advance(30.0)
    assert not server.connections and client.closed and not world.proxy.pods[1].connections


@LEAVING
def test_a_mirror_comes_to_its_own_end(leave):
    other = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.11").replace("10.1.0.1", "10.1.0.7")
    world = World(SERVICE + "---" + other + rule(ROUTE + "\nmirror: {host: ratings, port: {number: 80}}"))
    server, mirror = world.serve("10.1.0.1", 9080), world.serve("10.1.0.7", 9080)
    client = ask(world)
    copy = mirror.accept()
    client.reset()
    world.run()
    assert server.connections[0].closed and not copy.closed
    world.advance(400.0)
    assert copy.closed, "nobody waits for it for ever"
    assert all(target.limits.requests.active == 0 for target in world.proxy.targets.values())


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_what_is_short_here_is_a_503_that_says_so_and_no_fault_of_the_endpoint(code):
    policy = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}}
"""
    world = World(SERVICE + policy + rule(ROUTE + "\nretries: {attempts: 0}"))
    refuse, short = MemoryNetwork.later, code
    world.network.later = lambda transport, code: refuse(world.network, transport, short)
    start, _, body = split(ask(world).take())
    reason = {
        errno.EMFILE: b"Too many open files",
        errno.ENFILE: b"Too many open files in system",
        errno.ENOBUFS: b"No buffer space available",
        errno.ENOMEM: b"Cannot allocate memory",
    }[code]
    assert start.startswith(b"HTTP/1.1 503")
    assert body == RESET + b"reset reason: local connection failure, transport failure reason: " + reason
    assert world.records[0].reasons == (Reason.LOCAL_CONNECTION_FAILURE,)
    (target,) = world.proxy.targets.values()
    assert not any(host.ejected for host in target.group.hosts)
