"""Telemetry in force: what a running agent logs, counts and traces of one workload."""

import http.client
import http.server
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from tests.unit.cli.mesh import Mesh, Upstream, cluster, rules, until

from nodemesh.admin.operations import JSON, OPERATIONS

TO_V1 = "- route: [{destination: {host: reviews, subset: v1}}]"
FORWARDED = ("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-request-id")


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[dict] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for resource in body["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        outer.spans += scope["spans"]
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def attribute(self, span: dict, name: str) -> str:
        (value,) = [each["value"] for each in span["attributes"] if each["key"] == name]
        return str(*value.values())


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()


@contextmanager
def front(mesh_port: list[int], told: list[str]) -> Iterator[Upstream]:
    """An app that calls ratings through the mesh, and hands the fields of traces on, as apps have to."""
    upstream = Upstream("v1")

    def call(self: http.server.BaseHTTPRequestHandler) -> None:
        told.append(self.headers["traceparent"] or "")
        headers = {name: self.headers[name] for name in FORWARDED if self.headers[name]}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{mesh_port[0]}/ratings", headers=headers | {"host": "ratings:9080"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    upstream.server.RequestHandlerClass.do_GET = call  # type: ignore[attr-defined]
    try:
        yield upstream
    finally:
        upstream.close()


def mesh_config(port: int, sampling: float) -> str:
    return f"""
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec:
  extensionProviders: [{{name: otel, opentelemetry: {{service: 127.0.0.1, port: {port}}}}}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: mesh, namespace: istio-system}}
spec:
  tracing: [{{providers: [{{name: otel}}], randomSamplingPercentage: {sampling}}}]
"""


def ratings_of(upstream: Upstream) -> str:
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: ratings, namespace: default}}
spec: {{clusterIP: 10.96.0.77, ports: [{{name: http, port: 9080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: ratings-1, namespace: default, labels: {{kubernetes.io/service-name: ratings}}}}
addressType: IPv4
ports: [{{name: http, port: {upstream.port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""


def test_one_trace_goes_through_two_hops(folder, v2):
    """Of 100 and 0 per cent; each parent is there, and one identifier goes through."""
    port, told = [0], [""]
    with collecting() as collector, front(port, told) as v1:
        text = cluster(v1) + rules(TO_V1) + ratings_of(v2)
        (folder / "mesh.yaml").write_text(text + mesh_config(collector.port, 100))
        with Mesh(folder, expose=("reviews:9080", "ratings:9080"), patience=60.0) as mesh:
            port[0] = mesh.exposed["ratings:9080"]
            for _ in range(20):
                assert mesh.curl() == (200, "v2")
            until(lambda: len(collector.spans) == 40)
            spans = {span["spanId"]: span for span in collector.spans}
            assert len(spans) == 40 and len({span["traceId"] for span in spans.values()}) == 20
            children = [span for span in spans.values() if "parentSpanId" in span]
            assert len(children) == 20
            for child in children:
                parent = spans[child["parentSpanId"]]
                assert parent["traceId"] == child["traceId"] and "parentSpanId" not in parent
                assert child["name"] == "ratings.default.svc.cluster.local:9080/*"
                assert parent["name"] == "reviews.default.svc.cluster.local:9080/*"
                assert collector.attribute(parent, "guid:x-request-id") == collector.attribute(
                    child, "guid:x-request-id"
                )
            assert "reviews" in collector.attribute(parent, "nodemesh.rule")
            assert mesh.metric("nodemesh_spans_exported_total") == 40
            # Of 0 per cent none; a decision that came with the request wins over the percentage.
            (folder / "mesh.yaml").write_text(text + mesh_config(collector.port, 0) + "# none\n")
            until(lambda: mesh.curl().status == 200 and told[-1].endswith("-00"))
            given = "4bf92f3577b34da6a3ce929d0e0e4736"
            assert mesh.curl("/", "-H", f"traceparent: 00-{given}-00f067aa0ba902b7-01") == (200, "v2")
            until(lambda: [span["traceId"] for span in collector.spans].count(given) == 2)


def test_one_per_cent_is_one_per_cent_of_whole_traces(folder, v2):
    """Of 3,000 requests 30 on average, standard deviation 5.4 (binomial); what is sampled is so at both hops."""
    port, told = [0], []
    with collecting() as collector, front(port, told) as v1:
        text = cluster(v1) + rules(TO_V1) + ratings_of(v2)
        (folder / "mesh.yaml").write_text(text + mesh_config(collector.port, 1))
        with Mesh(folder, expose=("reviews:9080", "ratings:9080")) as mesh:
            port[0] = mesh.exposed["ratings:9080"]
            connection = http.client.HTTPConnection("127.0.0.1", mesh.exposed["reviews:9080"], timeout=60)
            for _ in range(3000):
                connection.request("GET", "/", headers={"host": "reviews:9080"})
                assert connection.getresponse().read() == b"v2"
            connection.close()
            sampled = [line.split("-")[1] for line in told if line.endswith("-01")]
            until(lambda: len(collector.spans) == 2 * len(sampled))
    assert len(told) == 3000 and 3 <= len(sampled) <= 62, "beyond five standard deviations"
    by_id = {span["spanId"]: span for span in collector.spans}
    assert sorted(span["traceId"] for span in by_id.values()) == sorted(2 * sampled)
    children = [span for span in by_id.values() if "parentSpanId" in span]
    assert len(children) == len(sampled)
    assert all(by_id[child["parentSpanId"]]["traceId"] == child["traceId"] for child in children)


def test_each_try_of_a_request_is_seen_in_its_trace(folder):
    """An app that answers with 503 twice, then well."""
    upstream, left = Upstream("v1"), [503, 503]

    def falter(self: http.server.BaseHTTPRequestHandler) -> None:
        self.send_response(left.pop() if left else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    upstream.server.RequestHandlerClass.do_GET = falter  # type: ignore[attr-defined]
    with collecting() as collector:
        retries = "  retries: {attempts: 3, retryOn: 5xx}"
        text = cluster(upstream) + rules(f"{TO_V1}\n{retries}") + mesh_config(collector.port, 100)
        (folder / "mesh.yaml").write_text(text)
        with Mesh(folder, patience=60.0) as mesh:
            assert mesh.curl().status == 200
            until(lambda: len(collector.spans) == 4)
        (whole,) = [span for span in collector.spans if "parentSpanId" not in span]
        tries = sorted(
            (span for span in collector.spans if span is not whole), key=lambda span: span["startTimeUnixNano"]
        )
        assert {span["parentSpanId"] for span in tries} == {whole["spanId"]}
        assert [collector.attribute(span, "error.type") for span in tries[:2]] == ["503", "503"]
        assert [span.get("status") for span in tries] == [{"code": 2}, {"code": 2}, None]
        assert all(span["startTimeUnixNano"] >= whole["startTimeUnixNano"] for span in tries)
        assert all(span["endTimeUnixNano"] <= whole["endTimeUnixNano"] for span in tries)
    upstream.close()


@pytest.fixture
def answers(folder, v1):
    """What a running agent answers on all paths of the admin API that have fixed shapes, to a client's view too."""
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder, patience=60.0) as mesh:
        assert mesh.curl() == (200, "v1")
        found = []
        for operation in OPERATIONS:
            if operation.answers and operation.media == JSON and operation.path != "/rollback":
                found.append((operation, mesh.api(operation.path)))
                if "as" in [parameter.name for parameter in operation.parameters]:
                    found.append((operation, mesh.api(f"{operation.path}?as=default")))
        return found


def test_answers_of_a_running_agent_have_the_shapes_that_are_documented(answers):
    assert len(answers) > 15
    for operation, body in answers:
        msgspec.convert(body, operation.answers[0], strict=True)


def test_a_workloads_log_is_filtered(folder, v1):
    text = """
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: web, namespace: default}
spec:
  accessLogging: [{filter: {expression: "response.code >= 400"}}]
  metrics: [{overrides: [{match: {metric: REQUEST_SIZE}, disabled: true}]}]
"""
    only = "- match: [{uri: {prefix: /ok}}]\n  route: [{destination: {host: reviews, subset: v1}}]"
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(only) + text)
    with Mesh(folder, "--access-log", "-", patience=60.0) as mesh:
        assert mesh.curl("/ok") == (200, "v1")
        assert mesh.curl("/other").status == 404
        until(lambda: mesh.stdout.read_text())
        (line,) = mesh.stdout.read_text().splitlines()
        assert "GET /other" in line
        assert mesh.metric("istio_requests_total", response_code="200") == 1
        assert mesh.metric("istio_request_bytes_count") == 0
