from typing import Any

import msgspec
from tests.clusters import endpoint_slice, pod, service, virtual_service

from nodemesh.relay.trim import encoded, node_of, partial, trimmed

BULK: dict[str, Any] = {
    "managedFields": [{"manager": "kubelet"}],
    "selfLink": "/x",
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "nodemesh.io/dns": "enabled"},
    "ownerReferences": [{"kind": "ReplicaSet", "name": "a", "controller": True}, {"kind": "Other", "name": "b"}],
}


def read(kind, data, version="v1"):
    data["metadata"] |= msgspec.json.decode(msgspec.json.encode(BULK))
    return trimmed(kind, version, msgspec.json.encode(data))


def test_a_pod_keeps_what_its_nodes_agent_reads():
    data = pod("a", node="n")
    data["spec"]["containers"][0] |= {"env": [{"name": "A", "value": "b"}], "resources": {}}
    data["spec"] |= {"hostNetwork": True, "volumes": [{"name": "v"}]}
    data["status"]["conditions"].append({"type": "Initialized", "status": "True"})
    found = read("Pod", data)
    assert found["spec"] == {
        "nodeName": "n", "hostNetwork": True, "containers": [{"name": "app", "ports": [{"containerPort": 80}]}],
    }  # fmt: skip
    assert found["status"] == {
        "phase": "Running", "podIP": "10.1.0.1", "conditions": [{"type": "Ready", "status": "True"}],
    }  # fmt: skip
    assert found["metadata"] == {
        "name": "a", "namespace": "default", "labels": {"app": "a"},
        "annotations": {"nodemesh.io/dns": "enabled"}, "ownerReferences": [BULK["ownerReferences"][0]],
    }  # fmt: skip
    assert node_of(found) == "n"


def test_other_nodes_agents_get_its_metadata_alone():
    found = partial(read("Pod", pod("a")))
    assert (found["kind"], found["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert set(found) == {"kind", "apiVersion", "metadata"} and "annotations" not in found["metadata"]


def test_what_rules_and_services_say_stays_whole():
    data = service("a")
    found = read("Service", data)
    assert found["spec"] == data["spec"]
    assert found["metadata"]["annotations"] == {"nodemesh.io/dns": "enabled"}
    piece = endpoint_slice("a", ("p", "10.1.0.1"))
    found = read("EndpointSlice", piece, "discovery.k8s.io/v1")
    assert found["endpoints"] == piece["endpoints"] and found["apiVersion"] == "discovery.k8s.io/v1"
    assert "annotations" not in found["metadata"], "when a slice last changed is nobody's business"
    assert msgspec.json.decode(encoded(found)) == found


def test_of_rules_it_is_kept_who_wrote_them_and_of_others_it_is_not():
    data = virtual_service("web")
    written = [
        {
            "manager": "argocd",
            "time": "2026-01-01T00:00:00Z",
            "operation": "Apply",
            "fieldsV1": {"f:spec": {"f:http": {}}},
        },
        {"manager": "nodemesh", "time": "2026-01-02T00:00:00Z", "subresource": "status", "fieldsV1": {}},
    ]
    data["metadata"]["managedFields"] = written
    found = trimmed("VirtualService", "networking.istio.io/v1", msgspec.json.encode(data))
    assert found["metadata"]["managedFields"] == [{"manager": "argocd", "time": "2026-01-01T00:00:00Z"}]
    assert "managedFields" not in read("Service", service("web"))["metadata"]
