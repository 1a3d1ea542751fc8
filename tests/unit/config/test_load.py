from typing import Any, cast

import pytest

from nodemesh.config.core import PodSpec
from nodemesh.config.load import LoadResult, load_object, load_text
from nodemesh.config.meta import Location
from nodemesh.config.problems import Severity

RULE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  labels: {app: reviews}
  creationTimestamp: "2026-01-31T12:00:00Z"
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews}
    timeout: 5s
"""


def test_an_object_and_its_marks():
    loaded = load_text(RULE, "a.yaml")
    assert not loaded.problems
    (found,) = loaded.objects
    assert (found.kind, found.meta.key, found.meta.labels) == ("VirtualService", "default/reviews", {"app": "reviews"})
    assert found.meta.created == 1769860800.0
    assert found.location == Location("a.yaml", 1, 1)
    assert found.locate("spec", "http", 0, "timeout") == Location("a.yaml", 12, 5)
    assert found.locate("spec", "http", 0, "retries", "attempts") == Location("a.yaml", 10, 5)
    assert found.locate("nowhere") == found.location


def test_problems_point_at_keys_and_values():
    text = RULE.replace("timeout: 5s", "timeout:  5\n    nmae: x")
    value, key = load_text(text, "a.yaml").problems
    assert (value.code, value.location) == ("wrong-type", Location("a.yaml", 12, 15))
    assert (key.code, key.location) == ("unknown-field", Location("a.yaml", 13, 5))
    assert (value.kind, value.namespace, value.name) == ("VirtualService", "default", "reviews")
    assert value.path == "spec.http[0].timeout"
    assert value.refused


def test_a_missing_field_points_at_its_owner():
    (problem,) = load_text(RULE.replace("{host: reviews}", "{subset: v1}"), "a.yaml").problems
    assert (problem.code, problem.location) == ("missing-field", Location("a.yaml", 11, 7))


def test_the_text_is_shown_as_it_was_written():
    (problem,) = load_text(RULE.replace("hosts: [reviews]", "hosts: [012]"), "a.yaml").problems
    assert '"012"' in problem.message


def test_a_warning_accepts_and_an_error_refuses():
    warned = load_text(RULE + "  - route:\n    - destination: {host: b}\n", "a.yaml")
    assert [problem.severity for problem in warned.problems] == [Severity.WARNING]
    assert len(warned.objects) == 1
    assert not warned.problems[0].refused
    refused = load_text(RULE.replace("hosts: [reviews]", 'hosts: ["*"]'), "a.yaml")
    assert not refused.objects
    assert refused.problems[0].refused


def test_one_bad_object_spoils_no_other():
    loaded = load_text(RULE.replace("5s", "x") + "---\n" + RULE, "a.yaml")
    assert len(loaded.objects) == 1
    assert loaded.objects[0].location.line == 14
    assert [problem.location.line for problem in loaded.problems] == [12]


def test_lists_are_unfolded_with_their_places():
    text = "apiVersion: v1\nkind: List\nitems:\n- " + RULE.replace("\n", "\n  ").rstrip() + "\n"
    (found,) = load_text(text, "a.yaml").objects
    assert found.location == Location("a.yaml", 4, 3)
    assert found.locate("spec", "hosts") == Location("a.yaml", 11, 5)


@pytest.mark.parametrize("items", ["3", "abc", "{a: 1}", "true"])
def test_a_list_without_a_list_of_items_is_an_error_with_its_place(items):
    loaded = load_text(f"apiVersion: v1\nkind: List\nitems: {items}\n", "a.yaml")
    (problem,) = loaded.problems
    assert not loaded.objects
    assert (problem.code, problem.path, problem.refused) == ("wrong-type", "items", True)
    assert str(problem.location) == "a.yaml:3:1"


@pytest.mark.parametrize("items", ["", "items: []\n", "items: null\n"])
def test_an_empty_list_is_one(items):
    assert load_text(f"apiVersion: v1\nkind: List\n{items}", "a.yaml") == LoadResult((), ())


def test_a_duplicate_key_refuses_only_its_item():
    head = "- apiVersion: networking.istio.io/v1\n  kind: DestinationRule\n"
    item = head + "  metadata: {name: %s}\n  spec: {host: a%s}\n"
    loaded = load_text(
        "apiVersion: v1\nkind: List\nitems:\n" + item % ("one", ", host: b") + item % ("two", ""), "a.yaml"
    )
    assert [found.meta.name for found in loaded.objects] == ["two"]
    assert [(problem.code, problem.path, problem.name) for problem in loaded.problems] == [
        ("duplicate-key", "spec.host", "one")
    ]


def test_cluster_scoped_kinds_have_no_namespace():
    (node,) = load_text("apiVersion: v1\nkind: Node\nmetadata: {name: worker, namespace: x}\n", "a.yaml").objects
    assert node.meta.key == "worker"


def test_a_pod_has_its_status_and_owners():
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "ns",
            "uid": "u",
            "resourceVersion": "7",
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"kind": "ReplicaSet", "name": "r", "controller": True, "uid": "x"}],
        },
        "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [{"containerPort": 80}], "image": "i"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
    }
    (found,) = load_object(pod, "api").objects
    assert isinstance(found.spec, PodSpec)
    assert found.spec.status.pod_ip == "10.0.0.1"
    assert found.spec.owners[0].name == "r"
    assert (found.meta.uid, found.meta.resource_version, found.meta.deleting) == ("u", "7", True)
    assert found.location == Location("api")
    assert found.marks == {}


def test_an_endpoint_slice_is_read_from_its_top():
    text = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
endpoints:
- addresses: [10.0.0.1]
  conditions: {ready: true}
ports: [{name: http, port: 80}]
"""
    (found,) = load_text(text, "a.yaml").objects
    assert found.spec.endpoints[0].addresses == ("10.0.0.1",)
    (problem,) = load_text(text.replace("10.0.0.1", "x"), "a.yaml").problems
    assert (problem.path, problem.location.line) == ("endpoints[0].addresses[0]", 6)


