"""By which addresses of a name in the DNS the connections to it are told."""

from tests.meshes import make, pod

from nodemesh.node.dialled import Dialled
from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store

NAMES = {"evil.example": ("10.1.0.8", "192.0.2.1"), "endpoint.example": ("192.0.2.7",)}
BARE = pod("bare", "10.1.0.8", {"app": "bare"}, namespace="owner")


def entry(namespace: str):
    ports = [{"number": 9000, "name": "tcp", "protocol": "TCP"}]
    spec = {"hosts": ["evil.example"], "ports": ports, "resolution": "DNS"}
    return make("ServiceEntry", "e", spec, namespace=namespace)


def test_a_name_does_not_stand_for_the_pods_of_others():
    store, dialled = Store(), Dialled()
    dialled.see(store.apply("t", [entry("tenant")]))
    assert dialled.resolve(NAMES) and dialled.addresses == NAMES
    assert dialled.see(store.apply("t", [BARE]))
    assert dialled.addresses == {**NAMES, "evil.example": ("192.0.2.1",)}
    assert not dialled.see(store.apply("t", [pod("more", "10.1.0.9", {}, namespace="owner")]))
    assert dialled.resolve({"evil.example": ("10.1.0.8",)}) and dialled.addresses == {}
    assert dialled.see(store.apply("t", removed=[key_of(BARE)])), "nobody has it any more"
    assert dialled.addresses == {"evil.example": ("10.1.0.8",)}


def test_it_does_for_those_of_its_own_namespace_and_of_hosts():
    store, dialled = Store(), Dialled()
    dialled.see(store.apply("t", [entry("owner"), BARE]))
    dialled.resolve(NAMES)
    assert dialled.addresses == NAMES
    spec = {"hostNetwork": True, "status": {"phase": "Running", "podIP": "192.0.2.1"}}
    shared = make("Pod", "agent", spec, namespace="kube-system")
    assert not dialled.see(store.apply("t", [shared])), "its address is the node's"


def test_an_address_that_goes_from_one_pod_to_another_is_the_others():
    store, dialled = Store(), Dialled()
    dialled.see(store.apply("t", [entry("tenant"), BARE]))
    dialled.resolve(NAMES)
    other = pod("own", "10.1.0.8", {}, namespace="tenant")
    assert dialled.see(store.apply("t", [other], removed=[key_of(BARE)]))
    assert dialled.addresses == NAMES
