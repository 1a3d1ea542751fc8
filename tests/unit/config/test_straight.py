"""What is read straight from JSON is what `load` makes of it; what is not well is left to `load`."""

import copy
import json

import pytest

from nodemesh.config.kinds import KINDS
from nodemesh.config.load import load_object
from nodemesh.config.straight import load_straight

MANAGED = [
    {"manager": "kubelet", "operation": "Update", "time": "2026-01-31T12:00:00Z", "fieldsV1": {"f:metadata": {}}}
]
META = {
    "name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "7", "generation": 3,
    "labels": {"app": "web"}, "annotations": {"team": "blue"}, "creationTimestamp": "2026-01-31T12:00:00Z",
    "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": True}], "managedFields": MANAGED,
}  # fmt: skip
PORTS = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP", "appProtocol": "http"}]
SERVICE = {
    "metadata": META,
    "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"], "ports": PORTS, "selector": {"app": "a"},
             "internalTrafficPolicy": "Local", "sessionAffinity": "ClientIP", "ipFamilies": ["IPv4"]},
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example"}]}},
}  # fmt: skip
SLICE = {
    "metadata": META,
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    "endpoints": [
        {
            "addresses": ["172.16.0.1"], "nodeName": "n1", "zone": "z1", "hostname": "web-0",
            "conditions": {"ready": False, "serving": True, "terminating": True},
            "hints": {"forZones": [{"name": "z1"}]},
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-0", "uid": "u-2"},
        },
        {"addresses": ["172.16.0.2"]},
    ],
}  # fmt: skip
GOOD = {
    ("", "Service"): SERVICE,
    ("", "Node"): {"metadata": META, "spec": {"podCIDR": "10.1.0.0/24"}, "status": {"capacity": {"cpu": "4"}}},
    ("", "Namespace"): {"metadata": META},
    ("discovery.k8s.io", "EndpointSlice"): SLICE,
}


def loaded(key, data):
    """What `load` makes of it."""
    group, name = key
    version = KINDS[key].versions[0]
    return load_object({"apiVersion": f"{group}/{version}" if group else version, "kind": name, **data}, "")


def straight(key, data):
    return load_straight(json.dumps(data).encode(), *key)


@pytest.mark.parametrize("key", GOOD)
def test_it_is_what_load_makes_of_it(key):
    result = loaded(key, GOOD[key])
    assert not result.problems
    assert straight(key, GOOD[key]) == result.objects[0]


def test_a_namespace_may_be_left_out():
    data = {"metadata": {"name": "web"}, "spec": {"ports": PORTS}}
    assert straight(("", "Service"), data) == loaded(("", "Service"), data).objects[0]


def put(data, value, *path):
    """A copy with another value at a path."""
    data = copy.deepcopy(data)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        (("", "Service"), "Web_1", ("metadata", "name")),
        (("", "Service"), "x" * 64, ("metadata", "labels", "app")),
        (("", "Service"), "today", ("metadata", "creationTimestamp")),
        (("", "Service"), None, ("metadata", "labels")),  # null is an absent field
        (("", "Service"), "80", ("spec", "ports", 0, "port")),
        (("", "Service"), 70_000, ("spec", "ports", 0, "port")),
        (("", "Service"), "10.96.0.300", ("spec", "clusterIP")),
        (("", "Service"), "sometimes", ("metadata", "annotations", "nodemesh.io/l7")),  # no value: a warning
        (("", "Service"), [7], ("status", "loadBalancer")),
        (("discovery.k8s.io", "EndpointSlice"), "nowhere", ("endpoints", 1, "addresses", 0)),
        (("discovery.k8s.io", "EndpointSlice"), None, ("endpoints",)),  # of a slice without any
        (("", "Node"), 7, ("metadata", "labels", "app")),
    ],
)
def test_of_what_is_not_well_load_has_to_say_more(key, value, path):
    assert straight(key, put(GOOD[key], value, *path)) is None


def test_other_kinds_and_what_is_no_json_are_left_to_load():
    data = {"metadata": META, "spec": {"hosts": ["web"]}}
    assert straight(("networking.istio.io", "VirtualService"), data) is None
    assert load_straight(b"{", "", "Service") is None
    assert load_straight(b"[]", "", "Service") is None
