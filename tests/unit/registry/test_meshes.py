"""The mesh's settings: nodemesh's own word for each field that it names, Istio's for the others."""

from tests.meshes import service

from nodemesh.config.load import load_object, load_text
from nodemesh.config.meshconfig import L7, MeshOutboundMode
from nodemesh.registry.assemble import ObjectKey, key_of
from nodemesh.registry.multicluster import Registry
from nodemesh.registry.store import CLUSTER, FILES, Store

ISTIO = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nrootNamespace: config\n"


def istio(mesh=ISTIO, name="istio", namespace="istio-system"):
    data = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"mesh": mesh},
    }
    return load_object(data, "istio").objects[0]


def own(**spec):
    data = {"apiVersion": "nodemesh.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "default"}, "spec": spec}
    return load_object(data, "own").objects[0]


def test_istios_counts_alone_and_is_followed():
    store = Store()
    mesh = store.apply(CLUSTER, [istio()]).mesh
    assert mesh.outbound_traffic_policy.mode is MeshOutboundMode.REGISTRY_ONLY and mesh.root_namespace == "config"
    assert store.apply(CLUSTER, [istio("rootNamespace: other")]).mesh.root_namespace == "other"
    gone = store.apply(CLUSTER, removed=[ObjectKey("ConfigMap", "istio-system", "istio")]).mesh
    assert gone.root_namespace == "istio-system"


def test_a_field_that_ours_names_is_ours_even_where_it_says_the_default():
    store = Store()
    store.apply(CLUSTER, [istio()])
    mesh = store.apply(CLUSTER, [own(l7="always", outboundTrafficPolicy={"mode": "ALLOW_ANY"})]).mesh
    assert mesh.outbound_traffic_policy.mode is MeshOutboundMode.ALLOW_ANY, "named, and so ours"
    assert mesh.root_namespace == "config" and mesh.l7 is L7.ALWAYS
    mesh = store.apply(CLUSTER, [own(l7="always")]).mesh
    assert mesh.outbound_traffic_policy.mode is MeshOutboundMode.REGISTRY_ONLY, "named no more"


def test_the_same_from_files_with_names_in_either_spelling():
    store = Store()
    text = (
        "apiVersion: nodemesh.io/v1alpha1\nkind: MeshConfig\nmetadata: {name: a}\nspec: {root_namespace: istio-system}"
    )
    mesh = store.apply(FILES, [istio(), *load_text(text, "mesh.yaml").objects]).mesh
    assert mesh.root_namespace == "istio-system" and mesh.outbound_traffic_policy.mode is MeshOutboundMode.REGISTRY_ONLY


def test_others_of_that_name_say_nothing():
    for other in (istio(namespace="shop"), istio(name="istio-1-27"), istio(name="istio-ca")):
        assert Store().apply(CLUSTER, [other]).mesh.root_namespace == "istio-system"


def test_it_does_not_hide_itself_and_hides_what_it_says():
    store = Store()
    selectors = "discoverySelectors: [{matchLabels: {mesh: 'yes'}}]"
    found = store.apply(CLUSTER, [istio(selectors), service("web", "10.96.0.1")])
    assert found.mesh.discovery_selectors and not found.services
    assert store.apply(CLUSTER, [istio("{}")]).services


def test_other_clusters_are_read_by_the_same_settings():
    registry = Registry("here")
    registry.apply_remote("there", [service("web", "10.96.0.1")], [])
    registry.apply(CLUSTER, [istio("defaultServiceExportTo: ['.']")])
    (found,) = registry.snapshot.services["web.default.svc.cluster.local"]
    assert found.export_to == ("default",) or found.export_to == (".",)
    registry.apply(CLUSTER, removed=[key_of(istio())])
    (found,) = registry.snapshot.services["web.default.svc.cluster.local"]
    assert found.export_to == ("*",)
