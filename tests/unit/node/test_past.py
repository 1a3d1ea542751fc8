"""What changes replaced is kept, within bounds, and without secrets."""

import pytest

from nodemesh.config.load import load_object
from nodemesh.node import past
from nodemesh.node.past import Past, rows_of
from nodemesh.registry.assemble import ObjectKey, key_of
from nodemesh.registry.store import CLUSTER, MAX_EDITS, Store
from nodemesh.routing.question import QuestionError


def rule(name="reviews", subset="v1", manager="kubectl", time="2026-01-01T12:00:00Z", **labels):
    return load_object(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "labels": labels,
                "managedFields": [
                    {"manager": "nodemesh", "time": "2026-01-02T12:00:00Z", "subresource": "status"},
                    {"manager": "earlier", "time": "2025-01-01T12:00:00Z"},
                    {"manager": manager, "time": time},
                ],
            },
            "spec": {"hosts": [name], "http": [{"route": [{"destination": {"host": name, "subset": subset}}]}]},
        },
        "cluster",
    ).objects[0]


def mesh(**spec):
    data = {"apiVersion": "nodemesh.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "default"}, "spec": spec}
    return load_object(data, "cluster").objects[0]


class Played:
    """A store whose changes are kept as control keeps them."""

    def __init__(self):
        self.store, self.past = Store(), Past()

    def apply(self, *items, removed=()):
        version = self.store.apply(CLUSTER, items, removed).version
        return version, self.past.add(version, self.store.take_edits())


def test_a_change_is_told_with_its_author_and_what_it_replaced_is_kept():
    played = Played()
    played.apply(rule())
    version, (told,) = played.apply(rule(subset="v2", manager="argocd", time="2026-02-03T04:05:06Z"))
    assert (told.kind, told.namespace, told.name, told.change) == ("VirtualService", "shop", "reviews", "changed")
    assert (told.author, told.written) == ("argocd", 1770091506.0), "not of who writes statuses"
    (row,) = rows_of(played.past, version, "")
    assert (row["kept"], row["later"], row["change"]) == (True, [], "changed")
    assert row["document"] == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "shop"},
        "spec": {
            "hosts": ["reviews"],
            "http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}],
        },
    }


def test_what_was_added_has_nothing_before_and_what_was_removed_comes_back():
    played = Played()
    played.apply(rule("other"))
    added, _ = played.apply(rule())
    (row,) = rows_of(played.past, added, "")
    assert (row["change"], row["document"], row["kept"]) == ("added", None, True)
    removed, (told,) = played.apply(removed=[key_of(rule())])
    (row,) = rows_of(played.past, removed, "")
    assert (told.change, told.author, row["document"]["metadata"]["name"]) == ("removed", "", "reviews")
    (row,) = rows_of(played.past, added, "")
    assert row["later"] == [removed]


@pytest.mark.parametrize("name", ["VirtualService/shop/reviews", "virtualservice/shop/reviews"])
def test_an_object_is_asked_for_by_its_last_change(name):
    played = Played()
    for subset in ("v1", "v2", "v3"):
        played.apply(rule(subset=subset), rule("other", subset))
    (row,) = rows_of(played.past, 0, name)
    assert row["document"]["spec"]["http"][0]["route"][0]["destination"]["subset"] == "v2"


@pytest.mark.parametrize(
    ("version", "name", "word"),
    [(9, "", "version 9"), (0, "reviews", "names no object"), (0, "A/b/c/d", "names no object"), (0, "A/b", "is kept")],
)
def test_a_question_that_has_no_answer_is_told_what_would_be_right(version, name, word):
    played = Played()
    played.apply(rule())
    played.apply(rule(subset="v2"))
    with pytest.raises(QuestionError, match=word):
        rows_of(played.past, version, name)


def test_who_wrote_an_object_again_without_a_change_of_its_own_is_no_change_of_others():
    played = Played()
    played.apply(rule(), rule("other"))
    _, told = played.apply(rule(manager="argocd"), rule("other"))
    assert [row.name for row in told] == ["reviews"]


def test_secrets_and_fields_for_collectors_are_never_kept():
    played = Played()
    secret = load_object(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "a", "namespace": "shop"},
            "data": {"k": "aGlkZGVu"},
        },
        "cluster",
    ).objects[0]
    collector = {
        "service": "c.example.com",
        "port": 1,
        "http": {"path": "/", "headers": [{"name": "token", "value": "hidden"}]},
    }
    played.apply(secret, mesh(extensionProviders=[{"name": "a", "opentelemetry": collector}]))
    _, told = played.apply(mesh(), removed=[key_of(secret)])
    assert [row.kind for row in told] == ["MeshConfig"]
    steps = [step.before for version in played.past.versions for step in played.past.of_version(version)]
    assert steps and not [data for data in steps if b"hidden" in data or b"aGlkZGVu" in data]


def test_it_is_bounded_in_number_and_in_bytes(monkeypatch):
    monkeypatch.setattr(past, "STEPS", 5)
    played = Played()
    for number in range(20):
        played.apply(rule(subset=f"v{number}"))
    assert len([1 for version in played.past.versions for _ in played.past.of_version(version)]) == 5
    monkeypatch.setattr(past, "MAX_BYTES", 1000)
    played.apply(rule(subset="w", note="x" * 60))
    assert sum(len(step.before) for version in played.past.versions for step in played.past.of_version(version)) <= 1000
    monkeypatch.setattr(past, "MAX_BYTES", 100)
    version, _ = played.apply(rule(subset="end"))
    (row,) = rows_of(played.past, version, "")
    assert (row["kept"], row["document"]) == (False, None), "it is said that it was longer than all that is kept"


def test_a_change_of_very_many_objects_is_told_in_part():
    store = Store()
    store.apply(CLUSTER, [rule(f"r{number}") for number in range(MAX_EDITS + 50)])
    assert len(store.take_edits()) == MAX_EDITS and not store.take_edits()


def test_core_objects_are_told_by_the_causes_alone():
    played = Played()
    played.apply(rule())
    node = load_object({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}, "cluster").objects[0]
    assert played.apply(node)[1] == () and played.store._in_force(ObjectKey("Node", "", "a"))