def test_a_secret_is_decoded():
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: tls\ndata: {a: aGk=}\nstringData: {b: text}\n"
    (found,) = load_text(text, "a.yaml").objects
    assert found.spec.data == {"a": b"hi", "b": b"text"}
    assert found.spec.type == "tls"
    assert load_text(text.replace("aGk=", "'*'"), "a.yaml").problems[0].code == "bad-base64"


def test_what_is_wrong_with_a_secret_is_told_without_a_word_of_it():
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: DATA\n"
    for data in ("{a: '-private-'}", "-private-", "{a: [-private-]}"):
        (problem,) = load_text(text.replace("DATA", data), "a.yaml").problems
        assert problem.refused and problem.path.startswith("data") and problem.location.line == 4
        assert "private" not in problem.message and "base64" in problem.message


def test_an_object_from_an_api_server():
    data = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "a"}}
    assert load_object(data | {"spec": {"host": "b"}}, "api").objects[0].spec.host == "b"
    assert load_object(cast(Any, []), "api").problems[0].code == "not-an-object"


def test_equal_texts_give_equal_objects():
    """What did not change is recognised when a file is read again."""
    assert load_text(RULE, "a.yaml") == load_text(RULE, "a.yaml")
    assert load_text(RULE, "a.yaml") != load_text(RULE.replace("5s", "6s"), "a.yaml")


def test_bytes_that_are_no_text():
    (problem,) = load_text(b"a: \xff", "a.yaml").problems
    assert (problem.code, problem.refused, str(problem.location)) == ("not-utf8", True, "a.yaml:1:4")


def test_what_is_no_object_has_no_namespace():
    (problem,) = load_text("- 1\n", "f.yaml").problems
    assert (problem.code, problem.kind, problem.namespace, problem.name) == ("not-an-object", "", "", "")
