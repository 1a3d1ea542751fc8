import gc
import tracemalloc

import msgspec
import pytest
from tests.bench import cluster
from tests.bench.cluster_server import pods
from tests.meshes import bookinfo, make, pod, service

from nodemesh.config.load import load_object
from nodemesh.config.problems import Problem
from nodemesh.registry.assemble import ObjectKey, key_of
from nodemesh.registry.sources.reading import ObjectReader
from nodemesh.registry.sources.resources import resources
from nodemesh.registry.store import CLUSTER, FILES, Store

#: Bytes for each of a cluster's pods, two ports of its service and its share of that; 2,110 with Python 3.11.
LIMIT = 2250


def test_versions_and_causes():
    store = Store()
    first = store.apply("files", bookinfo())
    assert first.version == 1 and "VirtualService default/r" not in first.causes
    rule = make("VirtualService", "r", {"hosts": ["reviews"]})
    second = store.apply("files", [rule])
    assert second.version == 2
    assert second.causes == ("VirtualService default/r added (virtualservice-r.yaml:1)",)
    third = store.apply("files", removed=[key_of(rule)])
    assert third.causes == ("VirtualService default/r removed",) and "default/r" not in third.virtual_services


def test_nothing_new_is_the_same_snapshot():
    store = Store()
    first = store.apply("files", bookinfo())
    assert store.apply("files", bookinfo()) is first
    assert store.apply("files", removed=[ObjectKey("Pod", "default", "nobody")]) is first


def test_unaffected_parts_are_the_same_objects():
    store = Store()
    first = store.apply("files", bookinfo())
    second = store.apply("files", [pod("ratings-v1", "10.1.0.77", {"app": "ratings", "version": "v1"})])
    reviews, ratings = "reviews.default.svc.cluster.local", "ratings.default.svc.cluster.local"
    assert second.services[reviews] is first.services[reviews]
    assert second.services[ratings] is not first.services[ratings]
    assert second.workloads["default/reviews-v1"] is first.workloads["default/reviews-v1"]
    assert second.destination_rules is first.destination_rules


def test_the_first_source_of_an_object_counts_and_the_next_takes_over():
    store = Store()
    store.apply("files", [service("web", "10.96.0.1")])
    held = store.apply("cluster", [service("web", "10.96.0.2")])
    assert held.services["web.default.svc.cluster.local"][0].addresses == ("10.96.0.1",)
    after = store.apply("files", removed=[ObjectKey("Service", "default", "web")])
    assert after.services["web.default.svc.cluster.local"][0].addresses == ("10.96.0.2",)


def test_problems_are_those_of_all_sources_as_they_are_now():
    store = Store()
    bad = Problem(code="x", message="bad")
    assert store.apply("a", problems=[bad]).problems == (bad,)
    assert store.apply("b", bookinfo()).problems == (bad,)
    assert store.apply("a", problems=[]).problems == ()


def test_discovery_selectors_hide_and_reveal_namespaces():
    store = Store()
    mesh = make(
        "MeshConfig", "mesh", {"discoverySelectors": [{"matchLabels": {"mesh": "on"}}]}, namespace="istio-system"
    )
    hidden = store.apply("t", [mesh, make("Namespace", "default"), *bookinfo()])
    assert not hidden.services and not hidden.workloads and not hidden.destination_rules
    shown = store.apply("t", [make("Namespace", "default", labels={"mesh": "on"})])
    assert len(shown.services) == 2 and "default/reviews" in shown.destination_rules


def test_the_clusters_domain_is_the_meshs():
    snapshot = Store().apply("t", [service("web", "10.96.0.1"), make("MeshConfig", "m", {"clusterDomain": "corp"})])
    assert set(snapshot.services) == {"web.default.svc.corp"}


def test_pods_tell_owner_and_service_account():
    spec = {
        "owners": [{"kind": "ReplicaSet", "name": "web-5d4f", "controller": True}],
        "serviceAccountName": "web",
        "status": {"podIP": "10.1.0.1", "phase": "Running"},
    }
    snapshot = Store().apply("t", [make("Pod", "web-5d4f-x", spec, labels={"pod-template-hash": "5d4f"})])
    workload = snapshot.workloads["default/web-5d4f-x"]
    assert (workload.owner, workload.service_account, workload.ready) == ("web", "web", True)


