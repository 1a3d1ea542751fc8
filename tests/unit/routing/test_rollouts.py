"""Canaries see a change, all others what was before: by the very same views that serve everybody."""

import msgspec
import pytest
from tests.meshes import bookinfo, make

from nodemesh.registry.snapshot import Snapshot, StagedObject
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import Route
from nodemesh.routing.explain import explain
from nodemesh.routing.request import Request
from nodemesh.routing.rollouts import cohort_of, is_canary, share_of, variant
from nodemesh.routing.tables import StagedRollout
from nodemesh.routing.views import Views
from nodemesh.routing.wire import apply_update, encode_update

HOST = "reviews.default.svc.cluster.local"


def to(subset):
    return {"route": [{"destination": {"host": "reviews", "subset": subset}}]}


def rule(subset, hosts=("reviews",), **match):
    http = [{**to(subset), **match}]
    return make("VirtualService", "r", {"hosts": list(hosts), "http": http})


def subsets(*names, **policy):
    listed = [{"name": name, "labels": {"version": name}} for name in names]
    return make("DestinationRule", "r", {"host": "reviews", "subsets": listed, **policy})


def snapshot(*staged, objects=()) -> Snapshot:
    store = Store()
    store.apply("files", [*bookinfo(), subsets("v1", "v2"), rule("v1"), *objects])

    return msgspec.structs.replace(store.snapshot, rollouts={each.id: each for each in staged})


def staged(item, name="one", **canaries):
    kind = {"VirtualService": "virtual_service", "DestinationRule": "destination_rule"}[item.kind]
    canaries = {"clients": 0.0, "key": item.meta.key, **canaries}
    return StagedObject(id=name, kind=item.kind, **canaries, **{kind: item})


def removed(kind, key, name="one", **canaries):
    return StagedObject(id=name, kind=kind, key=key, clients=0.0, **canaries)


def client(name, node="", **more):
    return Client(namespace="default", name=name, node=node, **more)


def subset_for(views, who, authority=b"reviews"):
    view = views.for_client(who)
    decision = view.http(view.frontend_for_host(HOST, 9080), Request(b"GET", b"http", authority, b"/", b"", {}))
    return decision.destinations[0].cluster.subset if isinstance(decision, Route) else decision.reason.name


def test_the_canaries_of_a_node_see_the_change_and_nobody_else():
    views = Views(compile_tables(snapshot(staged(rule("v2"), nodes=frozenset({"a"})))))
    assert subset_for(views, client("x", "a")) == "v2" and subset_for(views, client("x", "b")) == "v1"
    assert views.for_client(client("x", "b")) is views.for_client(client("y", "c")), "all others share a view"
    assert views.for_client(client("x", "a")) is views.for_client(client("y", "a")), "and so do canaries"


def test_a_share_of_the_clients_is_chosen_by_their_names_and_grows():
    rollout = StagedRollout(id="1", kind="VirtualService", key="default/r", clients=10.0)
    pods = [client(f"pod-{number}") for number in range(2000)]
    chosen = {pod.name for pod in pods if is_canary(rollout, pod)}
    assert 140 < len(chosen) < 260
    wider = StagedRollout(id="2", kind="VirtualService", key="default/r", clients=30.0)
    assert chosen < {pod.name for pod in pods if is_canary(wider, pod)}, "who has it keeps it as the share grows"
    other = StagedRollout(id="3", kind="DestinationRule", key="default/other", clients=10.0)
    assert chosen == {pod.name for pod in pods if is_canary(other, pod)}, "what belongs together comes together"
    elsewhere = StagedRollout(id="3", kind="VirtualService", key="shop/r", clients=10.0)
    assert chosen != {pod.name for pod in pods if is_canary(elsewhere, pod)}, "not always the same pods suffer"
    assert all(is_canary(StagedRollout(id="4", kind="", key="", clients=100.0), pod) for pod in pods)
    assert share_of(rollout, pods[0]) == share_of(rollout, client("pod-0", node="elsewhere"))


@pytest.mark.parametrize("who", [client(""), client("", "a"), client("gateway", "b", gateway=True)])
def test_who_has_no_name_is_no_canary_nor_is_a_gateway_by_its_name(who):
    rollout = StagedRollout(id="1", kind="VirtualService", key="default/r", clients=100.0, nodes=frozenset({"a"}))
    assert cohort_of((rollout,), who) == ()


