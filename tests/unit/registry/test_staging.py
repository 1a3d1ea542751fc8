"""Which version of an object is in force while its change is rolled out, node by node the same."""

import msgspec
import pytest
from tests.meshes import service

from nodemesh.config.load import load_object
from nodemesh.config.reach import WITHHELD
from nodemesh.config.rollout import ROLLOUT
from nodemesh.config.written import as_written
from nodemesh.registry.assemble import ObjectKey, key_of
from nodemesh.registry.staging import STATE, RolloutEntry, RolloutPhase, digest_of, read_entries
from nodemesh.registry.store import CLUSTER, FILES, Store

KEY = ObjectKey("VirtualService", "shop", "reviews", "networking.istio.io")
PLAN = "{clients: 50}"


def rule(subset, annotation=PLAN, kind="VirtualService"):
    destination = {"host": "reviews", "subset": subset}
    spec = {"hosts": ["reviews"], "http": [{"route": [{"destination": destination}]}]}
    if kind == "DestinationRule":
        spec = {"host": "reviews", "subsets": [{"name": subset, "labels": {"version": subset}}]}
    return load_object(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": kind,
            "metadata": {
                "name": "reviews",
                "namespace": "shop",
                "annotations": {ROLLOUT: annotation} if annotation else {},
            },
            "spec": spec,
        },
        "cluster",
    ).objects[0]


def entry(item, phase, stable=None, plan=None):
    return RolloutEntry(
        kind=item.kind,
        namespace="shop",
        name="reviews",
        digest=digest_of(item),
        phase=phase,
        since=5.0,
        stable=as_written(stable.spec) if stable is not None else None,
        plan=plan if plan is not None else {"clients": 50},
        why="because",
    )


def state(*entries):
    data = {f"k{number}": msgspec.json.encode(each).decode() for number, each in enumerate(entries)}
    return load_object(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": STATE.name, "namespace": STATE.namespace},
            "data": data,
        },
        "cluster",
    ).objects[0]


def subset(snapshot):
    return snapshot.virtual_services["shop/reviews"].spec.http[0].route[0].destination.subset


def codes(snapshot):
    return [problem.code for problem in snapshot.problems]


def test_a_change_waits_for_the_leader_and_its_causes_are_said():
    store = Store()
    store.apply(CLUSTER, [rule("v1")])
    snapshot = store.apply(CLUSTER, [rule("v2")])
    assert (subset(snapshot), codes(snapshot), dict(snapshot.rollouts)) == ("v1", ["rollout-waiting"], {})
    assert store.staging.planned[KEY].digest == digest_of(rule("v2"))
    snapshot = store.apply(CLUSTER, [state(entry(rule("v2"), RolloutPhase.CANARY, rule("v1")))])
    assert subset(snapshot) == "v1" and codes(snapshot) == ["rollout"]
    (staged,) = snapshot.rollouts.values()
    assert staged.item.spec == rule("v2").spec and (staged.clients, staged.since) == (50.0, 5.0)
    assert snapshot.causes == (f"{KEY}: its rollout",)
    snapshot = store.apply(CLUSTER, [state(entry(rule("v2"), RolloutPhase.COMPLETE))])
    assert (subset(snapshot), codes(snapshot), dict(snapshot.rollouts)) == ("v2", [], {})


def test_what_was_taken_back_stays_out_until_the_object_changes():
    store = Store()
    snapshot = store.apply(CLUSTER, [rule("v2"), state(entry(rule("v2"), RolloutPhase.BACK, rule("v1")))])
    assert (subset(snapshot), codes(snapshot)) == ("v1", ["rollout-back"]), "also after a restart, by the entry alone"
    snapshot = store.apply(CLUSTER, [rule("v3")])
    assert (subset(snapshot), codes(snapshot)) == ("v1", ["rollout-waiting"])
    snapshot = store.apply(CLUSTER, [rule("v1")])
    assert (subset(snapshot), codes(snapshot)) == ("v1", []), "reverted"


def test_taking_the_annotation_off_is_the_way_out():
    store = Store()
    store.apply(CLUSTER, [rule("v2"), state(entry(rule("v2"), RolloutPhase.BACK, rule("v1")))])
    for annotation in ("disabled", ""):
        snapshot = store.apply(CLUSTER, [rule("v2", annotation)])
        assert (subset(snapshot), codes(snapshot), store.staging.planned) == ("v2", [], {})


def test_an_entry_counts_only_while_its_object_asks_for_it():
    """Whoever could write entries without the object's word could keep others' changes out."""
    store = Store()
    store.apply(CLUSTER, [rule("v1", ""), state(entry(rule("v2"), RolloutPhase.CANARY, rule("v0")))])
    snapshot = store.apply(CLUSTER, [rule("v2", "")])
    assert subset(snapshot) == "v2" and not snapshot.rollouts


