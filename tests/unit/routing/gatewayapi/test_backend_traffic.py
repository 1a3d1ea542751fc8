"""XBackendTrafficPolicies: which one counts for a Service, what it comes to, and what is said of each."""

import pytest
from msgspec.structs import replace
from tests.routes import BASE, SERVED, gateway, made, mesh_route, route, snapshot_of
from tests.unit.routing.gatewayapi.attached import HTTP, TO_CART, said

from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.explain import explain
from nodemesh.routing.frontend import Mode
from nodemesh.routing.gatewayapi.attach import attach
from nodemesh.routing.lint import lint
from nodemesh.routing.views import Views
from nodemesh.routing.wire import apply_update, encode_update

API = "gateway.networking.x-k8s.io/v1alpha1"
HOST = "cart.shop.svc.cluster.local"
CART = "{group: '', kind: Service, name: cart}"
STOCK = "{group: '', kind: Service, name: stock}"
CLIENT = Client(namespace="shop")


def traffic_policy(name, *targets, spec="retryConstraint: {}", **meta):
    text = f"targetRefs: [{', '.join(targets or (CART,))}]\n{spec}"
    return made("XBackendTrafficPolicy", name, text, api=API, **meta)


def attached_with(*policies):
    return attach(snapshot_of(BASE + gateway(HTTP) + route("r", TO_CART) + "".join(policies)))


def verdicts(attached, name):
    found = attached.traffic_policies[f"shop/{name}"]
    return [(one.kind, one.name, one.controller, *said(one.conditions)) for one in found]


def cluster_of(text, host="cart.shop"):
    view = Views(compile_tables(snapshot_of(SERVED + text))).for_client(CLIENT)
    frontend = view.frontend_for_host(host, 80)
    assert frontend.service is not None
    return frontend, view._sight.builder().cluster(frontend.service, 80, "")


def test_it_is_told_to_its_service_and_to_the_gateways_that_lead_there():
    attached = attached_with(traffic_policy("p"))
    assert verdicts(attached, "p") == [
        ("Service", "shop/cart", "nodemesh.io/mesh-controller", True, "Accepted"),
        ("Gateway", "shop/edge", "nodemesh.io/gateway-controller", True, "Accepted"),
    ]


def test_the_oldest_policy_of_a_service_counts_and_counts_whole():
    old = traffic_policy("old", spec="sessionPersistence: {cookie: {name: s}}", created=1)
    young = traffic_policy("young", CART, STOCK, created=2)
    attached = attached_with(young, old)
    assert attached.backend_traffic[HOST].owner.name == "old"
    assert attached.backend_traffic[HOST].retry_budget is None
    assert attached.backend_traffic["stock.shop.svc.cluster.local"].owner.name == "young"
    assert [(name, *verdict) for _, name, _, *verdict in verdicts(attached, "young")] == [
        ("shop/cart", False, "Conflicted"),
        ("shop/stock", True, "Accepted"),
        ("shop/edge", False, "Conflicted"),
    ]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("{group: '', kind: Service, name: none}", "TargetNotFound"),
        ("{group: '', kind: ConfigMap, name: cart}", "Invalid"),
        ("{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}", "Invalid"),
    ],
)
def test_a_target_that_is_none_is_told_by_status_and_lint(target, reason):
    text = BASE + traffic_policy("p", target)
    snapshot = snapshot_of(text)
    (verdict,) = attach(snapshot).traffic_verdicts["shop/p"]
    assert said((verdict,)) == (False, reason)
    (problem,) = [one for one in lint(snapshot) if one.code == "policy-not-accepted"]
    assert (problem.kind, problem.name, problem.path) == ("XBackendTrafficPolicy", "p", "spec.targetRefs[0]")
    assert f"({reason})" in problem.message
    assert "targetRefs" in text.splitlines()[problem.location.line - 1]


@pytest.mark.parametrize(
    ("spec", "percent", "least", "interval"),
    [
        ("retryConstraint: {}", 20.0, 100, 10.0),
        (
            "retryConstraint: {budget: {percent: 5, interval: 1m}, minRetryRate: {count: 3, interval: 30s}}",
            5.0,
            6,
            60.0,
        ),
        ("retryConstraint: {budget: {percent: 0}, minRetryRate: {count: 1, interval: 1m}}", 0.0, 0, 10.0),
    ],
)
def test_the_budget_counts_retries_that_begin_and_the_least_rate_is_of_its_interval(spec, percent, least, interval):
    _, cluster = cluster_of(traffic_policy("p", spec=spec))
    budget = cluster.retry_budget
    assert (budget.percent, budget.min_concurrency, budget.interval, budget.begun) == (percent, least, interval, True)


def test_a_destination_rule_s_own_budget_comes_first():
    rule = made(
        "DestinationRule",
        "d",
        f"host: {HOST}\ntrafficPolicy: {{retryBudget: {{percent: 7}}}}",
        api="networking.istio.io/v1",
    )
    _, cluster = cluster_of(rule + traffic_policy("p"))
    assert (cluster.retry_budget.percent, cluster.retry_budget.begun) == (7.0, False)


def test_a_service_with_a_policy_takes_the_proxy_on_ports_that_may_speak_http():
    frontend, _ = cluster_of("")
    assert frontend.mode is Mode.KERNEL
    for spec, need in (
        ("retryConstraint: {}", "a retry budget"),
        ("sessionPersistence: {cookie: {name: s}}", "session"),
    ):
        frontend, _ = cluster_of(traffic_policy("p", spec=spec))
        assert frontend.mode is Mode.PROXY
        assert f"XBackendTrafficPolicy shop/p asks for {need}" in frontend.mode_reason


def test_workers_get_it_with_the_tables():
    tables = compile_tables(snapshot_of(SERVED + traffic_policy("p")))
    there = apply_update(None, encode_update(None, tables))
    assert there.backend_traffic == tables.backend_traffic
    without = replace(compile_tables(snapshot_of(SERVED)), version=tables.version + 1)
    assert apply_update(there, encode_update(tables, without)).backend_traffic == {}


def test_a_view_follows_a_policy_that_comes_and_goes():
    views = Views(compile_tables(snapshot_of(SERVED)))
    for text, mode in (("", Mode.KERNEL), (traffic_policy("p"), Mode.PROXY), ("", Mode.KERNEL)):
        views = Views(compile_tables(snapshot_of(SERVED + text), views.tables), views)
        assert views.for_client(CLIENT).frontend("10.96.0.1", 80).mode is mode


def test_explain_tells_of_the_budget_and_of_sessions():
    spec = "retryConstraint: {}\nsessionPersistence: {cookie: {name: s}}"
    own = mesh_route("r", "- backendRefs: [{name: cart, port: 80}]\n  sessionPersistence: {cookie: {name: own}}\n")
    for more, held in (("", True), (own, False)):
        views = Views(compile_tables(snapshot_of(SERVED + traffic_policy("p", spec=spec) + more)))
        steps = explain(views, CLIENT, "GET", "http://cart.shop/").steps
        budget, session = (step for step in steps if step.text.startswith("XBackendTrafficPolicy shop/p"))
        assert "at most 20 % are retries, but always 100" in budget.text and budget.held
        assert "by the cookie s" in session.text and session.held is held
