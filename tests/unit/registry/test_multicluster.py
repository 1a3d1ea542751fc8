"""Several clusters' services as one mesh."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.meshes import make, pod, service

from nodemesh.registry.assemble import key_of
from nodemesh.registry.multicluster import Registry
from nodemesh.registry.snapshot import Snapshot

WEB = "web.default.svc.cluster.local"


def slice_of(name, address, node="node-1", namespace="default"):
    entry = {"addresses": [address], "conditions": {"ready": True}, "nodeName": node}
    spec = {"addressType": "IPv4", "ports": [{"name": "http", "port": 8080}], "endpoints": [entry]}
    return make("EndpointSlice", f"{name}-1", spec, namespace=namespace, labels={"kubernetes.io/service-name": name})


def network(name):
    return make("Namespace", "istio-system", labels={"topology.istio.io/network": name})


def endpoints(snapshot: Snapshot, host=WEB):
    (found,) = snapshot.services[host]
    return [endpoint for _, of_port in sorted(found.endpoints.items()) for endpoint in of_port]


def two_clusters() -> Registry:
    registry = Registry("east")
    registry.apply("files", [service("web", "10.96.0.1"), slice_of("web", "10.1.0.1")])
    registry.apply_remote("west", [service("web", "10.96.9.9"), slice_of("web", "10.2.0.1")], (), whole=True)
    return registry


def test_a_service_has_the_endpoints_of_every_cluster_and_the_own_one_s_address():
    snapshot = two_clusters().snapshot
    assert [(entry.address, entry.cluster, entry.node) for entry in endpoints(snapshot)] == [
        ("10.1.0.1", "east", "node-1"),
        ("10.2.0.1", "west", "west/node-1"),  # no node of ours, whatever its name
    ]
    assert snapshot.services[WEB][0].addresses == ("10.96.0.1",)


def test_the_workloads_are_the_own_cluster_s():
    """Else this node would enrol pods of another cluster's node of the same name."""
    registry = two_clusters()
    registry.apply_remote("west", [pod("stranger", "10.2.0.9", {})], ())
    assert "default/stranger" not in registry.snapshot.workloads
    before = registry.snapshot
    assert registry.apply_remote("west", [pod("stranger", "10.2.0.9", {"a": "b"})], ()) is before


def test_a_change_in_one_cluster_leaves_the_rest_alone():
    registry = two_clusters()
    registry.apply("files", [service("other", "10.96.0.2")])
    before = registry.snapshot
    after = registry.apply_remote("west", [slice_of("web", "10.2.0.7")], ())
    assert after.version == before.version + 1
    assert after.causes == ("west: EndpointSlice default/web-1 changed (endpointslice-web-1.yaml:1)",)
    assert [entry.address for entry in endpoints(after)] == ["10.1.0.1", "10.2.0.7"]
    other = "other.default.svc.cluster.local"
    assert after.services[other] is before.services[other]
    assert registry.apply_remote("west", [slice_of("web", "10.2.0.7")], ()) is after


def test_a_whole_state_replaces_what_was_there():
    registry = two_clusters()
    registry.apply_remote("west", [service("more", "10.96.9.8")], (), whole=True)
    assert [entry.address for entry in endpoints(registry.snapshot)] == ["10.1.0.1"]
    assert "more.default.svc.cluster.local" in registry.snapshot.services


def test_a_removed_cluster_takes_its_endpoints_along():
    registry = two_clusters()
    after = registry.remove_remote("west")
    assert after.causes == ("cluster west removed",)
    assert [entry.address for entry in endpoints(after)] == ["10.1.0.1"]
    assert registry.remove_remote("west") is after


