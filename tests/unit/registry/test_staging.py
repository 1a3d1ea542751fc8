"""Which version of an object is in force while its change is rolled out, node by node the same."""

import msgspec
import pytest
from tests.meshes import service

from nodemesh.config.load import load_object
from nodemesh.config.reach import WITHHELD
from nodemesh.config.rollout import ROLLOUT
from nodemesh.config.written import as_written
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.staging import ABSENT, STATE, RolloutEntry, RolloutPhase, digest_of, read_entries
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


def entry(item, phase, stable=None, plan=None, **more):
    return RolloutEntry(
        kind=item.kind,
        namespace="shop",
        name="reviews",
        digest=more.pop("digest", "") or digest_of(item),
        phase=phase,
        since=5.0,
        stable=as_written(stable.spec) if stable is not None else None,
        plan=plan if plan is not None else {"clients": 50},
        why="because",
        **more,
    )


def removal(phase=RolloutPhase.CANARY, stable="v1", **more):
    return entry(rule("v1"), phase, rule(stable), digest=ABSENT, **more)


def namespace(name="shop"):
    return load_object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "cluster").objects[0]


def mesh(**spec):
    data = {"apiVersion": "nodemesh.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "mesh"}, "spec": spec}
    return load_object(data, "cluster").objects[0]


def known(*objects):
    """A registry that knows a cluster with these objects, each in force, with its entry."""
    store = Store()
    entries = [entry(item, RolloutPhase.COMPLETE) for item in objects]
    store.apply(CLUSTER, [namespace(), *objects, state(*entries)])
    return store


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


def test_an_object_that_comes_later_waits_and_reaches_canaries_first():
    store = known()
    snapshot = store.apply(CLUSTER, [rule("v2")])
    assert (dict(snapshot.virtual_services), codes(snapshot)) == ({}, ["rollout-waiting"])
    assert store.staging.planned[KEY].absent and not store.staging.planned[KEY].is_whole
    snapshot = store.apply(CLUSTER, [state(entry(rule("v2"), RolloutPhase.CANARY, absent=True))])
    (staged,) = snapshot.rollouts.values()
    assert staged.item.spec == rule("v2").spec and not snapshot.virtual_services and codes(snapshot) == ["rollout"]
    snapshot = store.apply(CLUSTER, [state(entry(rule("v2"), RolloutPhase.COMPLETE))])
    assert (subset(snapshot), codes(snapshot), dict(snapshot.rollouts)) == ("v2", [], {})


def test_a_new_object_that_was_taken_back_is_nobodys_until_its_author_changes_it():
    back = state(entry(rule("v2"), RolloutPhase.BACK, absent=True))
    fresh = Store()
    snapshot = fresh.apply(CLUSTER, [namespace(), rule("v2"), back])
    assert (dict(snapshot.virtual_services), codes(snapshot)) == ({}, ["rollout-back"]), "also on a node that started"
    (problem,) = snapshot.problems
    assert problem.message.startswith("the new object was taken back: because; nobody has it, until it is changed")
    snapshot = fresh.apply(CLUSTER, [rule("v3")])
    assert (dict(snapshot.virtual_services), codes(snapshot)) == ({}, ["rollout-waiting"]), "it is new as before"
    snapshot = fresh.apply(CLUSTER, removed=[KEY])
    assert not codes(snapshot) and not fresh.staging.planned, "who takes it away has what was before"
    store = known()
    store.apply(CLUSTER, [rule("v2"), back])
    assert subset(store.apply(CLUSTER, [rule("v2", "disabled")])) == "v2"


def test_a_new_object_stays_out_when_the_state_is_lost():
    store = known()
    store.apply(CLUSTER, [rule("v2"), state(entry(rule("v2"), RolloutPhase.CANARY, absent=True))])
    snapshot = store.apply(CLUSTER, removed=[STATE])
    assert (dict(snapshot.virtual_services), codes(snapshot)) == ({}, ["rollout-waiting"])


def test_an_object_without_the_annotation_comes_and_goes_at_once():
    store = known()
    assert subset(store.apply(CLUSTER, [rule("v1", "")])) == "v1"
    assert not store.apply(CLUSTER, removed=[KEY]).virtual_services


def test_a_namespaces_objects_that_are_revealed_are_not_new():
    """discoverySelectors: what stood in the cluster is in force, as before they were there."""
    shop = load_object(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"in": "yes"}}}, "cluster"
    ).objects[0]
    store = Store()
    store.apply(CLUSTER, [mesh(discoverySelectors=[{"matchLabels": {"in": "yes"}}]), namespace(), rule("v1")])
    assert not store.snapshot.virtual_services
    assert subset(store.apply(CLUSTER, [shop])) == "v1"


