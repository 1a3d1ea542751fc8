"""What log and metrics say of answers that no upstream gave."""

import pytest
from tests.playbooks.http1_peer import GET, ask, split
from tests.playbooks.mesh import ROUTE, SERVICE, rule

from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.sim.world import World
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.labels import HTTP_LABELS
from nodemesh.telemetry.record import RequestRecord

CLUSTER = "outbound|80||reviews.default.svc.cluster.local"
ABORT = "fault: {abort: {percentage: {value: 100}, httpStatus: 503}}\n"
CORS = "corsPolicy: {allowOrigins: [{exact: https://shop}], allowMethods: [GET]}\n"
PREFLIGHT = b"OPTIONS / HTTP/1.1\r\nhost: reviews\r\norigin: https://shop\r\naccess-control-request-method: GET\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nhost: reviews\r\norigin: https://shop\r\ntransfer-encoding: chunked\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nhost: reviews\r\nconnection: upgrade\r\nupgrade: irc\r\n\r\n"


def labels_of(world: World) -> dict[str, str]:
    world.telemetry.account()
    (labels,) = world.telemetry._http
    return dict(zip(HTTP_LABELS, labels, strict=True))


def last(world: World) -> RequestRecord:
    record = world.records[-1]
    assert isinstance(record, RequestRecord)
    return record


@pytest.mark.parametrize(
    ("rules", "request_bytes", "flags"),
    [(ABORT + ROUTE, GET, "FI"), (CORS + ROUTE, PREFLIGHT, "-"), (ROUTE, UPGRADE, "-")],
    ids=["abort", "preflight", "upgrade"],
)
def test_what_is_answered_before_the_upstream_counts_under_the_route(rules, request_bytes, flags):
    """Envoy 1.40, measured: an injected fault is logged with the route's cluster."""
    world = World(SERVICE + rule(rules))
    ask(world, request_bytes)
    labels = labels_of(world)
    assert (labels["destination_service_name"], labels["response_flags"]) == ("reviews", flags)
    assert LogFormatter("%UPSTREAM_CLUSTER% %UPSTREAM_HOST%").lines([last(world)]) == [f"{CLUSTER} -\n".encode()]


@pytest.mark.parametrize(
    "rules", ["directResponse: {status: 418}", "redirect: {uri: /x}", "match: [{uri: {exact: /never}}]\n" + ROUTE]
)
def test_what_has_no_cluster_counts_under_the_service_that_was_dialled(rules):
    world = World(SERVICE + rule(rules))
    ask(world)
    assert labels_of(world)["destination_service"] == "reviews.default.svc.cluster.local"


def test_a_client_that_leaves_while_a_fault_delays_it_ends_the_request():
    world = World(SERVICE + rule("fault: {delay: {percentage: {value: 100}, fixedDelay: 1s}}\n" + ROUTE))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    world.advance(0.5)
    client.end()
    world.advance(2.0)
    assert not server.waiting
    record = last(world)
    assert (record.reasons, record.status) == (
        (Reason.FAULT_DELAY, Reason.DOWNSTREAM_CONNECTION_TERMINATION),
        0,
    )
    assert record.duration == pytest.approx(0.5)
    (shown,) = LogFormatter("%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%").lines([record])
    assert shown == b"0 DI,DC downstream_remote_disconnect\n"


def test_a_delay_alone_is_via_upstream():
    world = World(SERVICE + rule("fault: {delay: {percentage: {value: 100}, fixedDelay: 1s}}\n" + ROUTE))
    server = world.serve("10.1.0.1", 9080)
    ask(world)
    world.advance(1.5)
    server.accept().send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    world.run()
    assert LogFormatter("%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%").lines([last(world)]) == [b"DI via_upstream\n"]


def test_the_log_shows_the_fields_that_its_format_names():
    world = World(SERVICE)
    formatter = LogFormatter(
        "%REQ(X-Tenant)% %RESP(X-Version)% %TRAILER(X-Sum)% %REQUEST_DURATION% %RESPONSE_DURATION%"
    )
    world.telemetry.wanted = formatter.wanted
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"POST / HTTP/1.1\r\nhost: reviews\r\nx-tenant: a\r\ncontent-length: 2\r\n\r\n")
    world.advance(0.25)
    client.send(b"hi")
    world.run()
    world.advance(0.25)
    upstream = server.accept()
    upstream.send(b"HTTP/1.1 200 OK\r\nX-Version: 7\r\nx-version: 8\r\ntransfer-encoding: chunked\r\n\r\n")
    upstream.send(b"0\r\nx-sum: 9\r\n\r\n")
    world.run()
    assert formatter.lines([last(world)]) == [b"a 7,8 9 250 500\n"]


def test_fields_that_no_format_names_are_not_kept():
    world = World(SERVICE)
    world.telemetry.wanted = LogFormatter().wanted
    world.serve("10.1.0.1", 9080)
    client = ask(world, b"GET / HTTP/1.1\r\nhost: reviews\r\nx-tenant: a\r\n\r\n")
    client.reset()
    world.run()
    assert last(world).fields is None


@pytest.mark.parametrize(
    ("addresses", "shown"),
    [
        (("10.244.0.2",), "10.244.0.2:40000"),
        (("fd00::2", "10.244.0.2"), "10.244.0.2:40000"),
        (("fd00::2",), "[fd00::2]:40000"),
        ((), "10.1.0.9:40000"),
    ],
)
def test_the_log_names_the_pod_that_asked_by_its_own_address(addresses, shown):
    """What is redirected comes from the pod's loopback, whatever pod it is."""
    world = World(SERVICE + rule("directResponse: {status: 418}"))
    pod = Client(namespace="default", name="client", addresses=addresses)
    client = world.dial(pod, "10.1.0.9:40000", ("10.96.0.10", 80))
    client.send(GET)
    world.run()
    assert last(world).downstream_remote == shown


@pytest.mark.parametrize("pieces", [(b"", b"nonsense\r\n"), (b"nonsense\r\n", b"")], ids=["later", "with the head"])
@pytest.mark.parametrize("fault", ["", "fault: {delay: {percentage: {value: 100}, fixedDelay: 1s}}\n"])
def test_a_malformed_body_is_answered_by_the_rule_that_its_request_met(pieces, fault):
    """Whether it came with the head or later: a page that may read answers can read this one, and the log has the
    rule. What came with the head never reaches an upstream."""
    world = World(SERVICE + rule(CORS + fault + ROUTE))
    server = world.serve("10.1.0.1", 9080)
    first, second = pieces
    client = ask(world, CHUNKED + first)
    assert server.waiting == (0 if first or fault else 1)
    client.send(second)
    world.run()
    start, headers, _ = split(client.take())
    assert start == b"HTTP/1.1 400 Bad Request" and client.ended
    assert headers[b"access-control-allow-origin"] == b"https://shop"
    record = last(world)
    assert (record.status, record.reasons[-1]) == (400, Reason.DOWNSTREAM_PROTOCOL_ERROR)
    assert record.rule is not None and "malformed chunk size" in record.termination
