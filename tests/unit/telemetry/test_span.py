from tests.unit.telemetry.samples import request

from nodemesh.config.meta import Location
from nodemesh.reasons import Reason
from nodemesh.routing.decision import Owner, Rule
from nodemesh.routing.observation import TraceRule, TraceTag
from nodemesh.telemetry.record import Try
from nodemesh.telemetry.span import LONGEST, TAGS, TRIES, span_of, spans_of, variable_of
from nodemesh.telemetry.trace import Trace


def span(record=None, **rule):
    record = record or request()
    trace = Trace(TraceRule(provider="otel", **rule), b"a" * 32, b"b" * 16, b"c" * 16, True)
    return span_of(record, trace, lambda name: {"ZONE": "z1"}.get(name, ""))


def test_a_span_says_what_the_conventions_and_istio_ask_for():
    record = request()
    owner = Owner(kind="VirtualService", namespace="default", name="reviews")
    record.rule = Rule(owner=owner, path="spec.http[0]", location=Location("rules.yaml", 7, 3))
    record.attempts = 2
    found = span(record)
    assert (found.provider, found.trace_id, found.span_id, found.parent_id) == ("otel", "a" * 32, "b" * 16, "c" * 16)
    assert (found.name, found.service) == ("reviews.default.svc.cluster.local:9080/*", "productpage.default")
    assert (found.started, found.duration, found.failed) == (record.started, 0.0125, False)
    expected = {
        "http.request.method": "GET",
        "url.full": "http://reviews:9080/reviews/1?full=1",
        "server.address": "reviews",
        "server.port": 9080,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "network.peer.address": "10.0.0.7",
        "network.peer.port": 9080,
        "http.request.resend_count": 1,
        "http.status_code": "200",
        "component": "proxy",
        "upstream_cluster": "outbound|9080|v2|reviews.default.svc.cluster.local",
        "response_flags": "-",
        "guid:x-request-id": "4f6b",
        "istio.canonical_service": "productpage",
        "istio.source_workload": "productpage-v1",
        "istio.destination_workload": "reviews-v2",
        "istio.destination_canonical_revision": "v2",
        "istio.namespace": "default",
        "nodemesh.rule": "default/reviews spec.http[0] default",
        "nodemesh.location": "rules.yaml:7:3",
    }
    assert {name: found.attributes.get(name) for name in expected} == expected
    assert "error" not in found.attributes


def tried(record, *tries: Try):
    record.tries, record.tried_at = tuple(tries), record.started + 0.01
    trace = Trace(TraceRule(provider="otel"), b"a" * 32, b"f" * 16, b"", True)
    return spans_of(record, trace, lambda _name: "")


def test_each_try_of_several_is_a_span_below_the_requests():
    begun = request().started
    tries = [
        Try(begun, 0.002, "10.0.0.7:9080", 503, None),
        Try(begun + 0.005, 0.001, "10.0.0.8:9080", 0, Reason.UPSTREAM_CONNECTION_FAILURE),
    ]
    whole, first, second, last = tried(request(), *tries)
    assert {each.parent_id for each in (first, second, last)} == {whole.span_id} and whole.parent_id == ""
    assert {each.trace_id for each in (whole, first, second, last)} == {"a" * 32}
    ids = {each.span_id for each in (whole, first, second, last)}
    assert len(ids) == 4 and all(len(each) == 16 and int(each, 16) for each in ids)
    assert [(each.started, each.failed) for each in (first, second, last)] == [
        (begun, True), (begun + 0.005, True), (begun + 0.01, False)
    ]  # fmt: skip
    assert abs(last.duration - 0.0025) < 1e-6 and first.name == f"router {request().cluster.name} egress"
    shown = [
        {key: each.attributes.get(key) for key in ("http.request.resend_count", "error.type", "network.peer.address")}
        for each in (first, second, last)
    ]
    assert [list(each.values()) for each in shown] == [
        [None, "503", "10.0.0.7"], [1, "UF", "10.0.0.8"], [2, None, "10.0.0.7"]
    ]  # fmt: skip


def test_a_request_that_was_tried_once_is_one_span_and_many_tries_are_bounded():
    assert len(tried(request())) == 1
    many = [Try(0.0, 0.0, "10.0.0.7:9080", 503, None)] * 100
    assert len(tried(request(), *many)) == TRIES + 2


def test_our_own_answer_is_not_the_last_trys():
    record = request(status=503, reasons=(Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED, Reason.UPSTREAM_CONNECTION_FAILURE))
    record.upstream_time = -1.0
    last = tried(record, Try(0.0, 0.0, "10.0.0.7:9080", 503, None))[-1]
    assert last.failed and last.attributes["error.type"] == "UF"
    assert "http.response.status_code" not in last.attributes


def test_a_failure_is_one():
    record = request(status=503, reasons=(Reason.NO_HEALTHY_UPSTREAM,))
    found = span(record)
    assert found.failed and found.attributes["error.type"] == "503" and found.attributes["response_flags"] == "UH"
    gone = span(request(status=0, reasons=(Reason.DOWNSTREAM_CONNECTION_TERMINATION,)))
    assert gone.failed and gone.attributes["error.type"] == "DC"


def test_tags_of_the_operators_own():
    record = request()
    record.fields = {b"end-user": b"jason" * 1000}
    tags = (
        TraceTag(name="tier", value="edge"),
        TraceTag(name="user", header="end-user"),
        TraceTag(name="absent", header="x-no", value="nobody"),
        TraceTag(name="none", header="x-no"),
        TraceTag(name="zone", environment="ZONE", value="z0"),
    )
    attributes = span(record, tags=tags, istio_tags=False).attributes
    assert (attributes["tier"], attributes["absent"], attributes["zone"]) == ("edge", "nobody", "z1")
    assert attributes["user"].startswith("jason") and len(attributes["user"]) == 1024
    assert "none" not in attributes and "istio.namespace" not in attributes


def test_of_the_environment_what_the_mesh_allows(monkeypatch):
    monkeypatch.setenv("ZONE", "z1")
    assert variable_of(("ZONE",))("ZONE") == "z1" and variable_of(())("ZONE") == ""


def test_tags_are_bounded_together():
    tags = tuple(TraceTag(name=f"t{number:02}", value="v" * 2 * LONGEST) for number in range(60))
    found = span(tags=tags).attributes
    assert [name for name in found if name.startswith("t")] == [
        f"t{number:02}" for number in range(TAGS // (LONGEST + 3))
    ]
