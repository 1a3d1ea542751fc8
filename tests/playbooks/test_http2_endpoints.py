"""Conversations with endpoints of HTTP/2: one connection for many calls, what it refuses, and how it ends."""

import h2.events
import pytest
from hpack import NeverIndexedHeaderTuple

from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import GET, ask, split
from .http2_peer import CALL, MESSAGE, Http2Peer, dial, endpoint
from .mesh import GRPC, ROUTE, pool_of, rule


def test_http_1_1_clients_of_a_grpc_port_are_translated(grpc):
    grpc.serve("10.1.0.1", 9080)
    client = ask(grpc, GET[:-2] + b"Connection: close, x-hop\r\nx-hop: 1\r\nX-Mine: 2\r\n\r\n")
    upstream = endpoint(grpc)
    upstream.turn()
    head = upstream.head(1)
    assert head[b":path"] == b"/a?b=c" and head[b":authority"] == b"reviews" and head[b"x-mine"] == b"2"
    assert not {b"connection", b"x-hop", b"host", b"transfer-encoding"} & head.keys()
    upstream.answer(1, (b"content-length", b"2"))
    grpc.run()
    start, headers, body = split(client.take())
    assert start == b"HTTP/1.1 200 OK" and headers[b"content-length"] == b"2" and body == b"hi"


def test_one_connection_carries_the_calls_of_a_pod(grpc):
    server = grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    streams = [client.ask(*CALL, method=b"POST", body=MESSAGE) for _ in range(5)]
    upstream = endpoint(grpc)
    upstream.turn()
    assert len(upstream.requests) == 5 and len(server.connections) == 1
    for stream in reversed(upstream.requests):
        upstream.answer(stream, (b"content-type", b"application/grpc"), body=MESSAGE, trailers=[(b"grpc-status", b"0")])
    client.turn()
    for stream in streams:
        assert client.body(stream) == MESSAGE and client.trailers(stream) == {b"grpc-status": b"0"}
    assert [record.grpc_status for record in grpc.records] == [0] * 5


def test_a_refused_stream_is_sent_again_and_counts_as_one_attempt():
    world = World(GRPC + rule(ROUTE + "\nretries: {attempts: 0}"))
    world.serve("10.1.0.1", 9080)
    client = dial(world)
    stream = client.ask(*CALL, method=b"POST")
    upstream = endpoint(world)
    upstream.turn()
    upstream.codec.reset_stream(1, 7)
    upstream.turn()
    client.turn()
    upstream.turn()
    assert upstream.requests == [1, 3]
    upstream.answer(3)
    client.turn()
    assert client.is_over(stream) and world.records[0].attempts == 1


def test_a_shared_connection_takes_no_more_streams_when_its_endpoint_is_reached_otherwise(grpc):
    server = grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    first = client.ask(*CALL, method=b"POST")
    old = endpoint(grpc)
    old.turn()
    grpc.configure(GRPC + pool_of("tcp: {tcpKeepalive: {time: 60s}}"))
    second = client.ask(*CALL, method=b"POST")
    assert len(server.connections) == 2
    new = endpoint(grpc)
    for upstream in (new, old):
        upstream.turn()
        upstream.answer(1)
    client.turn()
    assert client.is_over(first) and client.is_over(second)
    assert old.peer.ended and not new.peer.ended


def test_streams_above_a_goaway_go_elsewhere_and_those_below_go_on(grpc):
    server = grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    first, second = client.ask(*CALL, method=b"POST"), client.ask(*CALL, method=b"POST")
    upstream = endpoint(grpc)
    upstream.turn()
    upstream.codec.close_connection(last_stream_id=1)
    upstream.peer.send(upstream.codec.data_to_send())
    grpc.run()
    assert len(server.connections) == 2
    other = endpoint(grpc)
    other.turn()
    other.answer(1)
    client.turn()
    assert client.is_over(second) and not client.is_over(first)
    # h2 itself takes a connection for closed that has said GOAWAY: END_STREAM on stream 1 by hand
    upstream.peer.send(b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88")
    client.turn()
    assert client.is_over(first) and upstream.peer.ended


@pytest.mark.parametrize("late", [True, False], ids=["after the answer", "before it"])
def test_a_connection_that_allows_no_streams_does_not_stay(grpc, late):
    server = grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    for _ in range(20):
        stream = client.ask()
        upstream = endpoint(grpc)
        if late:
            upstream.answer(1)
        upstream.codec.update_settings({3: 0})  # MAX_CONCURRENT_STREAMS
        upstream.turn()
        if not late:
            upstream.answer(1)
        client.turn()
        assert client.is_over(stream)
    assert len(server.connections) == 20 and all(peer.closed for peer in server.connections)


def test_max_requests_per_connection_counts_streams():
    settings = "http: {maxRequestsPerConnection: 2}"
    world = World(GRPC + pool_of(settings))
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    client.ask(*CALL)
    upstream = endpoint(world)
    upstream.turn()
    upstream.answer(1)
    client.turn()
    client.ask(*CALL)
    upstream.turn()
    upstream.answer(3)
    client.turn()
    upstream.turn()
    assert upstream.peer.ended
    client.ask(*CALL)
    assert len(server.connections) == 2


def test_a_call_to_an_endpoint_that_is_gone_fails_as_grpc_does():
    grpc = World(GRPC + rule(ROUTE + "\nretries: {attempts: 0}"))
    client = dial(grpc)
    stream = client.ask(*CALL, method=b"POST")
    head = client.head(stream)
    assert head[b":status"] == b"200" and head[b"grpc-status"] == b"14"
    assert Reason.UPSTREAM_CONNECTION_FAILURE in grpc.records[0].reasons


def test_a_body_goes_both_ways_at_once(grpc):
    grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    stream = client.ask(*CALL, method=b"POST", body=MESSAGE, ended=False)
    upstream = endpoint(grpc)
    upstream.turn()
    upstream.codec.send_headers(1, [(b":status", b"200")])
    for _ in range(3):
        upstream.codec.send_data(1, MESSAGE)
        upstream.turn()
        client.turn()
        client.codec.send_data(stream, MESSAGE)
        client.turn()
        upstream.turn()
    assert upstream.body(1) == MESSAGE * 4 and client.body(stream) == MESSAGE * 3
    client.codec.end_stream(stream)
    client.turn()
    upstream.turn()
    assert upstream.is_over(1)
    upstream.codec.send_headers(1, [(b"grpc-status", b"0")], end_stream=True)
    upstream.turn()
    client.turn()
    assert client.trailers(stream) == {b"grpc-status": b"0"}


def test_what_its_sender_wants_in_no_table_is_in_none_of_ours(grpc):
    """There and back (RFC 7541 section 6.2.3)."""
    grpc.serve("10.1.0.1", 9080)
    client = dial(grpc)
    secret = NeverIndexedHeaderTuple(b"x-token", b"secret")
    upstream: Http2Peer | None = None
    for _ in range(4):
        stream = client.ask(secret, (b"x-plain", b"value"))
        upstream = upstream or endpoint(grpc)
        upstream.turn()
        upstream.answer(stream, secret)
        client.turn()
        for peer, kind in ((upstream, h2.events.RequestReceived), (client, h2.events.ResponseReceived)):
            (event,) = peer.of(kind, stream)
            (found,) = [field for field in event.headers if field[0] == b"x-token"]
            assert isinstance(found, NeverIndexedHeaderTuple)