def test_a_new_object_and_one_that_has_not_changed_are_in_force_at_once():
    store = Store()
    assert subset(store.apply(CLUSTER, [rule("v1")])) == "v1"
    assert subset(store.apply(CLUSTER, [rule("v1", "enabled")])) == "v1"
    assert store.staging.planned[KEY].stable is None


def test_files_of_the_operator_are_in_force_at_once():
    store = Store()
    store.apply(FILES, [rule("v1")])
    assert subset(store.apply(FILES, [rule("v2")])) == "v2" and not store.staging.planned
    store.apply(CLUSTER, [rule("v3")])
    assert subset(store.snapshot) == "v2"


def test_an_object_that_is_gone_is_gone():
    store = Store()
    store.apply(CLUSTER, [rule("v2"), state(entry(rule("v2"), RolloutPhase.CANARY, rule("v1")))])
    snapshot = store.apply(CLUSTER, removed=[key_of(rule("v2"))])
    assert not snapshot.virtual_services and not snapshot.rollouts and not store.staging.planned and not codes(snapshot)


def test_canaries_by_nodes_follow_the_nodes_labels():
    def node(name, **labels):
        data = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        return load_object(data, "cluster").objects[0]

    store = Store()
    begun = entry(rule("v2"), RolloutPhase.CANARY, rule("v1"), {"nodes": {"tier": "canary"}})
    store.apply(CLUSTER, [node("a", tier="canary"), node("b"), rule("v2"), state(begun)])
    assert [staged.nodes for staged in store.snapshot.rollouts.values()] == [{"a"}] and store.staging.agents == 2
    store.apply(CLUSTER, [node("b", tier="canary")])
    assert [staged.nodes for staged in store.snapshot.rollouts.values()] == [{"a", "b"}]


def test_of_a_destination_rule_the_same():
    store = Store()
    old, new = (rule(name, kind="DestinationRule") for name in ("v1", "v2"))
    snapshot = store.apply(CLUSTER, [new, state(entry(new, RolloutPhase.CANARY, old))])
    assert [each.name for each in snapshot.destination_rules["shop/reviews"].spec.subsets] == ["v1"]
    (staged,) = snapshot.rollouts.values()
    assert staged.destination_rule is not None and staged.id == f"DestinationRule/shop/reviews@{digest_of(new)}"


@pytest.mark.parametrize("stable", [None, {"hosts": 5}])
def test_an_entry_that_has_lost_what_was_stable_keeps_nothing_out(stable):
    broken = msgspec.structs.replace(entry(rule("v2"), RolloutPhase.CANARY), stable=stable)
    assert subset(Store().apply(CLUSTER, [rule("v2"), state(broken)])) == "v2"


def test_what_cannot_be_read_of_the_state_counts_as_not_there():
    odd = state(entry(rule("v2"), RolloutPhase.BACK, rule("v1")))
    odd.spec.data.update({"a": "{", "b": "[]", "c": '{"kind": 5}'})
    assert list(read_entries(odd)) == [KEY] and read_entries(None) == {}
    store = Store()
    store.apply(CLUSTER, [rule("v1"), odd])
    store.apply(CLUSTER, removed=[STATE])
    assert not store.staging.entries


def test_what_is_in_force_outlives_the_loss_of_the_state():
    store = Store()
    store.apply(CLUSTER, [rule("v2"), state(entry(rule("v2"), RolloutPhase.CANARY, rule("v1")))])
    snapshot = store.apply(CLUSTER, removed=[STATE])
    assert (subset(snapshot), codes(snapshot)) == ("v1", ["rollout-waiting"])


def test_nothing_of_it_makes_versions_without_a_change():
    store = Store()
    first = store.apply(
        CLUSTER, [rule("v2"), service("web", "10.96.0.1"), state(entry(rule("v2"), RolloutPhase.CANARY, rule("v1")))]
    )
    again = store.apply(CLUSTER, [rule("v2"), state(entry(rule("v2"), RolloutPhase.CANARY, rule("v1")))])
    assert again is first
    later = store.apply(CLUSTER, [service("web", "10.96.0.2")])
    assert later.rollouts is first.rollouts and later.virtual_services is first.virtual_services


def test_what_the_state_keeps_reaches_no_further_than_the_object_itself():
    """A spec in the ConfigMap may not name what its object may not: here a file of the agent's."""
    old, new = (rule(name, kind="DestinationRule") for name in ("v1", "v2"))
    tls = {"mode": "SIMPLE", "caCertificates": "/etc/shadow"}
    kept = entry(new, RolloutPhase.BACK, old)
    kept = msgspec.structs.replace(kept, stable={"host": "reviews", "trafficPolicy": {"tls": tls}})
    snapshot = Store().apply(CLUSTER, [new, state(kept)])
    named = snapshot.destination_rules["shop/reviews"].spec.traffic_policy.tls.ca_certificates
    assert named.startswith(WITHHELD)
