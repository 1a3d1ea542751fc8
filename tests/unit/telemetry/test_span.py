from tests.unit.telemetry.samples import request

from nodemesh.config.meta import Location
from nodemesh.reasons import Reason
from nodemesh.routing.decision import Owner, Rule
from nodemesh.routing.observation import TraceRule, TraceTag
from nodemesh.telemetry.span import LONGEST, TAGS, span_of, variable_of
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
