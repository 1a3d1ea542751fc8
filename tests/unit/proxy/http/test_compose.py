"""How a request leaves: a value, made of decision and head without a world around them."""

from random import Random

from nodemesh.proxy.clock import Clock
from nodemesh.proxy.http.compose import compose
from nodemesh.proxy.http.placement import Placement
from nodemesh.proxy.http.retry import NO_RETRY
from nodemesh.proxy.http.variables import NO_FACTS
from nodemesh.proxy.http1.request import read_request
from nodemesh.routing.client import Client
from nodemesh.routing.decision import HeaderOps, Retry, Rewrite, Route, WeightedCluster
from nodemesh.telemetry.record import RequestRecord


def outgoing(route: Route, *lines: bytes, path: bytes = b"/a?b=c"):
    head = read_request(b"\r\n".join((b"GET " + path + b" HTTP/1.1", b"Host: shop", *lines)), b"http")
    record = RequestRecord(Client(namespace="default"))
    record.path, record.request_id = path, b"id-1"
    before = dict(head.edits)
    placement = Placement(route, head, record, Random(1), Clock(0.0, 0.0))
    found = compose(route, placement, head, record, NO_FACTS, ("10.0.0.1", 80))
    assert head.edits == before, "what came is not changed"
    return found


def route(**settings) -> Route:
    return Route(destinations=(WeightedCluster(cluster=None, cluster_name="c", weight=1),), total_weight=1, **settings)


def test_what_no_rule_changes_leaves_as_it_came_but_for_the_proxys_own_fields():
    found = outgoing(route())
    assert (found.path, found.authority, found.dialled) == (b"/a?b=c", b"shop", ("10.0.0.1", 80))
    assert found.edits == {
        b"x-request-id": b"x-request-id: id-1",
        b"x-forwarded-proto": b"x-forwarded-proto: http",
    }
    assert found.timeout == 0.0 and found.retry is NO_RETRY and found.key is None and found.wanted is None


def test_a_rewrite_keeps_the_query_and_says_what_there_was():
    found = outgoing(route(rewrite=Rewrite(uri=b"/z", authority=b"inner")))
    assert (found.path, found.authority) == (b"/z?b=c", b"inner")
    assert found.edits[b"x-envoy-original-path"] == b"x-envoy-original-path: /a?b=c"


def test_a_rules_fields_are_changed_and_its_limits_are_those_of_the_call():
    ops = HeaderOps(remove=(b"x-secret",))
    retry = Retry(attempts=3, on=frozenset({"5xx"}))
    found = outgoing(route(timeout=3.0, retry=retry, request_headers=ops))
    assert found.edits[b"x-secret"] == b"" and found.timeout == 3.0 and found.retry == retry


def test_a_client_steers_its_own_request():
    found = outgoing(route(timeout=3.0), b"x-envoy-upstream-rq-timeout-ms: 500", b"x-envoy-retry-on: 5xx")
    assert found.timeout == 0.5 and found.retry.on == {"5xx"}
    found = outgoing(route(timeout=3.0), b"content-type: application/grpc", b"grpc-timeout: 1S")
    assert found.timeout == 1.0


def test_a_mirrors_copy_is_tried_once_and_anywhere():
    found = outgoing(route(timeout=3.0, retry=Retry(attempts=3))).copy()
    assert found.retry is NO_RETRY and found.timeout == 3.0 and found.path == b"/a?b=c"