def test_an_object_that_is_removed_stays_until_its_rollout_is_done():
    store = known(rule("v1"))
    snapshot = store.apply(CLUSTER, removed=[KEY])
    assert (subset(snapshot), codes(snapshot), dict(snapshot.rollouts)) == ("v1", ["rollout-waiting"], {})
    assert (store.staging.planned[KEY].digest, store.staging.planned[KEY].stable.spec) == (ABSENT, rule("v1").spec)
    snapshot = store.apply(CLUSTER, [state(removal())])
    (staged,) = snapshot.rollouts.values()
    assert (staged.item, staged.key, staged.kind, staged.clients) == (None, "shop/reviews", "VirtualService", 50.0)
    assert subset(snapshot) == "v1" and codes(snapshot) == ["rollout"]
    snapshot = store.apply(CLUSTER, [state()])
    assert not snapshot.virtual_services and not snapshot.rollouts and not store.staging.planned
    assert not codes(snapshot) and snapshot.causes == (f"{KEY} removed",)


def test_a_removal_that_was_taken_back_leaves_what_was_in_force():
    store = known(rule("v1"))
    store.apply(CLUSTER, removed=[KEY])
    snapshot = store.apply(CLUSTER, [state(removal(RolloutPhase.BACK))])
    assert (subset(snapshot), codes(snapshot), dict(snapshot.rollouts)) == ("v1", ["rollout-back"], {})
    assert snapshot.problems[0].message.startswith("its removal was taken back: because; what it was stays in force")
    snapshot = store.apply(CLUSTER, [rule("v1")])
    assert (subset(snapshot), codes(snapshot)) == ("v1", []), "written again, it is as before"
    store.apply(CLUSTER, [rule("v1", "disabled")])
    assert not store.apply(CLUSTER, removed=[KEY]).virtual_services


def test_a_removal_in_the_middle_of_a_rollout_keeps_what_was_stable():
    store = known(rule("v1"))
    store.apply(CLUSTER, [rule("v2"), state(entry(rule("v2"), RolloutPhase.CANARY, rule("v1")))])
    snapshot = store.apply(CLUSTER, removed=[KEY])
    assert (subset(snapshot), codes(snapshot), dict(snapshot.rollouts)) == ("v1", ["rollout-waiting"], {})


def test_a_node_that_started_since_takes_the_states_word_where_the_operator_has_rollouts():
    """Who writes the state cannot make rules out of nothing where no operator has asked for rollouts."""
    there = [namespace(), state(removal(created=7.0))]
    plain = Store()
    snapshot = plain.apply(CLUSTER, there)
    assert not snapshot.virtual_services and not snapshot.rollouts
    assert plain.staging.planned[KEY].digest == ABSENT, "it may lead, and goes on with what others have begun"
    asked = Store()
    snapshot = asked.apply(CLUSTER, [*there, mesh(rollout={"clients": 10})])
    assert subset(snapshot) == "v1" and len(snapshot.rollouts) == 1
    assert snapshot.virtual_services["shop/reviews"].meta.created == 7.0
    assert not asked.apply(CLUSTER, [state()]).virtual_services


def test_what_this_node_saw_counts_before_the_states_word():
    store = known(rule("v1"))
    store.apply(CLUSTER, removed=[KEY])
    assert subset(store.apply(CLUSTER, [state(removal(stable="v3"))])) == "v1"


def test_the_objects_of_a_namespace_that_is_gone_are_gone():
    store = known(rule("v1"))
    store.apply(CLUSTER, removed=[KEY])
    snapshot = store.apply(CLUSTER, removed=[ObjectKey("Namespace", "", "shop")])
    assert not snapshot.virtual_services and not store.staging.planned
    lost = Store()
    assert not lost.apply(CLUSTER, [state(removal()), mesh(rollout={"clients": 10})]).virtual_services


def test_a_removal_that_cannot_be_read_keeps_nothing():
    broken = msgspec.structs.replace(removal(), stable={"hosts": 5})
    store = known(rule("v1"))
    assert not store.apply(CLUSTER, [state(broken)], removed=[KEY]).virtual_services


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
