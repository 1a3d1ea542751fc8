from tests.meshes import make, pod, service

from nodemesh.registry.snapshot import Locality, Protocol, Resolution
from nodemesh.registry.store import Store


def entry(name="e", **spec):
    ports = spec.pop("ports", [{"number": 80, "name": "http", "protocol": "HTTP"}])
    meta = {key: spec.pop(key) for key in ("namespace", "created") if key in spec}
    return make("ServiceEntry", name, {"hosts": ["ext.example.com"], "ports": ports, **spec}, **meta)


def services(*objects, host="ext.example.com"):
    return Store().apply("test", objects).services[host]


def places(service, port=80):
    return [(endpoint.address, endpoint.port) for endpoint in service.endpoints[port]]


def test_inline_endpoints_and_the_order_of_ports():
    (found,) = services(
        entry(
            resolution="STATIC",
            location="MESH_INTERNAL",
            ports=[{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}],
            endpoints=[
                {"address": "192.0.2.1", "ports": {"http": 9090}, "locality": "r/z/s", "weight": 3},
                {"address": "192.0.2.2"},
                {"address": "unix:///run/x.sock"},
            ],
        )
    )
    assert places(found) == [("192.0.2.1", 9090), ("192.0.2.2", 8080), ("unix:///run/x.sock", 0)]
    first = found.endpoints[80][0]
    assert (first.weight, first.locality) == (3, Locality(region="r", zone="z", subzone="s"))
    assert not found.external and found.ports[0].protocol is Protocol.HTTP


def test_dns_without_endpoints_resolves_its_own_host():
    (found,) = services(entry(resolution="DNS"))
    assert places(found) == [("ext.example.com", 80)] and found.resolution is Resolution.DNS and found.external
    (none,) = services(entry())
    assert none.resolution is Resolution.NONE and places(none) == []


def test_a_selector_selects_workload_entries_and_pods_and_follows_them():
    store = Store()
    chosen = entry(resolution="STATIC", workloadSelector={"labels": {"app": "vm"}})
    machine = make("WorkloadEntry", "vm1", {"address": "192.0.2.7", "labels": {"app": "vm"}, "ports": {"http": 81}})
    (found,) = store.apply("t", [chosen, machine, pod("p", "10.1.0.1", {"app": "vm"})]).services["ext.example.com"]
    assert places(found) == [("192.0.2.7", 81), ("10.1.0.1", 80)]
    relabelled = make("WorkloadEntry", "vm1", {"address": "192.0.2.7"}, labels={"app": "other"})
    (found,) = store.apply("t", [relabelled]).services["ext.example.com"]
    assert places(found) == [("10.1.0.1", 80)]


def test_kubernetes_services_select_workload_entries():
    machine = make("WorkloadEntry", "vm1", {"address": "192.0.2.7", "labels": {"app": "web"}})
    (found,) = services(service("web", "10.96.0.1"), machine, host="web.default.svc.cluster.local")
    assert places(found) == [("192.0.2.7", 80)]


def test_a_service_comes_before_entries_of_its_host_and_those_by_age():
    host = "web.default.svc.cluster.local"
    found = services(
        entry("young", hosts=[host], created=2.0),
        entry("old", hosts=[host], created=1.0, namespace="other"),
        service("web", "10.96.0.1", created=3.0),
        host=host,
    )
    assert [(item.kind, item.created) for item in found] == [
        ("Service", 3.0),
        ("ServiceEntry", 1.0),
        ("ServiceEntry", 2.0),
    ]
