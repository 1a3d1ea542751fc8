import pytest
from tests.clusters import endpoint_slice, pod, service, virtual_service

from nodemesh.config.load import load_object
from nodemesh.registry.assemble import key_of
from nodemesh.registry.sources.cache import Cache

RULE = virtual_service("reviews", http=[{"timeout": "1.5s", "route": [{"destination": {"host": "reviews"}}]}])
MESH = {
    "apiVersion": "nodemesh.io/v1alpha1",
    "kind": "MeshConfig",
    "metadata": {"name": "mesh"},
    "spec": {"connectTimeout": "3s"},
}


def loaded(*objects):
    items = [item for data in objects for item in load_object(data, "test").objects]
    assert len(items) == len(objects)
    return {key_of(item): item for item in items}


@pytest.fixture
def objects():
    return {"all": loaded(pod("a"), service("a"), endpoint_slice("a", ("a", "10.1.0.1")), RULE, MESH)}


def test_what_was_saved_is_loaded_again(tmp_path, objects):
    cache = Cache(tmp_path / "deep" / "cluster.msgpack", "node-a")
    assert cache.load() == {}
    cache.save(objects)
    assert cache.load() == objects
    assert (tmp_path / "deep" / "cluster.msgpack").stat().st_mode & 0o777 == 0o600


def test_versions_are_those_of_one_cluster_and_of_what_could_be_read(tmp_path, objects):
    cache = Cache(tmp_path / "cluster.msgpack", "node-a")
    cache.save(objects, "uid-1", {"all": "7"})
    assert cache.read() == (objects, "uid-1", {"all": "7"})
    kinds = {key: value for key, value in cache._decoders.items() if key[1] != "Service"}
    cache._decoders = kinds  # as after an upgrade
    assert cache.read().versions == {} and len(cache.read().objects["all"]) == len(objects["all"]) - 1


def test_another_nodes_state_is_not_taken(tmp_path, objects):
    Cache(tmp_path / "cluster.msgpack", "node-a").save(objects)
    assert Cache(tmp_path / "cluster.msgpack", "node-b").load() == {}


def test_a_damaged_file_is_as_good_as_none(tmp_path, objects):
    file = tmp_path / "cluster.msgpack"
    cache = Cache(file, "node-a")
    cache.save(objects)
    file.write_bytes(file.read_bytes()[:-40])
    assert cache.load() == {}
