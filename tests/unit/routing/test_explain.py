import msgspec
import pytest

from nodemesh.config.load import load_text
from nodemesh.registry.store import Store
from nodemesh.routing.answer import render_text
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.explain import explain
from nodemesh.routing.question import QuestionError, client_for, question_of
from nodemesh.routing.views import Views

MESH = """\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.96.0.10, selector: {app: reviews}, ports: [{port: 9080, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {clusterIP: 10.96.0.11, selector: {app: nobody}, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: vault}
spec: {clusterIP: 10.96.0.12, selector: {app: reviews}, ports: [{port: 443, name: https, targetPort: 9443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-v1, labels: {app: reviews, version: v1}}
status: {podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-v2, labels: {app: reviews, version: v2}}
status: {podIP: 10.1.0.2}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: jason
    match:
    - uri: {prefix: /api}
      headers:
        End-User: {exact: jason}
    rewrite: {uri: /v2}
    timeout: 1.5s
    route:
    - destination: {host: reviews, subset: v2}
      headers: {request: {set: {x-who: jason}}}
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new}
  - match: [{uri: {exact: /teapot}}]
    directResponse: {status: 418}
  - match: [{uri: {prefix: /nowhere}}]
    route: [{destination: {host: gone}}]
  - match: [{uri: {prefix: /split}}]
    route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
    fault: {abort: {httpStatus: 555, percentage: {value: 20}}, delay: {fixedDelay: 3s, percentage: {value: 5}}}
    retries: {attempts: 3, perTryTimeout: 500ms, retryOn: "5xx,409"}
    mirror: {host: reviews, subset: v1}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vault}
spec:
  hosts: [vault]
  tls:
  - match: [{port: 443, sniHosts: [vault]}]
    route: [{destination: {host: reviews, port: {number: 9080}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop.example.com"]}
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: ["shop.example.com"]
    tls: {mode: SIMPLE, credentialName: c}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [gw]
  http:
  - match: [{uri: {prefix: /reviews}}]
    route: [{destination: {host: reviews, subset: v1}}]
"""


