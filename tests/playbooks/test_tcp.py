"""Conversations without HTTP: relays with their ends, and where a connection goes."""

import ssl

import msgspec
import pytest

from nodemesh.proxy.proxy import AT_ONCE, PAUSE, PROGRESS
from nodemesh.reasons import Reason
from nodemesh.sim.world import World
from nodemesh.telemetry.telemetry import Dump

from .http1_peer import GET, ask
from .mesh import SERVICE


def test_bytes_and_ends_go_both_ways(world):
    server = world.serve("10.1.0.1", 9081)
    client = ask(world, b"hello", 81)
    upstream = server.accept()
    assert upstream.take() == b"hello"
    client.end()
    world.run()
    assert upstream.ended and not client.ended
    upstream.send(b"bye")
    upstream.end()
    world.run()
    assert client.take() == b"bye" and client.ended
    (record,) = world.records
    assert (record.bytes_received, record.bytes_sent, record.reasons) == (5, 3, ())
    assert world.proxy.pods[1].budget.connections == 0


def test_a_reset_is_passed_on(world):
    server = world.serve("10.1.0.1", 9081)
    client = ask(world, b"hello", 81)
    server.accept().reset()
    world.run()
    assert client.reset_seen and world.records[0].reasons == (Reason.UPSTREAM_REMOTE_RESET,)


def test_nobody_there_resets_the_client(world):
    client = ask(world, b"hello", 81)
    assert client.reset_seen and world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_FAILURE,)


def test_connecting_takes_too_long(world):
    world.serve("10.1.0.1", 9081, silent=True)
    client = ask(world, b"hello", 81)
    world.advance(11.0)
    assert client.reset_seen and world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_TIMEOUT,)


def test_a_slow_reader_stops_the_writer(world):
    server = world.serve("10.1.0.1", 9081)
    client = ask(world, b"x", 81)
    upstream = server.accept()
    client.window = 100
    for _ in range(10):
        upstream.send(b"y" * 1000)
    world.run()
    assert client.transport.pending < 2000
    client.window = 1 << 20
    got = 0
    while got < 10_000:
        got += len(client.take())
        world.run()


TWO = SERVICE + "- {addresses: [10.1.0.2], conditions: {ready: true}}\n"


@pytest.mark.parametrize("silent", [False, True])
def test_another_endpoint_is_tried_and_told_what_was_said(silent):
    world = World(TWO)
    if silent:
        world.serve("10.1.0.1", 9081, silent=True)
    server = world.serve("10.1.0.2", 9081)
    for _ in range(4):
        client = ask(world, b"hello", 81)
        client.send(b" world")
        client.end()
        world.advance(11.0)
        upstream = server.accept()
        assert upstream.take() == b"hello world" and upstream.ended
        upstream.end()
        world.run()
        assert client.ended and world.records[-1].reasons == ()
        assert world.records[-1].bytes_received == 11
    (target,) = world.proxy.targets.values()
    assert target.limits.connections.active == 0
    assert [host.load for host in target.group.by_address.values()] == [0, 0]


def test_what_is_said_before_the_upstream_stands_is_bounded(world):
    world.serve("10.1.0.1", 9081, silent=True)
    client = world.connect("10.96.0.10", 81)
    for _ in range(100):
        client.send(b"x" * 10_000)
        world.run()
    assert 64 * 1024 < world.proxy.pods[1].gate.pending < 80 * 1024


def test_an_endpoint_that_takes_no_connection_is_ejected():
    policy = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3, baseEjectionTime: 60s, maxEjectionPercent: 100}}