def test_endpoints_follow_the_pods_that_their_slices_name_whatever_the_selector_says():
    store = Store()
    target = {"kind": "Pod", "name": "a"}
    piece = {"endpoints": [{"addresses": ["10.1.0.1"], "targetRef": target}], "ports": [{"name": "http", "port": 8080}]}
    labels = {"kubernetes.io/service-name": "web"}
    slices = [make("EndpointSlice", name, piece, labels=labels) for name in ("web-4", "web-6")]
    store.apply("cluster", [service("web", "10.96.0.1"), *slices])

    def endpoint_labels(*changed, removed=()):
        (found,) = store.apply("cluster", changed, removed).services["web.default.svc.cluster.local"]
        return [endpoint.labels for endpoint in found.endpoints[80]]

    assert endpoint_labels(pod("a", "10.1.0.1", {"version": "v1"})) == [{"version": "v1"}]
    assert endpoint_labels(removed=[key_of(slices[0])]) == [{"version": "v1"}]
    assert endpoint_labels(pod("a", "10.1.0.1", {"version": "v2"})) == [{"version": "v2"}]
    assert endpoint_labels(removed=[ObjectKey("Pod", "default", "a")]) == [{}]


def test_a_pod_without_a_status_has_the_addresses_that_slices_give_it():
    store = Store()
    entry = {"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": "a"}}
    labels = {"kubernetes.io/service-name": "web"}
    piece = make("EndpointSlice", "web-4", {"endpoints": [entry]}, labels=labels)
    bare = make("Pod", "a", {}, labels={"app": "web"})

    def addresses(*changed, removed=()):
        return store.apply("cluster", changed, removed).workloads["default/a"].addresses

    assert addresses(bare) == ()
    assert addresses(piece) == ("10.1.0.1",)
    moved = make("EndpointSlice", "web-4", {"endpoints": [{**entry, "addresses": ["10.1.0.2"]}]}, labels=labels)
    assert addresses(moved) == ("10.1.0.2",)
    assert addresses(pod("a", "10.1.0.9", {"app": "web"})) == ("10.1.0.9",)
    assert addresses(bare) == ("10.1.0.2",)
    assert addresses(removed=[key_of(piece)]) == ()


def tls_rule(file: str):
    return make(
        "DestinationRule", "r", {"host": "a", "trafficPolicy": {"tls": {"mode": "SIMPLE", "caCertificates": file}}}
    )


def allowing(*folders: str):
    return make("MeshConfig", "m", {"allowedFolders": folders}, namespace="")


def test_an_object_that_names_what_is_not_its_own_leaves_the_one_before_in_force():
    store = Store()
    good = tls_rule("system")
    store.apply(CLUSTER, [good])
    snapshot = store.apply(CLUSTER, [tls_rule("/dev/ptmx")])
    assert snapshot.destination_rules["default/r"].spec == good.spec
    (problem,) = snapshot.problems
    assert problem.code == "out-of-reach" and problem.refused and list(store.objections) == [key_of(good)]
    snapshot = store.apply(CLUSTER, [good])
    assert not snapshot.problems and not store.objections


def named_by(snapshot):
    (rule,) = snapshot.destination_rules.values()
    return rule.spec.traffic_policy.tls.ca_certificates


def test_one_that_never_was_good_secures_what_it_is_for_by_what_cannot_be_read_and_goes_without_a_trace():
    store = Store()
    bad = tls_rule("/dev/ptmx")
    assert named_by(store.apply(CLUSTER, [bad])) == "(not allowed) /dev/ptmx"
    assert store.apply(CLUSTER, [bad]) is store.snapshot
    snapshot = store.apply(CLUSTER, removed=[key_of(bad)])
    assert not snapshot.problems and not store.objections and not snapshot.destination_rules