def test_a_gateway_is_a_canary_by_its_node():
    gateway = make("Gateway", "edge", {
        "selector": {"app": "edge"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
    })  # fmt: skip
    old, new = (
        make("VirtualService", "r", {"hosts": ["shop.example"], "gateways": ["edge"], "http": [to(name)]})
        for name in ("v1", "v2")
    )
    views = Views(compile_tables(snapshot(staged(new, nodes=frozenset({"a"})), objects=[gateway, old])))
    found = {}
    for node in "ab":
        view = views.for_client(client("edge-1", node, gateway=True, labels={"app": "edge"}))
        decision = view.http_gateway(80, Request(b"GET", b"http", b"shop.example", b"/", b"", {}), "")
        found[node] = decision.destinations[0].cluster.subset
    assert found == {"a": "v2", "b": "v1"}


def test_an_object_that_is_new_is_the_canaries_alone():
    made = make("VirtualService", "new", {"hosts": ["ratings"], "http": [to("v1")]})
    views = Views(compile_tables(snapshot(staged(made, nodes=frozenset({"a"})))))
    assert views.tables.rollouts[0].hosts == ("ratings.default.svc.cluster.local",)
    tables = {node: views.for_client(client("x", node)).tables for node in "ab"}
    assert "default/new" in tables["a"].virtual_services and "default/new" not in tables["b"].virtual_services
    assert not views.tables.virtual_hosts.get("ratings.default.svc.cluster.local")


@pytest.mark.parametrize("kind", ["VirtualService", "DestinationRule"])
def test_an_object_that_is_removed_is_gone_for_canaries_alone(kind):
    views = Views(compile_tables(snapshot(removed(kind, "default/r", nodes=frozenset({"a"})))))
    seen = {}
    for node in "ab":
        tables = views.for_client(client("x", node)).tables
        rules = [name for rule in tables.destination_rules[HOST] for name, _ in rule.sources]
        seen[node] = "default/r" in (tables.virtual_services if kind == "VirtualService" else rules)
    assert seen == {"a": False, "b": True} and subset_for(views, client("x", "b")) == "v1"
    assert views.tables.rollouts[0].hosts == (HOST,)


def test_a_change_of_a_destination_rule():
    changed = staged(
        subsets("v1", trafficPolicy={"connectionPool": {"tcp": {"maxConnections": 7}}}), nodes=frozenset({"a"})
    )
    views = Views(compile_tables(snapshot(changed)))
    rules = {node: views.for_client(client("x", node)).tables.destination_rules[HOST][0] for node in "ab"}
    assert (rules["a"].policy is not None, rules["b"].policy) == (True, None)


def test_other_hosts_and_a_rule_that_leaves_a_host():
    views = Views(compile_tables(snapshot(staged(rule("v2", ("ratings", "*.example.com")), nodes=frozenset({"a"})))))
    assert subset_for(views, client("x", "a")) == "", "the canary's rule is for others: a plain service"
    assert subset_for(views, client("x", "b")) == "v1"
    tables = views.for_client(client("x", "a")).tables
    assert tables.wildcard_virtual_hosts == ("*.example.com",) and not views.tables.wildcard_virtual_hosts
    assert views.tables.rollouts[0].hosts == ("*.example.com", "ratings.default.svc.cluster.local", HOST)


def test_labels_that_only_the_change_reads_tell_clients_apart():
    views = Views(
        compile_tables(snapshot(staged(rule("v2", match=[{"sourceLabels": {"app": "a"}}]), nodes=frozenset({"n"}))))
    )
    assert subset_for(views, client("x", "n", labels={"app": "a"})) == "v2"
    assert subset_for(views, client("x", "n", labels={"app": "b"})) == "", "no rule of its own"


def test_explain_says_who_is_a_canary():
    views = Views(compile_tables(snapshot(staged(rule("v2"), nodes=frozenset({"a"})))))
    for node, names, subset in (("a", True, "v2"), ("b", False, "v1")):
        answer = explain(views, client("x", node), "GET", "http://reviews:9080/")
        assert answer.destinations[0].subset == subset
        told = [step.text for step in answer.steps if "canary" in step.text]
        assert told == ["default/x is a canary: it has the change of VirtualService default/r"] * names


def test_a_delegates_change_is_its_roots():
    root = make("VirtualService", "root", {"hosts": ["ratings"], "http": [{"delegate": {"name": "d"}}]})
    old, new = (make("VirtualService", "d", {"http": [to(name)]}) for name in ("v1", "v2"))
    tables = compile_tables(snapshot(staged(new, nodes=frozenset({"a"})), objects=[root, old]))
    assert list(tables.rollouts[0].virtual_services) == ["default/root"]


def test_several_at_a_time():
    one = staged(rule("v2"), "one", nodes=frozenset({"a", "b"}))
    two = staged(subsets("v1", "v2", trafficPolicy={"outlierDetection": {}}), "two", nodes=frozenset({"b", "c"}))
    views = Views(compile_tables(snapshot(one, two)))
    seen = {}
    for node in "abcd":
        tables = views.for_client(client("x", node)).tables
        seen[node] = (subset_for(views, client("x", node)), tables.destination_rules[HOST][0].policy is not None)
    assert seen == {"a": ("v2", False), "b": ("v2", True), "c": ("v1", True), "d": ("v1", False)}


def test_it_travels_to_workers_and_ends_there():
    before = compile_tables(snapshot())
    on = compile_tables(snapshot(staged(rule("v2"), nodes=frozenset({"a"}))), before)
    worker = apply_update(apply_update(None, encode_update(None, before)), encode_update(before, on))
    assert subset_for(Views(worker), client("x", "a")) == "v2"
    off = compile_tables(snapshot(), on)
    worker = apply_update(worker, encode_update(on, off))
    assert worker.rollouts == () and subset_for(Views(worker), client("x", "a")) == "v1"


def test_views_follow_as_a_rollout_goes_on():
    plain, begun = snapshot(), snapshot(staged(rule("v2"), nodes=frozenset({"a"})))
    tables = compile_tables(plain)
    views = Views(tables)
    assert subset_for(views, client("x", "a")) == "v1"
    other = views.for_client(client("x", "b"))
    tables = compile_tables(begun, tables)
    views = Views(tables, views)
    assert subset_for(views, client("x", "a")) == "v2" and other is not views.for_client(client("x", "b"))
    again = compile_tables(begun, tables)
    assert again.rollouts is tables.rollouts
    views = Views(again, views)
    assert subset_for(views, client("x", "a")) == "v2"
    views = Views(compile_tables(plain, again), views)
    assert subset_for(views, client("x", "a")) == "v1"


def test_a_variant_of_no_rollout_is_the_tables():
    tables = compile_tables(snapshot(staged(rule("v2"), clients=100.0)))
    same = variant(tables, ())
    assert (same.virtual_hosts, same.destination_rules) == (tables.virtual_hosts, tables.destination_rules)
