"""Conversations about what goes wrong upstream: retries, timeouts, breakers, and the answers in its stead."""

import gc

import pytest

from nodemesh.proxy.http.call import Call
from nodemesh.proxy.http.exchange import Exchange
from nodemesh.proxy.http.mirror import Shadow
from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import GET, OK, RESET, ask, split
from .mesh import ROUTE, SECOND, SERVICE, rule


def test_no_listener_is_retried_and_then_a_503(world):
    client = ask(world)
    world.advance(1.0)
    start, headers, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 503") and headers[b"content-type"] == b"text/plain"
    assert body == (
        RESET + b"retried and the latest reset reason: remote connection failure, "
        b"transport failure reason: delayed connect error: Connection refused"
    )
    (record,) = world.records
    assert record.reasons == (Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED, Reason.UPSTREAM_CONNECTION_FAILURE)
    assert record.attempts == 3


def test_a_dead_endpoint_is_invisible_to_callers():
    world = World(SERVICE + SECOND)
    server = world.serve("10.1.0.2", 9080)
    for _ in range(20):
        client = ask(world)
        world.advance(0.5)
        server.connections[-1].send(OK)
        world.run()
        assert client.take().startswith(b"HTTP/1.1 200")
        client.reset()
    assert any(record.attempts > 1 for record in world.records)


