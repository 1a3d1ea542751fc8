"""Conversations over one HTTP/1.1 connection: persistence, framing, ends of all kinds."""

import pytest

from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import GET, OK, ask, split
from .mesh import HTTP10, SERVICE, rule


def test_a_request_and_its_answer(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    start, headers, _ = split(upstream.take())
    assert start == b"GET /a?b=c HTTP/1.1"
    assert headers[b"host"] == b"reviews"
    assert headers[b"x-envoy-attempt-count"] == b"1"
    assert headers[b"x-forwarded-proto"] == b"http"
    assert len(headers[b"x-request-id"]) == 36

    world.advance(0.25)
    upstream.send(OK)
    world.run()
    start, headers, body = split(client.take())
    assert start == b"HTTP/1.1 200 OK"
    assert headers[b"server"] == b"envoy"
    assert headers[b"x-envoy-upstream-service-time"] == b"250"
    assert headers[b"date"].endswith(b"GMT")
    assert body == b"hi"
    (record,) = world.records
    assert (record.status, record.reasons, record.attempts, record.bytes_sent) == (200, (), 1, 2)
    assert record.upstream_host == "10.1.0.1:9080"


def test_both_connections_are_kept(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    for _ in range(3):
        assert upstream.take().startswith(b"GET /a")
        upstream.send(OK)
        world.run()
        assert client.take().endswith(b"hi")
        client.send(GET)
        world.run()
    assert server.waiting == 0 and not client.closed


def test_pods_do_not_share_upstream_connections(world):
    server = world.serve("10.1.0.1", 9080)
    ask(world)
    first = server.accept()
    first.send(OK)
    world.run()
    other = world.connect("10.96.0.10", 80, name="other")
    other.send(GET)
    world.run()
    assert server.waiting == 1 and server.namespaces[0] != server.namespaces[1]


def test_pipelined_requests_are_answered_in_order(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, GET.replace(b"/a", b"/1") + GET.replace(b"/a", b"/2"))
    upstream = server.accept()
    assert upstream.take().count(b"GET") == 1
    upstream.send(OK.replace(b"hi", b"11"))
    world.run()
    assert upstream.take().startswith(b"GET /2")
    upstream.send(OK.replace(b"hi", b"22"))
    world.run()
    first, _, second = client.take().partition(b"11")
    assert first and second.endswith(b"22")


def test_a_chunked_body_is_framed_anew_both_ways(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"POST / HTTP/1.1\r\nHost: reviews\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n")
    upstream = server.accept()
    _, headers, body = split(upstream.take())
    assert headers[b"transfer-encoding"] == b"chunked" and body == b"3\r\nabc\r\n"
    client.send(b"2\r\nde\r\n0\r\nx-digest: t\r\n\r\n")
    world.run()
    assert upstream.take() == b"2\r\nde\r\n0\r\nx-digest: t\r\n\r\n"
    upstream.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
    world.run()
    assert split(client.take())[2] == b"1\r\nx\r\n"
    upstream.send(b"0\r\n\r\n")
    world.run()
    assert client.take() == b"0\r\n\r\n"
    assert world.records[0].bytes_received == 5 and world.records[0].bytes_sent == 1


def test_a_body_until_close_becomes_chunked(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    upstream.end()
    world.run()
    _, headers, body = split(client.take())
    assert headers[b"transfer-encoding"] == b"chunked"
    assert body == b"3\r\nabc\r\n0\r\n\r\n"
    assert not client.closed


def test_an_answer_to_head_has_no_body(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, GET.replace(b"GET", b"HEAD"))
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    world.run()
    _, headers, body = split(client.take())
    assert headers[b"content-length"] == b"100" and body == b""
    client.send(GET)
    world.run()
    assert upstream.take().count(b"GET") == 1


def test_expect_goes_to_the_upstream_and_its_100_comes_back(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    upstream = server.accept()
    assert b"Expect: 100-continue" in upstream.take()
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    world.run()
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    world.run()
    assert upstream.take() == b"abc"
    upstream.send(OK)
    world.run()
    assert client.take().endswith(b"hi")


def test_http_1_0_gets_426_unless_accepted(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"GET / HTTP/1.0\r\nHost: reviews\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 426") and client.ended
    assert world.records[0].reasons == (Reason.HTTP10_REFUSED,)
    world.configure(SERVICE + HTTP10)
    client = ask(world, b"GET / HTTP/1.0\r\nHost: reviews\r\n\r\n")
    server.accept().send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
    world.run()
    assert client.take().endswith(b"\r\n\r\nx") and client.ended


def test_a_client_that_closed_its_half_gets_its_answer(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    client.end()
    world.run()
    server.accept().send(OK)
    world.run()
    assert client.take().endswith(b"hi") and client.ended


def test_connection_close_is_honoured(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, GET[:-2] + b"Connection: close\r\n\r\n")
    upstream = server.accept()
    assert b"close" not in upstream.take()
    upstream.send(OK)
    world.run()
    assert b"connection: close" in client.take() and client.ended and not upstream.closed


def test_a_malformed_request_gets_400_and_the_end(world):
    client = ask(world, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 400") and client.ended
    assert world.records[0].reasons == (Reason.DOWNSTREAM_PROTOCOL_ERROR,)
    world.advance(2.0)
    assert not world.proxy.pods[1].connections


def test_a_malformed_response_is_a_502(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n")
    world.run()
    start, _, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 502") and body.endswith(b"reset reason: protocol error")
    assert upstream.closed and world.records[0].reasons == (Reason.UPSTREAM_PROTOCOL_ERROR,)


def test_a_client_that_resets_in_mid_body_ends_the_upstream_request(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 10\r\n\r\nabc")
    upstream = server.accept()
    client.reset()
    world.run()
    assert upstream.closed
    assert world.records[0].reasons == (Reason.DOWNSTREAM_CONNECTION_TERMINATION,)
    pod = world.proxy.pods[1]
    assert not pod.connections and pod.budget.connections == 0 and pod.budget.requests == 0


def test_an_early_answer_ends_the_connection(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 10\r\n\r\nabc")
    upstream = server.accept()
    upstream.send(OK.replace(b"200 OK", b"413 Too Large"))
    world.run()
    start, headers, _ = split(client.take())
    assert start.startswith(b"HTTP/1.1 413") and headers[b"connection"] == b"close"
    assert client.ended and upstream.closed


def test_routes_are_decided_afresh_for_each_request(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    server.accept().send(OK)
    world.run()
    client.take()
    world.configure(SERVICE + rule("directResponse: {status: 418}"))
    client.send(GET)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 418")


def test_draining_says_so_closes_what_is_idle_and_waits_for_what_is_fresh(world):
    server = world.serve("10.1.0.1", 9080)
    idle = ask(world)
    upstream = server.accept()
    upstream.send(OK)
    world.run()
    idle.take()
    busy = ask(world)
    fresh = world.connect("10.96.0.10", 80)
    world.proxy.start_draining()
    upstream.send(OK)
    world.run()
    assert idle.ended and busy.ended and b"connection: close" in busy.take()
    assert not fresh.ended and not world.proxy.idle
    fresh.send(GET)  # it was on its way
    world.run()
    upstream.send(OK)
    world.run()
    assert fresh.ended and b"connection: close" in fresh.take()
    world.advance(2.0)
    assert world.proxy.idle


def test_what_was_asked_before_the_end_is_answered(world):
    server = world.serve("10.1.0.1", 9080)
    client = world.connect("10.96.0.10", 80)
    client.send(GET + GET + b"GET /unfinished")
    client.end()
    world.run()
    upstream = server.accept()
    for last in (False, True):
        assert upstream.take().startswith(b"GET /a")
        upstream.send(OK)
        world.run()
        assert client.take().endswith(b"hi") and client.ended is last


def test_an_interim_response_is_not_for_http_1_0():
    world = World(SERVICE + HTTP10)
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"POST / HTTP/1.0\r\nHost: reviews\r\nContent-Length: 0\r\n\r\n")
    server.accept().send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
def test_a_malformed_body_is_told_unless_an_answer_has_begun(world, connection):
    server = world.serve("10.1.0.1", 9080)
    chunked = b"PUT / HTTP/1.1\r\nHost: reviews\r\n" + connection + b"Transfer-Encoding: chunked\r\n\r\n"
    client = ask(world, chunked)
    client.send(b"nonsense\r\n")
    world.run()
    assert client.take().startswith(b"HTTP/1.1 400") and client.ended and server.accept().closed
    client = ask(world, chunked)
    server.accept().send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    world.run()
    client.send(b"nonsense\r\n")
    world.run()
    assert client.take().endswith(b"half") and client.reset_seen
    assert [(record.status, record.reasons) for record in world.records] == [
        (400, (Reason.DOWNSTREAM_PROTOCOL_ERROR,)),
        (200, (Reason.DOWNSTREAM_PROTOCOL_ERROR,)),
    ]
