"""Conversations with clients of HTTP/2: streams side by side, their ends, back-pressure, GOAWAY."""

import h2.events
import pytest

from nodemesh.proxy.http2.server import DRAIN_DELAY
from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import OK, split
from .http2_peer import CALL, GOAWAY, MESSAGE, Http2Peer, dial, endpoint, frames
from .mesh import ROUTE, SERVICE, rule


@pytest.mark.parametrize("port", [80, 82])
def test_prior_knowledge_is_heard_on_any_port_that_may_be_http(world, port):
    server = world.serve("10.1.0.1", 9080 if port == 80 else 9082)
    client = dial(world, port)
    stream = client.ask((b"x-a", b"1"))
    upstream = server.accept()
    if port == 80:
        start, headers, _ = split(upstream.take())
        assert start == b"GET /a?b=c HTTP/1.1" and headers[b"host"] == b"reviews" and headers[b"x-a"] == b"1"
        assert b"transfer-encoding" not in headers and b"content-length" not in headers
        upstream.send(OK)
    else:  # nobody said what the endpoint speaks: what its client does
        other = Http2Peer(world, upstream, client=False)
        other.answer(1, (b"content-length", b"2"))
    client.turn()
    assert client.head(stream)[b":status"] == b"200" and client.body(stream) == b"hi" and client.is_over(stream)
    assert client.head(stream)[b"server"] == b"envoy"
    assert world.records[0].protocol == b"HTTP/2" and world.records[0].status == 200
    assert world.records[0].upstream_protocol == (b"HTTP/1.1" if port == 80 else b"HTTP/2")


def test_streams_are_answered_as_their_answers_come(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    first, second = client.ask(path=b"/first"), client.ask(path=b"/second")
    slow, fast = server.accept(), server.accept()
    assert b"/first" in slow.take() and b"/second" in fast.take()
    fast.send(OK)
    client.turn()
    assert client.is_over(second) and not client.is_over(first)
    slow.send(OK)
    client.turn()
    assert client.is_over(first)


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_what_comes_with_a_head_goes_on_with_it(grpc, pieces):
    """And what comes later, later."""
    grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    stream = client.codec.get_next_available_stream_id()
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"reviews"), (b":path", b"/a"), *CALL]
    client.codec.send_headers(stream, head)
    if pieces == 3:
        client.turn()
    client.codec.send_data(stream, MESSAGE, end_stream=pieces == 1)
    if pieces > 1:
        client.turn()
        client.codec.send_data(stream, b"", end_stream=True)
    client.turn()
    upstream = endpoint(grpc)
    upstream.turn()
    data = [event.data for event in upstream.of(h2.events.DataReceived, 1)]
    assert data == [MESSAGE] if pieces == 1 else [MESSAGE, b""] and upstream.is_over(1)


def test_a_stream_that_is_reset_in_the_same_read_is_not_begun(grpc):
    server = grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    stream = client.codec.get_next_available_stream_id()
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"reviews"), (b":path", b"/a"), *CALL]
    client.codec.send_headers(stream, head)
    client.codec.reset_stream(stream, 8)
    client.turn()
    assert not server.connections and grpc.records[-1].path == b"/a"
    assert Reason.HTTP2_REMOTE_RESET in grpc.records[-1].reasons


def test_a_stream_has_its_own_time_though_another_had_its_alarm_before():
    world = World(SERVICE + rule(ROUTE + "\ntimeout: 10s"))
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    first = client.ask()
    server.accept().send(OK)
    client.turn()
    world.advance(6.0)
    second = client.ask()
    world.advance(6.0)  # the first one's time would be over
    client.turn()
    assert client.is_over(first) and not client.is_over(second)
    world.advance(4.1)
    client.turn()
    assert client.head(second)[b":status"] == b"504"