"""
    world = World(TWO + policy)
    server = world.serve("10.1.0.2", 9081)

    ask(world, b"hello", 81)
    (target,) = world.proxy.targets.values()

    def picked() -> set[str]:
        return {target.group.pick().address for _ in range(50)}

    assert picked() == {"10.1.0.1", "10.1.0.2"}
    for _ in range(20):
        client = ask(world, b"hello", 81)
        server.accept().end()
        client.end()
        world.run()
    assert picked() == {"10.1.0.2"}
    world.advance(75.0)
    assert picked() == {"10.1.0.1", "10.1.0.2"}


def test_nobody_takes_it():
    world = World(TWO)
    client = ask(world, b"hello", 81)
    assert client.reset_seen and world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_FAILURE,)
    assert world.proxy.pods[1].budget.connections == 0


def test_a_connection_may_stand_so_long():
    policy = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnectionDuration: 60s}}}}
"""
    world = World(SERVICE + policy)
    server = world.serve("10.1.0.1", 9081)
    client = ask(world, b"hello", 81)
    world.advance(59.0)
    server.accept().send(b"still")
    world.run()
    assert client.take() == b"still" and not client.closed
    world.advance(2.0)
    assert client.ended and world.records[0].reasons == (Reason.MAX_CONNECTION_DURATION,)


ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: default}
spec:
  hosts: [db.example]
  addresses: [10.8.0.0/16]
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  resolution: NONE
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: default}
spec:
  hosts: [db.example]
  tcp:
  - match: [{destinationSubnets: [10.8.1.0/24]}]
    route: [{destination: {host: other.example}}]
  - route: [{destination: {host: db.example}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: other, namespace: default}
spec:
  hosts: [other.example]
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 10.9.0.1}]
"""


def test_the_dialled_address_decides_inside_a_network():
    world = World(ENTRY)
    other, own = world.serve("10.9.0.1", 5432), world.serve("10.8.2.7", 5432)
    for address in ("10.8.1.9", "10.8.2.7"):
        world.connect(address, 5432).send(address.encode())
        world.run()
    assert other.accept().take() == b"10.8.1.9" and own.accept().take() == b"10.8.2.7"


def test_a_destination_given_by_name_has_its_ports_protocol(world):
    client = world.connect("reviews", 80)
    client.send(b"no HTTP\r\n\r\n")
    world.run()
    assert client.take().startswith(b"HTTP/1.1 400")
    server = world.serve("10.1.0.1", 9081)
    client = world.connect("reviews.default", 81)
    client.send(GET)
    world.run()
    assert server.accept().take() == GET


def test_with_dynamic_dns_the_clients_own_answer_counts():
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wiki, namespace: default}
spec:
  hosts: ['*.wikipedia.org']
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DYNAMIC_DNS
"""
    world = World(entry)
    server = world.serve("198.51.100.7", 80)
    client = world.connect("198.51.100.7", 80)
    client.send(GET.replace(b"reviews", b"en.wikipedia.org"))
    world.run()
    assert server.accept().take().startswith(b"GET /a")
    assert world.proxy.targets.keys() == {"outbound|80||*.wikipedia.org"}


ENTRIES = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: default}
spec:
  hosts: [api.example]
  addresses: [203.0.113.0/24]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: STATIC
  endpoints: [{address: 10.1.0.7}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: STATIC
  endpoints: [{address: 10.1.0.8}]
"""
CLOSED = """
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
"""


def client_hello(name: str) -> bytes:
    written = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), written, server_hostname=name).do_handshake()
    return written.read()


@pytest.mark.parametrize("closed", [False, True])
def test_the_server_name_decides_where_the_address_does_not(closed):
    world = World(SERVICE + ENTRIES + (CLOSED if closed else ""))
    servers = {address: world.serve(address, 443) for address in ("10.1.0.7", "10.1.0.8", "203.0.113.9")}
    unknown = None if closed else "203.0.113.9"
    for name, address in (("api.example", "10.1.0.7"), ("www.example", "10.1.0.8"), ("other.example", unknown)):
        hello = client_hello(name)
        client = world.connect("203.0.113.9", 443)
        client.send(hello)
        world.run()
        if address is None:
            assert client.reset_seen and world.records[-1].reasons == (Reason.BLACKHOLE,)
        else:
            assert servers[address].accept().take() == hello
    assert [len(server.connections) for server in servers.values()] == [1, 1, 0 if closed else 1]


def flows_of(world: World) -> list[tuple[int, int, int, int]]:
    """What is new under each label set: opened, closed, received, sent."""
    dump = msgspec.msgpack.decode(world.telemetry.dump(), type=Dump)
    return [(flow.opened, flow.closed, flow.received, flow.sent) for flow in dump.tcp]


def test_bytes_of_a_connection_count_while_it_stands(world):
    """As with Istio's tcp_reporting_duration."""
    server = world.serve("10.1.0.1", 9081)
    client = ask(world, b"hello", 81)
    upstream = server.accept()
    upstream.send(b"bye")
    world.advance(6.0)
    assert flows_of(world) == [(1, 0, 5, 3)]
    world.advance(10.0)
    assert flows_of(world) == []
    client.send(b"more")
    client.end()
    world.run()
    upstream.end()
    world.run()
    assert flows_of(world) == [(0, 1, 4, 0)], "each byte counts once"
    assert (world.records[0].bytes_received, world.records[0].bytes_sent) == (9, 3)


def test_bytes_of_many_connections_are_counted_some_at_a_time(world):
    """All others of the node wait for as long as it takes."""
    server = world.serve("10.1.0.1", 9081)
    clients = [ask(world, b"hello", 81) for _ in range(AT_ONCE + 50)]
    world.advance(PROGRESS + PAUSE / 2)
    assert flows_of(world) == [(AT_ONCE + 50, 0, 5 * AT_ONCE, 0)]
    clients[-1].reset()
    world.advance(PAUSE)
    assert flows_of(world) == [(0, 0, 5 * 49, 0), (0, 1, 5, 0)], "what has ended meanwhile counts once"
    assert len(server.connections) == AT_ONCE + 50
