from tests.meshes import bookinfo, pod, service

from nodemesh.registry.store import Store
from nodemesh.routing.index import EndpointIndex


def test_the_index_follows_the_services():
    store, index = Store(), EndpointIndex()
    index.update(store.apply("t", bookinfo()).services)
    assert index.find("10.1.0.9", 9080) == (("ratings.default.svc.cluster.local", 9080),)
    index.update(store.apply("t", [pod("ratings-v1", "10.1.0.8", {"app": "ratings"})]).services)
    assert index.find("10.1.0.9", 9080) == ()
    assert index.find("10.1.0.8", 9080) == (("ratings.default.svc.cluster.local", 9080),)


def test_an_endpoint_may_stand_behind_several_services():
    store, index = Store(), EndpointIndex()
    twin = service("twin", "10.96.0.12", (9080, "http"), selector={"app": "ratings"})
    index.update(store.apply("t", [*bookinfo(), twin]).services)
    assert [host.split(".")[0] for host, _ in index.find("10.1.0.9", 9080)] == ["ratings", "twin"]
