"""What a client of HTTP/2 can do to a worker: each attack is bounded, and costs its own connection alone."""

import pytest

from nodemesh.proxy.http2.server import AT_ONCE, GREETING_TIMEOUT, IDLE_TIMEOUT, SWEEP
from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import OK, ask
from .http2_peer import GOAWAY, Http2Peer, dial, frames
from .mesh import LIMITS, SERVICE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
CALM = 11  # ENHANCE_YOUR_CALM

#: GET / of `reviews`, without a table: 2 (GET), 6 (http), 4 (/), and :authority as a literal.
HEAD = b"\x82\x86\x84\x01\x07reviews"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


@pytest.fixture
def world() -> World:
    world = World(SERVICE)
    world.serve("10.1.0.1", 9080)
    return world


def raw(world: World, data: bytes):
    client = world.connect("10.96.0.10", 80)
    client.send(PREFACE + SETTINGS + data)
    for _ in range(300):  # turns
        world.advance(0.001)
    return client


def goaway(client) -> int:
    """The code of the GOAWAY that came last."""
    found = [payload for kind, _, payload in frames(client.take()) if kind == GOAWAY]
    return int.from_bytes(found[-1][4:8], "big")


def others_are_served(world: World) -> bool:
    client = ask(world)
    server = world.network.servers["10.1.0.1", 9080]
    for peer in server.connections[-1:]:
        peer.send(OK)
    world.run()
    return client.take().startswith(b"HTTP/1.1 200")


def test_rapid_resets_end_the_connection_and_what_it_began(world):
    bytes_of = [frame(1, 5, 2 * n + 1, HEAD) + frame(3, 0, 2 * n + 1, bytes([0, 0, 0, 8])) for n in range(4000)]
    client = raw(world, b"".join(bytes_of))
    assert goaway(client) == CALM and client.ended
    assert Reason.HTTP2_RESET_FLOOD in world.records[-1].reasons
    assert len(world.records) < 2500
    pod = world.proxy.pods[1]
    assert pod.budget.requests == 0 and pod.gate.held == 0
    assert others_are_served(world)


def test_one_read_opens_no_more_streams_than_others_can_wait_for(world):
    client = world.connect("10.96.0.10", 80)
    client.send(PREFACE + SETTINGS + b"".join(frame(1, 5, 2 * n + 1, HEAD) for n in range(100)))
    world.network.events.turn()
    assert len(world.network.servers["10.1.0.1", 9080].connections) == AT_ONCE
    world.run()
    assert len(world.network.servers["10.1.0.1", 9080].connections) == 100, "all of them are served in the end"


def test_more_streams_than_announced_are_refused_and_the_others_live(world):
    client = dial(world)
    opened = [client.ask(path=b"/%d" % number) for number in range(1024)]
    client.codec.remote_settings = client.codec.remote_settings
    client.peer.send(frame(1, 5, 2 * 1024 + 1, HEAD))
    world.run()
    said = frames(client.peer.take())
    assert [(kind, stream, payload) for kind, stream, payload in said if kind == 3] == [(3, 2049, bytes([0, 0, 0, 7]))]
    first = world.network.servers["10.1.0.1", 9080].connections[0]
    first.send(OK)
    world.run()
    assert any(kind == 1 and stream == opened[0] for kind, stream, _ in frames(client.peer.take()))


def test_a_head_over_the_limit_is_a_431_and_the_connection_goes_on(world):
    client = dial(world)
    stream = client.ask((b"x-long", b"a" * 16_000), (b"x-2", b"b" * 16_000), (b"x-3", b"c" * 16_000),
                        (b"x-4", b"d" * 16_000))  # fmt: skip
    assert client.head(stream)[b":status"] == b"431" and client.is_over(stream)
    assert Reason.HTTP2_HEAD_TOO_LARGE in world.records[0].reasons and world.records[0].status == 431
    good = client.ask()
    world.network.servers["10.1.0.1", 9080].accept().send(OK)
    client.turn()
    assert client.is_over(good)


