"""Conversations over one HTTP/1.1 connection: persistence, framing, ends of all kinds."""

import msgspec
import pytest

from nodemesh.proxy.http1.client import MAX_INTERIM
from nodemesh.proxy.http1.server import AT_ONCE
from nodemesh.reasons import Reason
from nodemesh.sim.pipe import Peer
from nodemesh.sim.world import World
from nodemesh.telemetry.telemetry import Dump

from .mesh import ROUTE, SERVICE, rule

GET = b"GET /a?b=c HTTP/1.1\r\nHost: reviews\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"

UPGRADE = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"

HTTP10 = """
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {http10: true}
"""

LIMITS = """
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec: {{limits: {{{}}}}}
"""


def pool_of(settings: str) -> str:
    """A DestinationRule for `reviews` with these connection pool settings."""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: default}}
spec: {{host: reviews, trafficPolicy: {{connectionPool: {{{settings}}}}}}}
"""


def ask(world: World, data: bytes = GET, port: int = 80) -> Peer:
    client = world.connect("10.96.0.10", port)
    client.send(data)
    world.run()
    return client


def split(message: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head, _, body = message.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    return start, {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}, body


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


def test_a_websocket_is_relayed_with_its_half_close(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    upstream = server.accept()
    _, headers, _ = split(upstream.take())
    assert headers[b"connection"] == b"upgrade" and headers[b"upgrade"] == b"websocket"
    upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello")
    world.run()
    start, headers, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 101") and headers[b"upgrade"] == b"websocket" and body == b"hello"
    client.send(b"frame")
    client.end()
    world.run()
    assert upstream.take() == b"frame" and upstream.ended
    upstream.send(b"last")
    upstream.end()
    world.run()
    assert client.take() == b"last" and client.ended
    assert world.records[0].status == 101
    assert world.proxy.pods[1].budget.connections == 0


def test_a_websocket_counts_as_a_request_until_it_ends():
    world = World(
        SERVICE
        + pool_of("tcp: {maxConnections: 2, idleTimeout: 60s}, http: {http2MaxRequests: 1}")
        + LIMITS.format("requests: 3")
    )
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, UPGRADE)
    upstream = server.accept()
    upstream.send(SWITCHING)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 101")
    (target,) = world.proxy.targets.values()
    budget = world.proxy.pods[1].budget
    assert target.limits.requests.active == target.limits.connections.active == budget.requests == 1
    assert [host.load for host in target.group.by_address.values()] == [1]
    assert b"reset reason: overflow" in ask(world).take()
    assert world.records[-1].reasons == (Reason.UPSTREAM_OVERFLOW,)

    world.advance(45.0)
    client.send(b"ping")
    world.advance(45.0)
    assert upstream.take().endswith(b"ping") and not client.closed
    world.advance(20.0)
    assert client.ended and upstream.ended
    record = world.records[-1]
    assert (record.status, record.reasons, record.duration) == (
        101,
        (Reason.IDLE_TIMEOUT,),
        pytest.approx(105.0, abs=1.0),
    )
    assert target.limits.requests.active == target.limits.connections.active == budget.requests == 0
    assert [host.load for host in target.group.by_address.values()] == [0] and budget.connections == 1
    ask(world)
    assert server.waiting == 1


def test_either_side_of_a_websocket_may_end_first(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, UPGRADE)
    upstream = server.accept()
    upstream.send(SWITCHING)
    upstream.end()
    world.run()
    assert client.take().startswith(b"HTTP/1.1 101") and client.ended and not upstream.ended
    client.send(b"last words")
    client.reset()
    world.run()
    assert upstream.take().endswith(b"last words") and upstream.reset_seen
    assert world.records[-1].reasons == (Reason.DOWNSTREAM_CONNECTION_TERMINATION,)
    (target,) = world.proxy.targets.values()
    assert target.limits.requests.active == target.limits.connections.active == 0


def test_a_copy_of_an_upgrade_ends_with_its_answer():
    other = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.11").replace("10.1.0.1", "10.1.0.7")
    world = World(SERVICE + "---" + other + rule(ROUTE + "\nmirror: {host: ratings, port: {number: 80}}"))
    server, shadow = world.serve("10.1.0.1", 9080), world.serve("10.1.0.7", 9080)
    client = ask(world, UPGRADE)
    copy = shadow.accept()
    copy.send(SWITCHING)
    server.accept().send(SWITCHING)
    world.run()
    assert copy.closed and not client.closed and client.take().startswith(b"HTTP/1.1 101")
    counts = {target.cluster.host: target.limits.requests.active for target in world.proxy.targets.values()}
    assert sorted(counts.values()) == [0, 1]


def test_other_upgrades_are_refused(world):
    world.serve("10.1.0.1", 9080)
    client = ask(world, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: irc/6.9\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 403")


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


def test_a_slow_client_stops_the_upstream(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    client.window = 1000
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(10):
        upstream.send(b"x" * 10_000)
    world.run()
    assert client.transport.pending < 12_000, "one piece is held, not the whole body"
    client.window = 1 << 20
    got = b""
    while len(got) < 100_000:
        piece = client.take()
        world.run()
        assert piece or client.inbox
        got += piece
    assert split(got)[2] == b"x" * 100_000 and world.records[0].bytes_sent == 100_000


def test_a_slow_upstream_stops_the_client(world):
    server = world.serve("10.1.0.1", 9080)
    client = world.connect("10.96.0.10", 80)
    client.send(b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 100000\r\n\r\n")
    world.run()
    upstream = server.accept()
    upstream.take()
    upstream.window = 1000
    for _ in range(10):
        client.send(b"x" * 10_000)
    world.run()
    assert upstream.transport.pending < 12_000
    upstream.window = 1 << 20
    got = 0
    while got < 100_000:
        got += len(upstream.take())
        world.run()
    upstream.send(OK)
    world.run()
    assert client.take().endswith(b"hi")


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


def test_a_head_that_comes_in_drops_is_too_late(world):
    client = world.connect("10.96.0.10", 80)
    for byte in b"GET /" + b"a" * 35:
        client.send(bytes((byte,)))
        world.advance(1.4)
    assert not client.take()
    world.advance(6.0)
    assert client.take().startswith(b"HTTP/1.1 408") and client.ended
    assert world.records[0].reasons == (Reason.DOWNSTREAM_PROTOCOL_ERROR,)


def test_a_connection_without_a_request_is_closed_in_the_end(world):
    server = world.serve("10.1.0.1", 9080)
    silent = world.connect("10.96.0.10", 80)
    client = ask(world)
    world.advance(3500.0)
    assert not silent.closed
    world.advance(200.0)
    assert silent.ended and not client.closed, "an answer may take as long as the route allows"
    server.accept().send(OK)
    world.run()
    assert client.take().endswith(b"hi")
    world.advance(3700.0)
    assert client.ended


def test_a_body_that_stops_coming_is_given_up_in_the_end(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 6\r\n\r\n")
    world.advance(3000.0)
    client.send(b"abc")
    world.advance(3000.0)
    assert not client.closed
    world.advance(700.0)
    assert client.closed and server.accept().closed
    assert world.records[0].reasons == (Reason.IDLE_TIMEOUT,)


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


def test_pipelined_answers_of_ours_leave_others_their_turn():
    world = World(SERVICE + rule("directResponse: {status: 418}"))
    client, other = world.connect("10.96.0.10", 80), world.connect("10.96.0.10", 80, name="other")
    client.send(GET * 100)
    other.send(GET)
    world.network.run()
    assert client.take().count(b" 418 ") == AT_ONCE and other.take().count(b" 418 ") == 1
    client.end()
    world.advance(0.1)
    assert client.take().count(b" 418 ") == 100 - AT_ONCE and client.ended


def test_a_client_that_pipelines_too_much_is_not_read(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    for _ in range(30):
        client.send(GET * 100)
    world.run()
    assert world.proxy.pods[1].gate.held < 70_000
    upstream = server.accept()
    for _ in range(3001):
        upstream.take()
        upstream.send(OK)
        world.run()
    assert client.take().count(b"HTTP/1.1 200") == 3001 and world.proxy.pods[1].gate.held == 0


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


def test_connections_beyond_a_pods_limit_are_reset_and_counted():
    world = World(SERVICE + LIMITS.format("connections: 1"))
    first, second = world.connect("10.96.0.10", 80), world.connect("10.96.0.10", 80)
    assert second.reset_seen and not first.closed
    assert world.records[0].reasons == (Reason.LIMIT_PER_POD,)
    (tcp,) = msgspec.msgpack.decode(world.telemetry.dump(), type=Dump).tcp
    assert (tcp.opened, tcp.closed) == (1, 1) and "UO" in tcp.labels
    assert not world.connect("10.96.0.10", 80, name="other").closed
    first.end()
    world.run()
    assert not world.connect("10.96.0.10", 80).closed


def test_interim_responses_have_a_bound(world):
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    server.accept().send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_INTERIM + 1))
    world.run()
    *hints, last = client.take().split(b"HTTP/1.1 ")[1:]
    assert len(hints) == MAX_INTERIM and last.startswith(b"502 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"../" * 300 + b" HTTP/1.1\r\nHost: reviews\r\n\r\n", b"400"),
        (b"\r\n" * 100 + GET, b"400"),
        (GET[:-2] + b"Connection: " + b"a," * 200 + b"\r\n\r\n", b"431"),
        (
            b"POST / HTTP/1.1\r\nHost: reviews\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a:\r\n" * 200 + b"\r\n",
            b"431",
        ),
    ],
)
def test_what_is_too_much_work_is_refused(world, head, status):
    world.serve("10.1.0.1", 9080)
    client = ask(world, head)
    assert client.take().startswith(b"HTTP/1.1 " + status) and client.ended