def test_a_stale_connection_is_replaced_without_a_word(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    stale = server.accept()
    stale.send(OK)
    world.run()
    client.take()
    client.send(GET)
    stale.end()  # crosses the request
    world.run()
    world.run()
    fresh = server.accept()
    assert b"attempt-count: 1" in fresh.take()
    fresh.send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200") and world.records[1].reasons == ()


POST = b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("rules", ["", rule(ROUTE + "\nretries: {attempts: 0}")])
@pytest.mark.parametrize("end", ["end", "reset"])
def test_a_post_is_not_sent_to_whom_has_closed(end, rules):
    world = World(SERVICE + rules)
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    stale = server.accept()
    stale.send(OK)
    world.run()
    client.take(), stale.take()
    client.send(POST)
    getattr(stale, end)()  # has come when the request is about to leave, but nobody has looked yet
    world.run()
    world.run()
    fresh = server.accept()
    assert not stale.take() and fresh.take().endswith(b"abc")
    fresh.send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200") and world.records[1].reasons == ()


def test_a_post_that_may_have_been_seen_is_not_sent_again(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    stale = server.accept()
    stale.send(OK)
    world.run()
    client.take(), stale.take()
    client.send(POST)
    world.run()
    assert stale.take().endswith(b"abc")
    stale.reset()
    world.run()
    assert client.take().startswith(b"HTTP/1.1 503") and server.waiting == 0
    assert world.records[1].reasons == (Reason.UPSTREAM_REMOTE_RESET,)


def test_an_idle_connection_that_ends_is_not_used_again(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    first = server.accept()
    first.send(OK)
    first.end()
    world.run()
    assert first.closed
    client.send(GET)
    world.run()
    assert server.accept().take().startswith(b"GET")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTT"])
def test_an_upstream_that_closes_before_the_head_is_a_503(world, sent):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    upstream.send(sent)
    upstream.end()
    world.run()
    start, _, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 503") and body == RESET + b"reset reason: connection termination"
    assert world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_TERMINATION,)


def test_an_upstream_that_resets_is_a_503(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    server.accept().reset()
    world.run()
    assert split(client.take())[2] == RESET + b"reset reason: remote reset"
    assert world.records[0].reasons == (Reason.UPSTREAM_REMOTE_RESET,)


def test_an_upstream_that_closes_in_mid_body_breaks_the_answer(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
    upstream.end()
    world.run()
    assert client.take().endswith(b"abc") and client.reset_seen
    assert world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_TERMINATION,)


def test_a_slow_upstream_is_a_504():
    world = World(SERVICE + rule(ROUTE + "\ntimeout: 1s"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    assert b"x-envoy-expected-rq-timeout-ms: 1000" in upstream.take()
    world.advance(0.99)
    assert not client.take()
    world.advance(0.02)
    start, _, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 504") and body == b"upstream request timeout"
    assert upstream.closed and world.records[0].reasons == (Reason.RESPONSE_TIMEOUT,)
    assert world.records[0].duration == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    "limit", ["timeout: 1s", "retries: {attempts: 1, perTryTimeout: 1s, retryOn: connect-failure}"]
)
def test_a_client_may_ask_for_a_204_instead(limit):
    world = World(SERVICE + rule(ROUTE + "\n" + limit))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, GET[:-2] + b"X-Envoy-Upstream-Rq-Timeout-Alt-Response: 1\r\n\r\n")
    assert b"alt-response" not in server.accept().take().lower()
    world.advance(1.1)
    start, _, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 204") and not body


def test_the_timeout_counts_from_the_end_of_the_request():
    world = World(SERVICE + rule(ROUTE + "\ntimeout: 1s"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 3\r\n\r\n")
    world.advance(5.0)
    client.send(b"abc")
    world.run()
    server.accept().send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")


def test_a_try_that_is_too_slow_is_replaced():
    world = World(SERVICE + rule(ROUTE + "\nretries: {attempts: 1, perTryTimeout: 500ms, retryOn: 5xx}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    first = server.accept()
    assert b"x-envoy-expected-rq-timeout-ms: 500" in first.take()
    world.advance(0.6)
    assert first.closed
    second = server.accept()
    assert b"x-envoy-attempt-count: 2" in second.take()
    second.send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200") and world.records[0].attempts == 2


def test_a_503_is_retried_only_where_asked_for(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    server.accept().send(OK.replace(b"200 OK", b"503 No"))
    world.advance(1.0)
    assert client.take().startswith(b"HTTP/1.1 503") and world.records[0].attempts == 1

    world = World(SERVICE + rule(ROUTE + "\nretries: {attempts: 2, retryOn: gateway-error}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    upstream = server.accept()
    upstream.send(OK.replace(b"200 OK", b"503 No"))
    world.advance(1.0)
    assert b"attempt-count: 2" in upstream.take(), "the connection that answered is used again"
    upstream.send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")


def test_a_body_is_sent_again_with_a_retry():
    world = World(SERVICE + rule(ROUTE + "\nretries: {attempts: 1, retryOn: reset}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 6\r\n\r\nabc")
    first = server.accept()
    assert first.take().endswith(b"abc")
    first.reset()
    world.advance(0.5)
    second = server.accept()
    assert second.take().endswith(b"abc")
    client.send(b"def")
    world.run()
    assert second.take() == b"def"
    second.send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")


def test_a_body_too_large_to_keep_is_not_sent_again():
    world = World(SERVICE + rule(ROUTE + "\nretries: {attempts: 1, retryOn: reset}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 3000000\r\n\r\n")
    for _ in range(200):
        client.send(b"x" * 10_000)
    world.run()
    server.accept().reset()
    world.advance(0.5)
    assert client.take().startswith(b"HTTP/1.1 503") and server.waiting == 0


def test_a_body_that_outgrows_its_buffer_between_two_tries_is_a_507():
    world = World(SERVICE + rule(ROUTE + "\nretries: {attempts: 1, retryOn: reset, backoff: 10s}"))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 1_000_000)
    server.accept().reset()
    world.run()
    client.send(b"x" * 40_000)
    world.run()
    assert not client.take()
    client.send(b"x" * 10_000)
    world.run()
    start, _, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 507") and body == b"exceeded request buffer limit while retrying upstream"
    assert client.ended and world.records[0].reasons == (Reason.RETRY_BUFFER_LIMIT,)
    world.advance(20.0)
    assert server.waiting == 0
    (target,) = world.proxy.targets.values()
    assert target.limits.requests.active == target.limits.retries.active == 0


def test_grpc_clients_get_grpc_answers():
    world = World(SERVICE.replace("10.1.0.1", "10.1.0.9"))
    client = ask(world, GET[:-2] + b"Content-Type: application/grpc\r\n\r\n")
    world.advance(1.0)
    start, headers, body = split(client.take())
    assert start == b"HTTP/1.1 200 OK" and headers[b"grpc-status"] == b"14" and body == b""
    assert headers[b"grpc-message"].startswith(b"upstream connect error")
    assert world.records[0].grpc_status == 14


def test_a_breaker_overflows():
    policy = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}
"""
    world = World(SERVICE + policy)
    server = world.serve("10.1.0.1", 9080)
    clients = [ask(world) for _ in range(3)]
    start, headers, body = split(clients[2].take())
    assert start.startswith(b"HTTP/1.1 503") and headers[b"x-envoy-overloaded"] == b"true"
    assert body == RESET + b"reset reason: overflow"
    assert world.records[0].reasons == (Reason.UPSTREAM_OVERFLOW,)
    for client in clients[:2]:
        server.connections[-1].send(OK)
        world.run()
        assert client.take().startswith(b"HTTP/1.1 200")
    assert len(server.connections) == 1


def test_no_request_waits_for_the_garbage_collector():
    other = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.20").replace("10.1.0.1", "10.1.0.7")
    world = World(SERVICE + "---" + other + rule(ROUTE + "\nmirror: {host: ratings, port: {number: 80}}"))
    server = world.serve("10.1.0.1", 9080)
    mirror = world.serve("10.1.0.7", 9080)

    def alive() -> int:
        return sum(isinstance(found, (Call, Exchange, Shadow)) for found in gc.get_objects())

    gc.collect()
    gc.disable()
    before = alive()
    try:
        client = ask(world)
        server.accept().send(OK)
        mirror.accept().send(OK)
        world.run()
        assert client.take().endswith(b"hi")
        assert alive() == before
    finally:
        gc.enable()


def test_a_grpc_client_keeps_its_own_deadline(world):
    world.serve("10.1.0.1", 9080)
    client = ask(world, GET[:-2] + b"Content-Type: application/grpc\r\ngrpc-timeout: 200m\r\n\r\n")
    world.advance(0.3)
    _, headers, _ = split(client.take())
    assert headers[b"grpc-status"] == b"14" and world.records[0].reasons == (Reason.RESPONSE_TIMEOUT,)


def test_an_upstream_that_needs_tls_is_never_spoken_to_in_clear_text():
    policy = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, trafficPolicy: {tls: {mode: SIMPLE}}}
"""
    world = World(SERVICE + policy)
    server = world.serve("10.1.0.1", 9080)
    ask(world)
    assert server.accept().take().startswith(b"\x16\x03"), "a ClientHello, and nothing of the request"
