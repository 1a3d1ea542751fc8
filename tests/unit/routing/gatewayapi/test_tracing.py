"""`explain` and `lint` for routes: what decided, which rule was next, and what does not attach."""

import msgspec
import pytest
from tests.routes import BASE, SERVED, gateway, made, mesh_route, route, snapshot_of

from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.explain import explain
from nodemesh.routing.lint import lint
from nodemesh.routing.views import Views

HTTP = "{name: web, port: 80, protocol: HTTP}"
LABELS = {"gateway.networking.k8s.io/gateway-name": "edge"}
RULES = """- name: in
  matches: [{path: {value: /in}, headers: [{name: x-a, value: b}]}]
  backendRefs: [{name: cart, port: 80}, {name: none, port: 80}]
- name: away
  matches: [{path: {value: /away}}]
  filters: [{type: RequestRedirect, requestRedirect: {hostname: moved.example}}]
"""


def asked(text, url, headers=(), **client):
    views = Views(compile_tables(snapshot_of(SERVED + text)), None)
    return explain(views, Client(**{"namespace": "shop", **client}), "GET", url, headers)


def steps(answer):
    return [(step.text, step.held) for step in answer.steps]


def test_a_mesh_route_is_named_with_its_rule_and_place():
    answer = asked(mesh_route("r", RULES), "http://cart:80/in/x", [("x-a", "b")])
    assert (answer.outcome, answer.route, answer.virtual_service) == ("route", "HTTPRoute shop/r", None)
    assert (answer.rule.path, answer.rule.name) == ("spec.rules[0]", "in") and answer.rule.line
    told = steps(answer)
    assert ("HTTPRoute shop/r routes cart.shop.svc.cluster.local", True) in told
    assert ("path path prefix '/in': saw '/in/x'", True) in told
    assert ("backend Service none answers 500 for its share: BackendNotFound", False) in told
    assert answer.mode == "proxy" and "HTTPRoute shop/r" in answer.mode_reason


def test_what_no_rule_takes_and_what_a_rule_sends_away():
    answer = asked(mesh_route("r", RULES), "http://cart:80/other")
    assert (answer.outcome, answer.status, answer.route) == ("no_rule", 404, "HTTPRoute shop/r")
    assert ("no rule of the routes matches, and there is no way past them", False) in steps(answer)
    answer = asked(mesh_route("r", RULES), "http://cart:80/away")
    assert (answer.outcome, answer.location) == ("redirect", "http://moved.example/away")


def test_of_both_apis_it_is_told_which_counts_and_why():
    rule = made(
        "VirtualService", "v", "hosts: [cart]\nhttp: [{route: [{destination: {host: cart}}]}]",
        api="networking.istio.io/v1",
    ).replace(", generation: 3", "")  # fmt: skip
    answer = asked(mesh_route("r", RULES) + rule, "http://cart:80/away")
    text = "VirtualService shop/v covers cart.shop.svc.cluster.local too, but routes of the Gateway API come before it"
    assert (text, False) in steps(answer)
    answer = asked(mesh_route("r", RULES, "{group: '', kind: Service, name: cart, port: 81}") + rule, "http://cart:80/")
    assert answer.virtual_service == "shop/v" and answer.route is None


def test_a_gateway_s_route_is_named():
    labels = {"gateway.networking.k8s.io/gateway-name": "edge"}
    answer = asked(gateway(HTTP) + route("r", RULES), "http://any.example/away", gateway=True, labels=labels)
    assert (answer.outcome, answer.route) == ("redirect", "HTTPRoute shop/r")
    broken = "- backendRefs: [{name: none, port: 80}]"
    answer = asked(gateway(HTTP) + route("r", broken), "http://any.example/", gateway=True, labels=labels)
    assert (answer.outcome, answer.status, answer.reason) == ("no_backend", 500, "invalid_backend")
    assert msgspec.json.decode(msgspec.json.encode(answer))["virtualService"] is None


GOOD = "- backendRefs: [{name: cart, port: 80}]"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (gateway(HTTP) + route("r", GOOD), set()),
        (route("r", GOOD), {("unknown-parent", "spec.parentRefs[0].name")}),
        (gateway(HTTP) + route("r", GOOD, parents="[{name: edge, sectionName: none}]"),
         {("route-not-accepted", "spec.parentRefs[0]")}),
        (gateway(HTTP) + route("r", "- backendRefs: [{name: none, port: 80}]"), {("route-unresolved", "spec.rules")}),
        (gateway("{name: web, port: 80, protocol: a.example/b}"), {("listener-not-served", "spec.listeners[0]")}),
        (gateway("{name: web, port: 53, protocol: UDP}") + route("r", GOOD, kind="UDPRoute"),
         {("route-unresolved", "spec.rules")}),
        (mesh_route("r", GOOD, kind="UDPRoute"),
         {("route-not-accepted", "spec.parentRefs[0]"), ("route-unresolved", "spec.rules")}),
        (gateway(HTTP).replace("nodemesh", "none"), {("unknown-class", "spec.gatewayClassName")}),
        (mesh_route("r", GOOD, "{group: '', kind: Service, name: bare}"),
         {("route-not-accepted", "spec.parentRefs[0]")}),
    ],
)  # fmt: skip
def test_lint_tells_what_does_not_attach(text, found):
    problems = [problem for problem in lint(snapshot_of(BASE + text)) if problem.severity != "info"]
    assert {(problem.code, problem.path) for problem in problems} == found
    assert all(problem.location.line and problem.message for problem in problems)