GATEWAY_POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: ingress, namespace: edge, labels: {istio: ingress}}
status: {podIP: 10.1.0.7}
"""

URI = "    - uri: {prefix: /api}"
HEADER = "        End-User: {exact: jason}"
OLD = "  - match: [{uri: {exact: /old}}]"


@pytest.fixture(scope="module")
def views():
    loaded = load_text(MESH, "mesh.yaml")
    assert not loaded.problems
    return Views(compile_tables(Store().apply("test", loaded.objects)))


def ask(views, url, headers=(), gateway=False, method="GET", sni=""):
    labels = {"istio": "ingress"} if gateway else {}
    client = Client(namespace="default", labels=labels, gateway=gateway)
    return explain(views, client, method, url, headers, sni)


@pytest.mark.parametrize(
    ("url", "outcome", "status"),
    [
        ("http://reviews:9080/split", "route", None),
        ("http://reviews:9080/old", "redirect", 301),
        ("http://reviews:9080/teapot", "direct_response", 418),
        ("http://reviews:9080/", "no_rule", 404),
        ("http://reviews:9080/nowhere", "unknown_destination", 503),
        ("http://empty/", "no_endpoints", 503),
        ("http://example.com/", "passthrough", None),
        ("tcp://192.0.2.1:5432", "passthrough", None),
        ("tls://vault:443", "route", None),
        ("https://vault.default.svc.cluster.local/", "passthrough", None),
    ],
)
def test_outcomes_in_the_mesh(views, url, outcome, status):
    found = ask(views, url)
    assert (found.outcome, found.status) == (outcome, status)


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("http://shop.example.com/reviews", "route"),
        ("https://shop.example.com/reviews", "route"),
        ("http://shop.example.com/other", "no_rule"),
        ("http://other.example.com/", "no_host"),
        ("http://shop.example.com:8080/", "no_listener"),
        ("https://other.example.com/", "refused"),
    ],
)
def test_outcomes_at_a_gateway(views, url, outcome):
    assert ask(views, url, gateway=True).outcome == outcome


def test_a_route_in_full(views):
    found = ask(views, "http://reviews:9080/api/x", [("end-user", "jason")])
    assert (found.service, found.virtual_service) == ("reviews.default.svc.cluster.local", "default/reviews")
    line = MESH.splitlines().index("  - name: jason") + 1
    rule = found.rule
    assert (rule.path, rule.name, rule.file, rule.line) == ("spec.http[0]", "jason", "mesh.yaml", line)
    (destination,) = found.destinations
    assert destination.cluster == "outbound|9080|v2|reviews.default.svc.cluster.local"
    assert (destination.host, destination.port, destination.subset, destination.weight) == (
        "reviews.default.svc.cluster.local",
        9080,
        "v2",
        100,
    )
    assert [(endpoint.address, endpoint.health) for endpoint in destination.endpoints] == [("10.1.0.2", "ready")]
    assert found.rewrite == {"path": "/v2/x"} and found.timeout == "1.5s"
    assert found.headers == {"request": {"set": {"x-who": "jason"}}}
    assert found.mode == "proxy" and "VirtualService default/reviews" in found.mode_reason


def test_policies_of_a_rule(views):
    found = ask(views, "http://reviews:9080/split")
    assert [destination.weight for destination in found.destinations] == [90, 10]
    assert found.fault == {
        "delay": {"fixedDelay": "3s", "percentage": 5.0},
        "abort": {"httpStatus": 555, "percentage": 20.0},
    }
    assert found.retries == {"attempts": 3, "retryOn": "5xx,retriable-status-codes,409", "perTryTimeout": "0.5s"}
    assert found.mirrors == ({"cluster": "outbound|9080|v1|reviews.default.svc.cluster.local", "percentage": 100.0},)


def test_every_clause_is_shown_with_what_was_seen_and_where_it_stands(views):
    found = ask(views, "http://reviews:9080/old", [("End-User", "eve")])
    lines = MESH.splitlines()
    uri, header, old = (lines.index(line) + 1 for line in (URI, HEADER, OLD))
    told = {(step.text, step.held, step.line) for step in found.steps}
    assert ("uri prefix '/api': saw '/old'", False, uri) in told
    assert ("headers[end-user] exact 'jason': saw 'eve'", False, header) in told
    assert ("uri exact '/old': saw '/old'", True, old) in told
    assert not any("teapot" in step.text for step in found.steps)  # behind the one that matched
    assert found.location == "http://reviews:9080/new"


def test_the_host_header_stands_for_the_url(views):
    assert ask(views, "http://10.96.0.10:9080/teapot", [("Host", "reviews")]).outcome == "direct_response"
    assert ask(views, "http://reviews:9080/teapot", [("Host", "elsewhere.com")]).outcome == "passthrough"


def test_tls_goes_by_the_server_name(views):
    found = ask(views, "tls://10.96.0.12:443", sni="vault")
    assert [destination.cluster for destination in found.destinations] == [
        "outbound|9080||reviews.default.svc.cluster.local"
    ]
    assert any("sniHosts vault: saw 'vault'" in step.text and step.held for step in found.steps)


def test_json_and_text(views):
    found = ask(views, "http://reviews:9080/nowhere")
    plain = msgspec.json.decode(msgspec.json.encode(found))
    assert {"outcome", "reason", "mode", "service", "virtualService", "rule", "status", "location", "destinations",
            "rewrite", "headers", "timeout", "retries", "fault", "steps"} <= plain.keys()  # fmt: skip
    assert plain["reason"] == "cluster_not_found"
    text = render_text(found)
    assert f"✗ uri exact '/old': saw '/nowhere'  (mesh.yaml:{MESH.splitlines().index(OLD) + 1})" in text
    assert "=> unknown_destination 503 (cluster_not_found)" in text
    assert "outbound|9080||gone.default.svc.cluster.local  (no such service, port or subset)" in text


@pytest.mark.parametrize(
    "url", ["ftp://x/", "tcp://x", "http:///path", "http://x:99999/", "http://[::1/", "http://a b/"]
)
def test_a_url_that_says_too_little_is_refused(url):
    with pytest.raises(QuestionError):
        question_of("GET", url)


@pytest.mark.parametrize("method", ["", "GET /", "GÉT"])
def test_what_is_no_method_is_refused(method):
    with pytest.raises(QuestionError, match="no method"):
        question_of(method, "http://x/")


def test_who_asks(views):
    client = client_for(views.tables, "default/reviews-v1")
    assert (client.name, client.labels["version"]) == ("reviews-v1", "v1")
    assert client_for(views.tables, "prod").namespace == client_for(views.tables, "prod/").namespace == "prod"
    assert client_for(views.tables, "/reviews-v1").namespace == "default"
    with pytest.raises(QuestionError):
        client_for(views.tables, "default/nobody")


def test_a_gateway_workload_is_found_by_its_labels(views):
    client = client_for(views.tables, "", gateway_labels={"istio": "ingress"})
    assert (client.namespace, client.gateway) == ("default", True)
    text = MESH + GATEWAY_POD
    tables = compile_tables(Store().apply("test", load_text(text, "mesh.yaml").objects))
    assert client_for(tables, "default", gateway_labels={"istio": "ingress"}).namespace == "edge"
    assert client_for(tables, "prod", gateway_labels={"istio": "ingress"}).namespace == "prod"


def test_what_a_pods_annotations_leave_out_passes():
    annotations = "traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.96.0.10/32"
    text = MESH.replace("{name: reviews-v1, ", f"{{name: reviews-v1, annotations: {{{annotations}}}, ")
    views = Views(compile_tables(Store().apply("test", load_text(text, "mesh.yaml").objects)))

    def answer(url, who="default/reviews-v1"):
        return explain(views, client_for(views.tables, who), "GET", url)

    for url in ("http://reviews:9080/teapot", "http://10.96.0.10:9080/teapot", "tcp://reviews:9080"):
        found = answer(url)
        assert (found.outcome, found.reason, found.mode) == ("passthrough", "pass_excluded", "pass")
        assert found.mode_reason.endswith("excludeOutboundIPRanges has 10.96.0.10/32")
        assert found.service == "reviews.default.svc.cluster.local"
    assert answer("http://reviews:9080/teapot", "default/reviews-v2").outcome == "direct_response"
    assert answer("http://empty/").outcome == "no_endpoints"


CAPTURE = """---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {dnsCapture: true}
"""


def test_what_a_name_stands_for_in_the_dns_is_told_where_the_mesh_answers(views):
    capturing = Views(compile_tables(Store().apply("test", load_text(MESH + CAPTURE, "mesh.yaml").objects)))
    texts = [step.text for step in ask(capturing, "http://reviews:9080/").steps]
    assert "where the mesh answers DNS, reviews stands for 10.96.0.10" in texts
    for known, url in ((capturing, "http://10.96.0.10:9080/"), (views, "http://reviews:9080/")):
        assert not any("DNS" in step.text for step in ask(known, url).steps)
