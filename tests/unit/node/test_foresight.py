from nodemesh.config.load import load_object
from nodemesh.node.foresight import Foresight
from nodemesh.proxy.messages import Retire
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.multicluster import Registry

HOST = "web.default.svc.cluster.local"


def loaded(data):
    (found,) = load_object(data, "test").objects
    return found


def pod(name, owner="web", **more):
    meta = {
        "name": name, "namespace": "default", "uid": f"uid-{name}",
        "labels": {"app": "web", "pod-template-hash": "7d9c"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": f"{owner}-7d9c", "controller": True}], **more,
    }  # fmt: skip
    return loaded({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}})


SERVICE = loaded(
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}]},
    }
)
SLICE = loaded(
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": "old", "uid": "uid-old"}}],
        "ports": [{"name": "http", "port": 8080}],
    }
)


class Told:
    """In the place of fleet and interception."""

    def __init__(self, trouble=False):
        self.heard = []
        self.trouble = trouble

    def tell(self, message):
        self.heard.append(message)

    def pod_starts(self, pod, hosts):
        self.heard.append(("starts", pod, hosts))

    def pod_ends(self, pod, hosts):
        if self.trouble:
            raise OSError("the map is full")
        self.heard.append(("ends", pod, hosts))


def story(told, *, kernel=True):
    registry = Registry()
    registry.apply("cluster", [SERVICE, SLICE, pod("old")])
    return registry, Foresight(registry, told, told if kernel else None)


def see(registry, foresight, *objects):
    before = registry.snapshot.workloads
    registry.apply("cluster", objects)
    foresight.see(before, objects)


def test_a_pod_of_the_same_deployment_begins_a_rollout():
    told = Told()
    registry, foresight = story(told)
    see(registry, foresight, pod("new"))
    assert told.heard == [("starts", "default/new", {HOST})]
    see(registry, foresight, pod("new", deletionTimestamp="2026-01-01T00:00:00Z"))
    see(registry, foresight, pod("other", owner="other"), pod("old"))
    assert len(told.heard) == 1


def test_a_pod_that_leaves_is_told_before_the_registry_knows():
    told = Told()
    registry, foresight = story(told)
    key = ObjectKey("Pod", "default", "old")
    foresight.leaves(key)
    assert told.heard == [Retire(addresses=("10.1.0.1",)), ("ends", "default/old", {HOST})], "who gets them comes first"
    foresight.leaves(ObjectKey("Pod", "default", "nobody"))
    assert len(told.heard) == 2
    registry.apply("cluster", [pod("old", deletionTimestamp="2026-01-01T00:00:00Z")])
    foresight.leaves(key)
    assert told.heard[2:] == [("ends", "default/old", {HOST})], "when it is gone, its address may be another's"


def test_a_pod_that_a_service_entry_selects_is_foreseen_too():
    told = Told()
    registry, foresight = story(told)
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "own", "namespace": "default"},
        "spec": {
            "hosts": ["own.example"], "ports": [{"number": 80, "name": "tcp", "protocol": "TCP"}],
            "resolution": "STATIC", "workloadSelector": {"labels": {"app": "web"}},
        },
    }  # fmt: skip
    registry.apply("cluster", [loaded(entry)])
    foresight.leaves(ObjectKey("Pod", "default", "old"))
    assert told.heard[-1] == ("ends", "default/old", {HOST, "own.example"})


def test_workers_are_told_whatever_the_kernel_says_and_where_there_is_none():
    for told, kernel in ((Told(trouble=True), True), (Told(), False)):
        _, foresight = story(told, kernel=kernel)
        foresight.leaves(ObjectKey("Pod", "default", "old"))
        assert told.heard == [Retire(addresses=("10.1.0.1",))]