def test_lint_tells_of_a_virtual_service_that_a_route_displaces():
    rule = made(
        "VirtualService", "v", "hosts: [cart]\nhttp: [{route: [{destination: {host: cart, port: {number: 80}}}]}]",
        api="networking.istio.io/v1",
    ).replace(", generation: 3", "")  # fmt: skip
    (problem,) = [one for one in lint(snapshot_of(BASE + mesh_route("r", GOOD) + rule)) if one.severity != "info"]
    assert (problem.code, problem.name) == ("displaced-by-route", "v") and "HTTPRoute shop/r" in problem.message


def test_explain_names_the_service_that_is_asked_whether_a_request_may_pass():
    auth = "{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: NAME, port: 80}, http: {}}}"
    for name, why in (("stock", ""), ("none", "BackendNotFound")):
        rules = f"- filters: [{auth.replace('NAME', name)}]\n  backendRefs: [{{name: cart, port: 80}}]\n"
        views = Views(compile_tables(snapshot_of(SERVED + mesh_route("r", rules))))
        told = explain(views, Client(namespace="shop"), "GET", "http://cart.shop/")
        (step,) = [step for step in told.steps if "is asked whether it may pass" in step.text]
        assert step.text.startswith(f"Service {name} is asked") and step.text.endswith(why)
        assert (told.status == 500) is bool(why)


def test_a_listener_is_found_by_the_request_s_host():
    text = gateway("{name: web, port: 80, protocol: HTTP, hostname: '*.example'}") + route("r", GOOD)
    answer = asked(text, "http://a.example/", labels=LABELS, gateway=True)
    assert (answer.outcome, answer.route) == ("route", "HTTPRoute shop/r")
    assert ("port 80 is a server of Gateway shop/edge for *.example", True) in steps(answer)
    other = asked(text, "http://a.org/", labels=LABELS, gateway=True)
    assert (other.outcome, other.status) == ("no_host", 404)
    assert steps(other) == [("no server on port 80 has the name a.org", False)]


ISTIO_GATEWAY = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: old, namespace: shop}
spec:
  selector: {gateway.networking.k8s.io/gateway-name: edge}
  servers:
  - {port: {number: 81, name: other, protocol: HTTP}, hosts: [a.example]}
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example]}
"""


def test_of_both_apis_at_a_gateway_s_port_it_is_told_which_comes_first():
    text = gateway(HTTP) + route("r", GOOD) + ISTIO_GATEWAY
    answer = asked(text, "http://a.example/", labels=LABELS, gateway=True)
    told = "Gateway shop/old of networking.istio.io has a server there too, but the Gateway API comes before it"
    assert answer.route == "HTTPRoute shop/r" and (told, False) in steps(answer)
    found = [problem for problem in lint(snapshot_of(BASE + text)) if problem.code == "displaced-by-listener"]
    assert [(problem.path, problem.name) for problem in found] == [("spec.servers[1].port", "old")]
    assert "Gateway shop/edge of gateway.networking.k8s.io listens on port 80" in found[0].message


UDP = """---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec: {clusterIP: 10.96.0.9, ports: [{port: 53, protocol: UDP}]}
""" + gateway("{name: udp, port: 53, protocol: UDP}", HTTP)


def test_datagrams_are_explained_at_a_gateway_and_left_alone_between_pods():
    text = UDP + route("u", "- backendRefs: [{name: dns, port: 53}]", kind="UDPRoute")
    answer = asked(text, "udp://edge:53", labels=LABELS, gateway=True)
    assert (answer.outcome, answer.route, answer.status) == ("no_endpoints", "UDPRoute shop/u", None)
    assert [one.cluster for one in answer.destinations] == ["outbound|53||dns.shop.svc.cluster.local"]
    assert asked(text, "tcp://edge:53", labels=LABELS, gateway=True).outcome == "no_listener"
    assert asked(text, "udp://edge:80", labels=LABELS, gateway=True).outcome == "no_listener"
    assert asked(UDP, "udp://edge:53", labels=LABELS, gateway=True).outcome == "no_rule"
    between = asked(text, "udp://dns:53")
    assert (between.mode, between.mode_reason) == ("pass", "UDP is left alone")