def test_what_the_operator_allows_counts_at_once_and_what_he_takes_back_too():
    store = Store()
    store.apply(CLUSTER, [tls_rule("/certs/ca.pem")])
    snapshot = store.apply(CLUSTER, [allowing("/certs")])
    assert named_by(snapshot) == "/certs/ca.pem" and not snapshot.problems
    snapshot = store.apply(CLUSTER, [allowing("/other")])
    assert named_by(snapshot) == "(not allowed) /certs/ca.pem" and snapshot.problems


def test_a_file_of_the_operator_may_name_any_file_and_a_gateways_pod_has_folders_of_its_own():
    assert not Store().apply(FILES, [tls_rule("/any/ca.pem")]).problems
    assert not Store(gateway=True).apply(CLUSTER, [tls_rule("/etc/istio/certs/ca.pem")]).problems
    assert Store(gateway=True).apply(CLUSTER, [tls_rule("/etc/kubernetes/ca.pem")]).problems
    assert Store(remote=True).apply("west", [tls_rule("/any/ca.pem")]).problems


def test_an_entrys_unix_socket_is_refused_whole():
    entry = make("ServiceEntry", "e", {"hosts": ["a.example"], "ports": [{"number": 80, "name": "http"}],
                 "resolution": "STATIC", "endpoints": [{"address": "unix:///run/containerd.sock"}]})  # fmt: skip
    assert not Store().apply(CLUSTER, [entry]).services
    assert Store().apply(FILES, [entry]).services


@pytest.mark.parametrize(
    ("kind", "name", "owner"),
    [
        ("StatefulSet", "store", "store"),
        ("DaemonSet", "logs-12345678", "logs-12345678"),
        ("Job", "once", "once"),
        ("Job", "nightly-29301120", "nightly"),
    ],
)
def test_endpoints_know_the_owner_of_their_pod(kind, name, owner):
    """A CronJob's Jobs come and go: metrics name what stays."""
    spec = {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": "x"}, "clusterIP": "10.96.0.1"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-0",
            "namespace": "default",
            "labels": {"app": "x"},
            "ownerReferences": [{"kind": kind, "name": name, "controller": True, "apiVersion": "v1", "uid": "u"}],
        },
        "status": {"podIP": "10.1.0.1", "phase": "Running"},
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "default"}, "spec": spec}
    objects = [each for item in (pod, service) for each in load_object(item, "test").objects]
    snapshot = Store().apply("test", objects)
    (endpoint,) = snapshot.services["x.default.svc.cluster.local"][0].endpoints[80]
    assert endpoint.owner == snapshot.workloads[f"default/{name}-0"].owner == owner


def test_kinds_of_one_name_in_two_groups_are_two():
    store = Store()
    istios = make("Gateway", "edge", {"selector": {"app": "edge"}, "servers": []})
    other = msgspec.structs.replace(istios, group="gateway.example.com")
    snapshot = store.apply("files", [istios, other])
    assert [*snapshot.gateways.values()] == [istios]
    assert store.apply("files", [], [key_of(other)]).gateways["default/edge"] is istios
    assert not store.apply("files", [], [key_of(istios)]).gateways


def test_a_pod_behind_a_service_costs_so_many_bytes():
    """From an API server's words to the snapshot. What would double it: an object kept beside what was made of it, a
    key or a name for each that holds it, a reference for each pod where one for each slice does."""
    size = cluster.Size(services=200, rules=0, namespaces=10)
    by_kind = {"Service": "services", "EndpointSlice": "endpointslices", "Pod": "pods"}
    wanted = {item.name: item for item in resources("node-x")}
    words = [(wanted[by_kind[each["kind"]]], each.get("apiVersion", "v1").rpartition("/")[2], msgspec.json.encode(each))
             for each in (*cluster.objects(size), *pods(size, 10)) if each["kind"] in by_kind]  # fmt: skip
    store, reader = Store(), ObjectReader()
    tracemalloc.start()
    try:
        read = [reader.read(*each) for each in words]
        held = {item.key: item.item for item in read if item.item is not None}
        del read
        store.apply(CLUSTER, held)  # as the source goes on holding them
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] / (size.services * size.endpoints)
    finally:
        tracemalloc.stop()
    assert len(store.snapshot.workloads) == 1000
    assert taken < LIMIT, f"{taken:.0f} bytes for each pod"