def test_a_service_of_another_cluster_alone_has_its_address_unless_that_means_another_service_here():
    registry = two_clusters()
    registry.apply_remote("west", [service("far", "10.96.0.5")], ())
    far = "far.default.svc.cluster.local"
    assert registry.snapshot.services[far][0].addresses == ("10.96.0.5",)
    registry.apply("files", [service("near", "10.96.0.5")])
    assert registry.snapshot.services[far][0].addresses == ()
    registry.apply("files", removed=[key_of(service("near", "10.96.0.5"))])
    assert registry.snapshot.services[far][0].addresses == ("10.96.0.5",)
    registry.apply_remote("away", [service("away", "10.96.0.5")], (), whole=True)
    assert registry.snapshot.services[far][0].addresses == (), "the first cluster by name has it"


def test_what_is_local_to_each_cluster_is_not_shared():
    registry = Registry()
    registry.apply("files", [service("dns", "10.96.0.9", namespace="kube-system")])
    strangers = [service("kubernetes", "10.96.0.1"), service("dns", "10.96.0.9", namespace="kube-system"),
                 slice_of("dns", "10.2.0.1", namespace="kube-system"), service("web", "10.96.0.3")]  # fmt: skip
    registry.apply_remote("west", strangers, (), whole=True)
    dns = "dns.kube-system.svc.cluster.local"
    assert registry.snapshot.services.keys() == {dns, WEB} and endpoints(registry.snapshot, dns) == []
    settings = [{"settings": {"clusterLocal": True}, "hosts": ["*.default.svc.cluster.local"]},
                {"settings": {"clusterLocal": False}, "hosts": [dns]}]  # fmt: skip
    registry.apply("files", [make("MeshConfig", "mesh", {"serviceSettings": settings})])
    assert registry.snapshot.services.keys() == {dns} and len(endpoints(registry.snapshot, dns)) == 1


def test_networks_are_the_pod_s_own_the_system_namespace_s_or_mesh_config_s():
    registry = two_clusters()
    registry.apply_remote("west", [network("net-west")], ())
    assert [entry.network for entry in endpoints(registry.snapshot)] == ["", "net-west"]
    networks = {"a": {"endpoints": [{"fromCidr": "10.1.0.0/16"}]}, "b": {"endpoints": [{"fromRegistry": "west"}]}}
    registry.apply("files", [make("MeshConfig", "mesh", {"networks": networks})])
    assert [entry.network for entry in endpoints(registry.snapshot)] == ["a", "net-west"]
    registry.apply_remote("west", (), [key_of(network("net-west"))])
    assert [entry.network for entry in endpoints(registry.snapshot)] == ["a", "b"]
    registry.apply("files", removed=[key_of(make("MeshConfig", "mesh"))])
    assert [entry.network for entry in endpoints(registry.snapshot)] == ["", ""]


NAMES = st.sampled_from(["web", "api", "db"])
ADDRESSES = st.sampled_from(["10.96.0.1", "10.96.0.2"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["", "west", "north"]),
        st.lists(st.one_of(st.builds(service, NAMES, ADDRESSES),
                           st.builds(slice_of, NAMES, st.sampled_from(["10.1.0.1", "10.2.0.1"]))), max_size=3),
        st.sampled_from(["change", "whole", "remove"]),
    ),
    max_size=8,
)  # fmt: skip


@given(STEPS)
def test_step_by_step_is_the_same_as_all_at_once(steps):
    registry, held = Registry("east"), {"": {}}
    for cluster, objects, how in steps:
        objects = list({key_of(item): item for item in objects}.values())
        if how == "remove" and cluster:
            held.pop(cluster, None)
            registry.remove_remote(cluster)
            continue
        if how == "whole" and cluster:
            held[cluster] = {}
        held.setdefault(cluster, {}).update({key_of(item): item for item in objects})
        if cluster:
            registry.apply_remote(cluster, objects, (), whole=how == "whole")
        else:
            registry.apply("files", objects)
    fresh = Registry("east")
    fresh.apply("files", held.pop("").values())
    for cluster, objects in held.items():
        fresh.apply_remote(cluster, objects.values(), (), whole=True)
    assert dict(registry.snapshot.services) == dict(fresh.snapshot.services)
