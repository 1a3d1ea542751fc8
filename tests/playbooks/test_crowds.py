"""Conversations at a gateway that one client crowds: with unfinished heads, with silence, with connections."""

import pytest

from nodemesh.proxy.http1.patience import HEAD_TIMEOUT
from nodemesh.reasons import Reason
from nodemesh.sim.pipe import Peer
from nodemesh.sim.world import World

from .http1_peer import OK
from .mesh import LIMITS, SERVICE
from .test_gateway import LABELS, PLAIN, RULES, A, get

SILENT = "  - {port: {number: 8080, name: grpc, protocol: GRPC}, hosts: ['*']}\n"
HEAD = b"GET / HTTP/1.1\r\nHost: reviews\r\nx: "


def gateway(limits: str = "", servers: str = PLAIN) -> World:
    return World(SERVICE + RULES.replace("SERVERS\n", servers) + (LIMITS.format(limits) if limits else ""))


def arrive(world: World, address: str, data: bytes = b"", port: int = 80) -> Peer:
    client = world.arrive(port, LABELS, f"{address}:40000")
    client.send(data)
    world.run()
    return client


def is_served(world: World, address: str) -> bool:
    client = arrive(world, address, get("reviews"))
    server = world.network.servers["10.1.0.1", 9080]
    if server.waiting:
        server.accept().send(OK)
        world.run()
    return client.take().startswith(b"HTTP/1.1 200")


def test_unfinished_heads_of_one_client_do_not_stop_another():
    world = gateway("bufferedBytes: 1000000")
    world.serve("10.1.0.1", 9080)
    for _ in range(200):
        arrive(world, "203.0.113.1", HEAD + b"x" * 40_000)
    pod = world.proxy.pods[1]
    assert 500_000 <= pod.gate.held < 600_000, "half of what there is"
    assert is_served(world, "203.0.113.2")
    late = arrive(world, "203.0.113.1", get("reviews"))
    assert not late.inbox, "the crowding client's own are not read"


@pytest.mark.parametrize("address", ["203.0.113.1", "203.0.113.2"])
def test_who_leaves_is_noticed_however_crowded_it_is(address):
    world = gateway("bufferedBytes: 1000000")
    clients = [arrive(world, "203.0.113.1", HEAD + b"x" * 40_000) for _ in range(200)]
    for client in clients:
        client.end()
    world.run()
    world.serve("10.1.0.1", 9080)
    assert world.proxy.pods[1].gate.held == 0 and is_served(world, address)


def test_connections_of_one_client_make_room_for_another():
    world = gateway("connections: 20")
    world.serve("10.1.0.1", 9080)
    crowd = [arrive(world, "203.0.113.1") for _ in range(20)]
    assert is_served(world, "203.0.113.2") and [client.closed for client in crowd].count(True) == 1
    assert crowd[0].reset_seen and world.records[0].reasons == ()
    refused = arrive(world, "203.0.113.1")
    assert refused.reset_seen and world.records[-1].reasons == (Reason.LIMIT_PER_POD,)


def test_a_request_that_is_served_keeps_its_connection():
    world = gateway("connections: 3")
    world.serve("10.1.0.1", 9080)
    busy = [arrive(world, "203.0.113.1", get("reviews")) for _ in range(3)]
    refused = arrive(world, "203.0.113.2")
    assert refused.reset_seen and not any(client.closed for client in busy)


@pytest.mark.parametrize(
    ("servers", "port", "data"),
    [
        (PLAIN, 80, b""),
        (PLAIN, 80, b"GET / HTT"),
        (A, 443, b""),
        (A, 443, b"\x16\x03\x01"),
        (SILENT, 8080, b""),
        (SILENT, 8080, b"GE"),
    ],
)
def test_a_head_has_its_time_from_accepting_on(servers, port, data):
    world = gateway(servers=servers)
    client = arrive(world, "203.0.113.1", port=port)
    world.advance(HEAD_TIMEOUT / 4 - 1.0)
    client.send(data)
    world.advance(HEAD_TIMEOUT * 3 / 4)
    client.send(data[:1])
    world.advance(3.0)
    assert client.closed and not world.proxy.pods[1].connections and world.proxy.pods[1].budget.connections == 0
    assert world.proxy.pods[1].gate.used == 0


def test_a_pods_connection_may_be_silent():
    world = World(SERVICE)
    client = world.connect("10.96.0.10", 80)
    world.advance(HEAD_TIMEOUT + 5.0)
    assert not client.closed


def test_the_beginning_of_a_handshake_is_kept_on_its_clients_account():
    world = gateway(servers=A)
    client = arrive(world, "203.0.113.1", b"\x16\x03\x01\x20\x00" + b"\x01" * 4000, port=443)
    assert world.proxy.pods[1].gate.held == 4005
    client.reset()
    world.run()
    assert world.proxy.pods[1].gate.held == 0 and not world.proxy.pods[1].sources.known
