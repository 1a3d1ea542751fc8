from random import Random

import pytest
from tests.playbooks.http1_peer import OK, ask, split
from tests.playbooks.mesh import SERVICE

from nodemesh.proxy.http.request_id import RequestIds
from nodemesh.proxy.http.tracing import Context, begin_trace, read_context, write_context
from nodemesh.routing.observation import TraceRule
from nodemesh.sim.world import World

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
IDS = RequestIds()
NEVER, ALWAYS = TraceRule(sampling=0.0), TraceRule(sampling=1.0)


@pytest.mark.parametrize(
    ("headers", "context"),
    [
        ({}, (b"", b"", None)),
        ({b"traceparent": b"00-%b-%b-01" % (TRACE, SPAN)}, (TRACE, SPAN, True)),
        ({b"traceparent": b"00-%b-%b-00" % (TRACE, SPAN)}, (TRACE, SPAN, False)),
        ({b"traceparent": b"cc-%b-%b-03-more" % (TRACE, SPAN)}, (TRACE, SPAN, True)),
        ({b"traceparent": b"00-%b-%b-01-more" % (TRACE, SPAN)}, (b"", b"", None)),
        ({b"traceparent": b"ff-%b-%b-01" % (TRACE, SPAN)}, (b"", b"", None)),
        ({b"traceparent": b"00-%b-%b-01" % (b"0" * 32, SPAN)}, (b"", b"", None)),
        ({b"traceparent": b"00-%b-%b-01" % (TRACE, b"0" * 16)}, (b"", b"", None)),
        ({b"traceparent": b"00-%b-%b-01" % (TRACE.upper(), SPAN)}, (b"", b"", None)),
        ({b"b3": b"%b-%b-1" % (TRACE, SPAN)}, (TRACE, SPAN, True)),
        ({b"b3": b"%b-%b-d-%b" % (TRACE[:16], SPAN, SPAN)}, (b"0" * 16 + TRACE[:16], SPAN, True)),
        ({b"b3": b"%b-%b" % (TRACE, SPAN)}, (TRACE, SPAN, None)),
        ({b"b3": b"0"}, (b"", b"", False)),
        ({b"b3": b"nonsense-x"}, (b"", b"", None)),
        ({b"x-b3-traceid": TRACE.upper(), b"x-b3-spanid": SPAN, b"x-b3-sampled": b"0"}, (TRACE, SPAN, False)),
        ({b"x-b3-traceid": TRACE, b"x-b3-spanid": SPAN, b"x-b3-flags": b"1"}, (TRACE, SPAN, True)),
        ({b"x-b3-sampled": b"true"}, (b"", b"", True)),
        ({b"x-b3-traceid": b"0" * 32, b"x-b3-spanid": SPAN}, (b"", b"", None)),
        ({b"traceparent": b"no", b"b3": b"%b-%b-1" % (TRACE, SPAN)}, (TRACE, SPAN, True)),
    ],
)
def test_what_a_client_says(headers, context):
    assert read_context(headers) == Context(*context)


def test_a_decision_that_came_wins_over_our_own():
    sampled = {b"traceparent": b"00-%b-%b-01" % (TRACE, SPAN)}
    kept = begin_trace(NEVER, sampled, Random(1), IDS)
    assert kept.sampled and (kept.trace_id, kept.parent_id) == (TRACE, SPAN) and kept.span_id != SPAN
    assert not begin_trace(ALWAYS, {b"x-b3-sampled": b"0"}, Random(1), IDS).sampled
    assert begin_trace(ALWAYS, {}, Random(1), IDS).sampled and not begin_trace(NEVER, {}, Random(1), IDS).sampled


def test_a_hundredth_is_sampled():
    rng = Random(7)
    sampled = sum(begin_trace(TraceRule(sampling=0.01), {}, rng, IDS).sampled for _ in range(20_000))
    assert 130 <= sampled <= 270  # 200 expected; five standard deviations are 70


def test_identifiers_differ():
    traces = [begin_trace(ALWAYS, {}, Random(1), IDS) for _ in range(500)]
    assert len({trace.trace_id for trace in traces}) == len({trace.span_id for trace in traces}) == 500
    assert all(len(trace.trace_id) == 32 and len(trace.span_id) == 16 for trace in traces)


def written(headers, rule=ALWAYS, edits=None):
    trace = begin_trace(rule, headers, Random(1), IDS)
    edits = {} if edits is None else edits
    write_context(trace, headers, edits)
    return trace, edits


def test_the_next_hop_is_told_in_the_clients_own_form():
    trace, edits = written({b"tracestate": b"a=b"})
    assert edits == {b"traceparent": b"traceparent: 00-%b-%b-01" % (trace.trace_id, trace.span_id), b"tracestate": b""}
    trace, edits = written({b"b3": b"%b-%b-0" % (TRACE, SPAN)})
    assert edits[b"b3"] == b"b3: %b-%b-0-%b" % (TRACE, trace.span_id, SPAN)
    assert edits[b"traceparent"] == b"traceparent: 00-%b-%b-00" % (TRACE, trace.span_id)
    many = {b"x-b3-traceid": TRACE, b"x-b3-spanid": SPAN, b"x-b3-sampled": b"1", b"x-b3-parentspanid": b"1" * 16}
    trace, edits = written(many)
    assert edits[b"x-b3-spanid"] == b"x-b3-spanid: " + trace.span_id
    assert edits[b"x-b3-parentspanid"] == b"x-b3-parentspanid: " + SPAN
    _, edits = written({b"traceparent": b"00-%b-%b-01" % (TRACE, SPAN), b"tracestate": b"a=b"})
    assert set(edits) == {b"traceparent"}, "tracestate is passed on"


def test_a_rules_own_word_counts_and_nothing_is_said_where_that_is_wanted():
    _, edits = written({}, edits={b"traceparent": b"traceparent: mine"})
    assert edits == {b"traceparent": b"traceparent: mine"}
    assert written({b"b3": b"1"}, TraceRule(propagate=False))[1] == {}


TRACED = """
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec:
  enableTracing: true
  defaultConfig: {tracing: {sampling: 100}}
  extensionProviders: [{name: otel, opentelemetry: {service: collector.example, port: 4318}}]
  defaultProviders: {tracing: [otel]}
"""


def test_requests_are_traced_where_the_mesh_says_so():
    world = World(SERVICE + TRACED)
    server = world.serve("10.1.0.1", 9080)
    ask(world, b"GET / HTTP/1.1\r\nHost: reviews\r\ntraceparent: 00-%b-%b-01\r\n\r\n" % (TRACE, SPAN))
    upstream = server.accept()
    _, headers, _ = split(upstream.take())
    upstream.send(OK)
    world.run()
    (record,) = world.records
    assert record.trace.sampled and record.trace.parent_id == SPAN
    assert headers[b"traceparent"] == b"00-%b-%b-01" % (TRACE, record.trace.span_id)
    world.configure(SERVICE)
    ask(world, b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n")
    upstream = server.accept() if server.waiting else upstream
    _, headers, _ = split(upstream.take())
    assert b"traceparent" not in headers, "nothing is written where nothing is traced"
