import json

import pytest
from tests.clusters import endpoint_slice, pod, service, virtual_service

from nodemesh.registry.sources.reading import ObjectReader
from nodemesh.registry.sources.resources import resources
from nodemesh.registry.sources.watch import ApiFormatError

RESOURCES = {resource.name: resource for resource in resources("node-a")}


def read(name, data, reader=None):
    raw = json.dumps(data).encode()
    return (reader or ObjectReader()).read(RESOURCES[name], "v1", raw)


def test_items_of_lists_get_the_kind_that_was_asked_for():
    data = service("web")
    del data["apiVersion"], data["kind"]
    assert read("services", data).item.kind == "Service"
    partial = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "n"}}
    assert read("nodes", partial).item.kind == "Node"


def test_a_remote_pods_labels_are_shared_with_its_like():
    reader = ObjectReader()
    first, second = (read("pods", pod("a", version="v1") | {"metadata": {
        "name": name, "namespace": "default", "labels": {"app": "a"}, "managedFields": [{}],
        "ownerReferences": [{"kind": "ReplicaSet", "name": "a-1", "controller": True}, {"kind": "X", "name": "x"}],
    }}, reader).item for name in ("a", "b"))  # fmt: skip
    assert first.meta.labels is second.meta.labels and first.spec is second.spec
    assert [owner.name for owner in first.spec.owners] == ["a-1"]


def test_what_changes_without_meaning_is_left_out():
    one, two = endpoint_slice("web", ("a", "10.1.0.1")), endpoint_slice("web", ("a", "10.1.0.1"))
    one["metadata"] |= {
        "resourceVersion": "1",
        "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "1"},
    }
    two["metadata"] |= {"resourceVersion": "2", "annotations": {}}
    assert read("endpointslices", one).item == read("endpointslices", two).item


def test_a_refused_object_has_its_name_and_reasons():
    data = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway",
            "metadata": {"name": "g", "namespace": "a", "uid": "u"}, "spec": {"serverz": []}}  # fmt: skip
    reading = read("gateways", data)
    assert reading.item is None and str(reading.key) == "Gateway a/g" and reading.head.uid == "u"
    assert "serverz" in reading.problems[0].message


def test_what_is_no_object_is_told():
    with pytest.raises(ApiFormatError, match="not an object"):
        ObjectReader().read(RESOURCES["services"], "v1", b"[]")


def test_endpoints_hold_once_what_many_have():
    ref = {"kind": "Pod", "namespace": "team", "name": "a", "uid": "u"}
    conditions = {"ready": True, "serving": True, "terminating": False}
    entry = {"conditions": conditions, "nodeName": "node-1", "zone": "z1", "targetRef": ref}
    data = {
        "metadata": {"name": "s", "namespace": "team", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "endpoints": [{**entry, "addresses": [address]} for address in ("10.1.0.1", "10.1.0.2")],
    }
    first, second = read("endpointslices", data).item.spec.endpoints
    for name in ("conditions", "node_name", "zone", "hints"):
        assert getattr(first, name) is getattr(second, name)
    assert first.target_ref is second.target_ref and first.workload is second.workload
    assert (first.addresses, first.workload, first.uid) == (("10.1.0.1",), "team/a", "u")


def test_our_own_annotations_are_kept_on_every_kind_and_all_on_kinds_that_are_written_again():
    own, others = {"nodemesh.io/candidate": "none"}, {"other.example/x": "y"}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    rules = virtual_service("web")
    rules["metadata"]["annotations"] = own | others | applied
    assert read("virtualservices", rules).item.meta.annotations == own | others
    piece = endpoint_slice("web", ("web-1", "10.1.0.1"))
    piece["metadata"]["annotations"] = own | others | applied
    assert read("endpointslices", piece).item.meta.annotations == own
