import msgspec
from tests.apiserver.kinds import BUILT_IN, mesh_kinds

from nodemesh.registry.sources.resources import METADATA, METADATA_LIST, resources


def test_every_resource_has_the_path_that_servers_serve():
    served = {kind.root + "/" + kind.plural: kind.kind for kind in (*BUILT_IN, *mesh_kinds())}
    for resource in resources("node-a"):
        for version in resource.versions:
            everywhere = msgspec.structs.replace(resource, namespace="")
            assert served[everywhere.path(version)] == resource.kind


def test_of_config_maps_two_are_followed_by_their_names():
    found = [resource for resource in resources("node-a") if resource.kind == "ConfigMap"]
    assert {(each.namespace, each.field_selector) for each in found} == {
        ("istio-system", "metadata.name=istio"),
        ("nodemesh-system", "metadata.name=nodemesh-rollouts"),
    }
    assert all(each.dispensable for each in found)


def test_own_pods_in_full_and_before_the_others_by_their_metadata():
    own, others = [resource for resource in resources("node-a") if resource.kind == "Pod"]
    assert own.field_selector == "spec.nodeName=node-a" and not own.metadata_only
    assert not others.field_selector and (others.accept_list, others.accept_watch) == (METADATA_LIST, METADATA)


def test_secrets_are_not_followed_with_the_rest():
    assert "Secret" not in {resource.kind for resource in resources("node-a")}