def test_a_body_without_length_is_chunked_for_http_1_1_and_trailers_cross(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.ask((b"te", b"trailers"), method=b"POST", body=b"abc", ended=False)
    upstream = server.accept()
    _, headers, body = split(upstream.take())
    assert headers[b"transfer-encoding"] == b"chunked" and body == b"3\r\nabc\r\n"
    client.codec.send_headers(stream, [(b"x-sum", b"1")], end_stream=True)
    client.turn()
    assert upstream.take() == b"0\r\nx-sum: 1\r\n\r\n"
    upstream.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-total: 2\r\n\r\n")
    client.turn()
    assert client.body(stream) == b"hi" and client.trailers(stream) == {b"x-total": b"2"}


def test_a_malformed_request_ends_its_own_stream_only(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    good = client.ask()
    client.codec.config.validate_outbound_headers = client.codec.config.normalize_outbound_headers = False
    bad = client.ask((b"connection", b"x"))
    assert client.resets(bad) == [1]
    server.accept().send(OK)
    client.turn()
    assert client.is_over(good)
    assert Reason.HTTP2_INVALID_FIELD in world.records[0].reasons


def test_a_client_that_cancels_ends_its_request_upstream(grpc):
    grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    stream = client.ask(*CALL, method=b"POST")
    upstream = endpoint(grpc)
    upstream.turn()
    client.codec.reset_stream(stream, 8)
    client.turn()
    upstream.turn()
    assert upstream.resets(upstream.requests[0]) == [8]
    assert grpc.records[0].reasons == (Reason.HTTP2_REMOTE_RESET,)
    again = client.ask(*CALL, method=b"POST")
    upstream.turn()
    upstream.answer(upstream.requests[-1])
    client.turn()
    assert client.is_over(again) and len(grpc.network.servers["10.1.0.1", 9080].connections) == 1


def test_a_client_that_leaves_ends_all_of_its_requests(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    client.ask()
    client.ask()
    upstreams = server.accept(), server.accept()
    client.peer.end()
    world.run()
    assert [upstream.ended or upstream.reset_seen for upstream in upstreams] == [True, True]
    assert [record.reasons for record in world.records] == [(Reason.DOWNSTREAM_CONNECTION_TERMINATION,)] * 2


def test_an_early_answer_is_whole_and_the_rest_of_the_request_is_declined(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.ask(method=b"POST", body=b"abc", ended=False)
    server.accept().send(OK)
    client.turn()
    assert client.body(stream) == b"hi" and client.is_over(stream) and client.resets(stream) == [0]


def test_a_response_that_breaks_off_is_reset(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.ask()
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    client.turn()
    upstream.reset()
    client.turn()
    assert client.body(stream) == b"half" and client.resets(stream) == [2] and not client.is_over(stream)


def test_who_takes_nothing_stops_its_own_stream_only(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    client.codec.update_settings({4: 10})  # INITIAL_WINDOW_SIZE
    client.turn()
    slow = client.ask(path=b"/slow")
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n" + b"x" * 40)
    client.turn()
    assert client.body(slow) == b"x" * 10
    quick = client.ask(path=b"/quick")
    upstream.send(OK)  # its answer is read to the end: the connection is free
    client.turn()
    assert client.is_over(quick)
    client.codec.increment_flow_control_window(30, slow)
    client.turn()
    assert client.body(slow) == b"x" * 40 and client.is_over(slow)


def test_an_upload_waits_for_who_takes_it(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.ask(method=b"POST", ended=False)
    upstream = server.accept()
    upstream.window = 0
    sent = 0
    while sent < 4_000_000:
        room = min(client.codec.local_flow_control_window(stream), client.codec.max_outbound_frame_size)
        if not room:
            break
        client.codec.send_data(stream, b"x" * room)
        sent += room
        client.turn()
    assert sent < 3_000_000, "what nobody takes is bounded"
    upstream.window = 1 << 30
    upstream.take()
    client.turn()
    assert client.codec.local_flow_control_window(stream) > 0


def test_a_drained_worker_says_goaway_twice_and_serves_what_is_on_its_way(world):
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    first = client.ask()
    upstream = server.accept()
    world.proxy.start_draining()
    world.run()
    said = frames(client.peer.take())  # h2 itself takes GOAWAY for the end of everything
    assert said == [(GOAWAY, 0, b"\x7f\xff\xff\xff\x00\x00\x00\x00")]
    world.advance(DRAIN_DELAY + 0.1)
    assert frames(client.peer.take()) == [(GOAWAY, 0, first.to_bytes(4, "big") + bytes(4))]
    upstream.send(OK)
    world.run()
    head, data = frames(client.peer.take())
    assert head[1] == data[1] == first and data[2] == b"hi" and client.peer.ended


ABORT = "match: [{headers: {x-a: {exact: '1'}}}]\nfault: {abort: {httpStatus: %d, percentage: {value: 100}}}\n"
ABORTED = rule(ABORT + ROUTE)


def test_requests_that_come_again_are_decided_by_the_newest_rules():
    """Though their heads are known, and have been decided about."""
    world = World(SERVICE + ABORTED % 418)
    client = dial(world)
    for status in (418, 419):
        if status == 419:
            world.configure(SERVICE + ABORTED % status)
        for value in (b"1", b"2", b"1", b"2", b"1"):
            head = client.head(client.ask((b"x-a", value), path=b"/same"))
            assert head[b":status"] == (b"%d" % status if value == b"1" else b"404")
