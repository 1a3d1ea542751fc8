"""The snapshot as it would be with all candidates in force."""

from nodemesh.config.load import load_text
from nodemesh.registry import candidates as module
from nodemesh.registry.candidates import Candidates
from nodemesh.registry.store import Store

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: default, annotations: {ANNOTATIONS}}
spec:
  hosts: [NAME]
  http: [{route: [{destination: {host: NAME}}]}]
---
"""

LATER = "{hosts: [a], http: [{timeout: 3s, route: [{destination: {host: a}}]}]}"


def rules(name, annotation=None):
    annotations = "{}" if annotation is None else f"{{nodemesh.io/candidate: '{annotation}'}}"
    return RULES.replace("NAME", name).replace("{ANNOTATIONS}", annotations)


def apply(store, *texts):
    return store.apply("files", load_text("".join(texts), "mesh.yaml").objects)


def test_without_candidates_it_is_the_snapshot_itself():
    snapshot = apply(Store(), rules("a"))
    found, names = Candidates().of(snapshot)
    assert found is snapshot and names == ()


def test_candidates_stand_in_the_place_of_their_objects_and_none_removes_them():
    snapshot = apply(Store(), rules("a", LATER), rules("b", "none"), rules("c"))
    found, names = Candidates().of(snapshot)
    assert names == ("VirtualService default/a", "VirtualService default/b")
    assert found.virtual_services["default/a"].spec.http[0].timeout == 3000
    assert "default/b" not in found.virtual_services
    assert found.virtual_services["default/c"] is snapshot.virtual_services["default/c"]
    assert snapshot.virtual_services["default/a"].spec.http[0].timeout is None


def test_a_candidate_with_errors_counts_as_none():
    snapshot = apply(Store(), rules("a", "hosts: ["), rules("b"))
    found, names = Candidates().of(snapshot)
    assert found is snapshot and names == ()


def test_versions_differ_where_candidates_do():
    store, candidates = Store(), Candidates()

    def version(*texts):
        snapshot = apply(store, *texts)
        candidates.of(snapshot)
        return candidates.versions(snapshot)

    first = version(rules("a", LATER), rules("c"))
    assert version(rules("c", None).replace("hosts: [c]", "hosts: [c, d]")) == first
    assert version(rules("a", LATER.replace("3s", "4s"))) != first


def test_there_are_no_more_than_so_many(monkeypatch):
    monkeypatch.setattr(module, "MOST", 1)
    snapshot = apply(Store(), rules("a", LATER), rules("b", "none"))
    assert Candidates().of(snapshot)[1] == ("VirtualService default/a",)


def test_no_namespace_takes_the_places_of_others(monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_NAMESPACE", 1)
    other = rules("c", LATER).replace("namespace: default", "namespace: other")
    snapshot = apply(Store(), rules("a", LATER), rules("b", LATER), other)
    assert Candidates().of(snapshot)[1] == ("VirtualService default/a", "VirtualService other/c")


def test_an_annotation_is_read_once():
    """Whatever else of its kind changes: what is made of a candidate is not made again."""
    store, candidates = Store(), Candidates()
    first, _ = candidates.of(apply(store, rules("a", LATER), rules("b", LATER)))
    later, _ = candidates.of(apply(store, rules("b", LATER.replace("3s", "4s"))))
    assert later.virtual_services["default/a"] is first.virtual_services["default/a"]
    assert later.virtual_services["default/b"].spec.http[0].timeout == 4000
    gone, names = candidates.of(apply(store, rules("a"), rules("b")))
    assert names == () and gone is store.snapshot