def test_heads_that_a_table_makes_large_count_as_several_requests():
    world = World(SERVICE + LIMITS.format("requests: 100"))
    world.serve("10.1.0.1", 9080)
    entry = b"\x40\x01a\x7f\x81\x17" + b"x" * 3072  # in the table from here on
    large = HEAD + b"\xbe" * 19  # 59 KB by 31 bytes
    client = raw(world, frame(1, 4, 1, HEAD + entry) + b"".join(frame(1, 4, 2 * n + 1, large) for n in range(1, 99)))
    pod = world.proxy.pods[1]
    assert 100 <= pod.budget.requests < 110 and len(world.network.servers["10.1.0.1", 9080].connections) < 16
    assert {record.reasons for record in world.records} == {(Reason.LIMIT_PER_POD,)}
    client.reset()
    world.run()
    assert pod.budget.requests == 0


def test_a_field_section_without_end_is_ended_in_bytes_and_in_time(world):
    client = raw(world, frame(1, 1, 1, HEAD) + frame(9, 0, 1, b"\x00\x01a\x01b") * 50)
    assert goaway(client) == CALM
    slow = raw(world, frame(1, 1, 1, HEAD))
    slow.take()
    world.advance(20.0)
    assert goaway(slow) == CALM and slow.ended
    assert world.proxy.pods[1].gate.held == 0


def test_a_window_that_stays_shut_ends_its_stream(world):
    client = dial(world)
    client.codec.update_settings({4: 0})
    client.turn()
    stream = client.ask()
    upstream = world.network.servers["10.1.0.1", 9080].accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    client.turn()
    world.advance(30 * SWEEP)
    client.turn()
    assert client.resets(stream) == [8] and Reason.HTTP2_FLOW_CONTROL in world.records[0].reasons


@pytest.mark.parametrize(
    "flood",
    [
        frame(4, 0, 0) * 5000,  # settings
        (frame(4, 0, 0, bytes([0, 4, 0, 0, 0, 1])) + frame(0, 0, 1, b"x")) * 200,  # and with data
        frame(6, 0, 0, bytes(8)) * 5000,  # pings
        frame(0, 0, 1) * 5000,  # DATA without anything
        frame(2, 0, 1, bytes(5)) * 200_000,  # priorities
        frame(8, 0, 1, bytes([0, 0, 0, 1])) * 100_000,  # window updates
    ],
    ids=["settings", "settings and data", "pings", "empty data", "priorities", "window updates"],
)
def test_frames_that_ask_for_nothing_end_the_connection(world, flood):
    client = raw(world, frame(1, 4, 1, HEAD) + flood)
    assert goaway(client) in (CALM, 1) and client.ended
    assert others_are_served(world)


def test_who_says_nothing_is_closed(world):
    silent = world.connect("10.96.0.10", 80)
    silent.send(PREFACE)
    world.run()
    world.advance(GREETING_TIMEOUT + 2 * SWEEP)
    assert silent.closed
    idle = dial(world)
    world.advance(IDLE_TIMEOUT + 4 * SWEEP)
    idle.world.run()
    assert idle.peer.closed


def test_no_http_2_at_all_on_a_port_for_http(world):
    client = world.connect("10.96.0.10", 80)
    client.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
    world.run()
    assert client.ended and not world.network.servers["10.1.0.1", 9080].connections


def test_nothing_is_left_of_streams_that_are_gone(world):
    import gc

    from nodemesh.proxy.http.call import Call
    from nodemesh.proxy.http.exchange import Exchange
    from nodemesh.proxy.http2.server_stream import ServerStream

    def things() -> list[object]:
        return [thing for thing in gc.get_objects() if isinstance(thing, (ServerStream, Exchange, Call))]

    gc.collect()
    others = things()  # of tests before this one, whose ends nobody waits for
    gc.disable()
    try:
        for _ in range(5):
            client: Http2Peer = dial(world)
            client.ask()
            client.peer.end()
            world.run()
            del client
        left = [thing for thing in things() if not any(thing is other for other in others)]
        assert not left, "without the garbage collector"
    finally:
        gc.enable()
