"""What waits for windows of HTTP/2 that do not open: within its pod's share, and nobody else's loss."""

import pytest

from nodemesh.proxy.http2.server import STALLED_SWEEPS, SWEEP
from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import GET, OK
from .http2_peer import Http2Peer, dial
from .mesh import LIMITS, SERVICE
from .test_crowds import gateway, is_served
from .test_gateway import LABELS

SHARE = 200_000
GRPC = SERVICE.replace("name: http,", "name: grpc,")
STREAMS = 60
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n"
PIECE = b"x" * 16_000

UPGRADE = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":path", b"/chat"),
           (b":authority", b"reviews"))  # fmt: skip


def mesh(config: str = SERVICE) -> World:
    return World(config + LIMITS.format(f"bufferedBytes: {SHARE}"))


def shut(client: Http2Peer, window: int = 0) -> Http2Peer:
    """A client that takes no bodies of responses."""
    client.codec.update_settings({4: window})
    client.turn()
    return client


def answer_all(world: World, pieces: int = 4) -> None:
    """Every upstream begins a long answer."""
    for upstream in world.network.servers["10.1.0.1", 9080].connections:
        upstream.send(ANSWER)
        for _ in range(pieces):
            upstream.send(PIECE)
    world.run()


def waiting(world: World) -> int:
    """Bytes that wait in connections of HTTP/2, whoever is said to have them."""
    return sum(connection.codec.backlog for pod in world.proxy.pods.values() for connection in pod.connections)


def test_answers_that_a_pod_takes_nothing_of_stay_within_its_share():
    world = mesh()
    world.serve("10.1.0.1", 9080)
    client = shut(dial(world))
    streams = [client.ask() for _ in range(STREAMS)]
    answer_all(world)
    client.turn()
    gate = world.proxy.pods[1].gate
    assert SHARE <= waiting(world) == gate.blocked < SHARE + 2 * len(PIECE)
    assert gate.choked and not gate.full and not gate.crowded

    other = world.connect("10.96.0.10", 80, name="other")
    other.send(GET)
    world.run()
    world.network.servers["10.1.0.1", 9080].connections[-1].send(OK)
    world.run()
    assert other.take().endswith(b"hi"), "another pod has its own share"

    client.codec.update_settings({4: 1 << 20})  # its word is heard all the time
    client.codec.increment_flow_control_window(1 << 24)
    client.turn()
    assert all(len(client.body(stream)) == 4 * len(PIECE) for stream in streams)
    assert gate.blocked == gate.used == 0 and not gate.choked


def test_trailers_that_wait_count_as_well():
    world = mesh(GRPC)
    server = world.serve("10.1.0.1", 9080)
    client = shut(dial(world))
    stream = client.ask()
    endpoint = Http2Peer(world, server.accept(), client=False)
    endpoint.turn()
    endpoint.answer(1, body=b"hi", trailers=[(b"x-long", b"x" * 9_994)])
    gate = world.proxy.pods[1].gate
    assert gate.blocked == 10_004
    client.codec.increment_flow_control_window(2, stream)
    client.turn()
    assert client.is_over(stream) and gate.blocked == 0


def test_a_pod_whose_windows_stay_shut_loses_those_streams_alone():
    world = mesh()
    world.serve("10.1.0.1", 9080)
    client = shut(dial(world))
    for _ in range(STREAMS):
        client.ask()
    answer_all(world)
    for _ in range(STREAMS // 10):  # those that were not read come after those that are given up
        world.advance(2 * STALLED_SWEEPS * SWEEP)
        client.turn()
    assert world.proxy.pods[1].gate.used == 0 and not client.peer.closed
    assert {record.reasons for record in world.records} == {(Reason.HTTP2_FLOW_CONTROL,)}


def test_requests_that_an_endpoint_takes_nothing_of_stay_within_their_pods_share():
    world = mesh(GRPC)
    server = world.serve("10.1.0.1", 9080)
    clients = [dial(world) for _ in range(10)]
    streams = [(client, client.ask(method=b"POST", ended=False)) for client in clients for _ in range(5)]
    endpoint = shut(Http2Peer(world, server.accept(), client=False))
    for _ in range(12):
        for client, stream in streams:
            client.codec.send_data(stream, PIECE)
            client.turn()
    gate = world.proxy.pods[1].gate
    assert SHARE / 2 < gate.held < SHARE + 3 * len(PIECE) and gate.crowded and not gate.choked

    endpoint.codec.update_settings({4: 1 << 20})
    endpoint.codec.increment_flow_control_window(1 << 28)
    for _ in range(20):
        endpoint.turn()
        world.run()
    sent = sum(len(endpoint.body(stream)) for stream in endpoint.requests)
    assert sent == 12 * len(streams) * len(PIECE) and not gate.crowded


def test_a_client_outside_that_takes_nothing_loses_its_answers_and_others_are_served():
    world = gateway("bufferedBytes: 400000")
    server = world.serve("10.1.0.1", 9080)
    clients = [shut(Http2Peer(world, world.arrive(80, LABELS, "203.0.113.1:1"), client=True)) for _ in range(3)]
    for client in clients:
        for _ in range(STREAMS):
            client.ask()
    gate = world.proxy.pods[1].gate
    while server.waiting:
        server.accept().send(ANSWER + PIECE)
        world.advance(0.001)
        assert gate.blocked < 200_000 + 3 * len(PIECE), "half of what there is"
    assert not gate.choked and is_served(world, "203.0.113.2")
    assert Reason.LIMIT_PER_POD in world.records[0].reasons
    for client in clients:
        client.peer.reset()
    world.run()
    assert gate.used == 0 and set(world.proxy.pods[1].sources.known) == {"203.0.113.2"}


def test_what_comes_for_a_tunnel_before_it_stands_counts():
    world = mesh()
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.codec.get_next_available_stream_id()
    client.codec.send_headers(stream, list(UPGRADE))
    client.turn()
    client.codec.send_data(stream, PIECE)
    client.turn()
    gate = world.proxy.pods[1].gate
    assert gate.held == len(PIECE)
    upstream = server.accept()
    upstream.take()
    upstream.window = 0
    upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
    client.turn()
    assert (gate.held, gate.pending) == (0, len(PIECE))
    for _ in range(3):
        client.codec.send_data(stream, PIECE)
        client.turn()
    assert gate.held + gate.pending == 4 * len(PIECE)
    client.peer.reset()
    world.run()
    assert gate.held == 0


@pytest.mark.parametrize("gone", ["client", "stream"])
def test_a_tunnel_whose_client_takes_nothing_ends_on_both_sides(gone):
    world = mesh()
    server = world.serve("10.1.0.1", 9080)
    client = shut(dial(world))
    stream = client.codec.get_next_available_stream_id()
    client.codec.send_headers(stream, list(UPGRADE))
    client.turn()
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n" + PIECE)
    client.turn()
    gate = world.proxy.pods[1].gate
    assert gate.blocked == len(PIECE)
    if gone == "client":
        client.peer.reset()
        world.run()
    else:
        world.advance((2 * STALLED_SWEEPS + 1) * SWEEP)
    assert upstream.closed and gate.used == 0
