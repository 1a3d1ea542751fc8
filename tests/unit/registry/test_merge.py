import pytest
from tests.meshes import make, pod, service

from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store

HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
HTTPS = {"number": 443, "name": "https", "protocol": "HTTPS"}


def entry(name, *ports, created=0.0, namespace="default", labels=None, host="a.example", **spec):
    spec = {"hosts": [host], "ports": list(ports), "resolution": "DNS", **spec}
    return make("ServiceEntry", name, spec, created=created, namespace=namespace, labels=labels or {})


def static(name, address, *ports, **more):
    return entry(name, *ports, resolution="STATIC", endpoints=[{"address": address}], **more)


def found(*objects, host="a.example"):
    return Store().apply("t", objects).services[host]


def numbers(service):
    return [port.number for port in service.ports]


def places(service, port):
    return [f"{endpoint.address}:{endpoint.port}" for endpoint in service.endpoints[port]]


def test_ports_and_endpoints_of_all_are_one_service():
    (service,) = found(entry("one", HTTP), entry("two", HTTPS, created=1.0))
    assert numbers(service) == [80, 443]
    assert places(service, 80) == ["a.example:80"] and places(service, 443) == ["a.example:443"]
    (service,) = found(static("one", "192.0.2.1", HTTP), static("two", "192.0.2.2", HTTP, created=1.0))
    assert places(service, 80) == ["192.0.2.1:80", "192.0.2.2:80"]
    (service,) = found(entry("one", HTTP), entry("two", HTTP, HTTPS), entry("z", {**HTTPS, "number": 8443}))
    assert numbers(service) == [80, 443, 8443] and places(service, 80) == ["a.example:80"]


def test_the_oldest_says_all_else():
    young = entry("one", {**HTTP, "protocol": "TCP"}, created=1.0, addresses=["10.97.0.1"], subjectAltNames=["x"])
    (service,) = found(young, entry("two", HTTP, addresses=["10.97.0.2"]))
    assert (service.addresses, service.subject_alt_names, service.ports[0].protocol) == (("10.97.0.2",), (), "HTTP")


@pytest.mark.parametrize(
    "other",
    [
        {"resolution": "STATIC", "endpoints": [{"address": "192.0.2.1"}]},
        {"resolution": "DNS_ROUND_ROBIN"},
        {"labels": {"app": "x"}},
        {"exportTo": ["."]},
        {"namespace": "other"},
        {"workloadSelector": {"labels": {"app": "x"}}},
    ],
)
def test_entries_that_are_not_alike_stay_apart(other):
    one, two = found(entry("one", HTTP), entry("two", HTTPS, created=1.0, **other))
    assert (numbers(one), numbers(two)) == ([80], [443])


def test_kubernetes_services_stay_apart():
    host = "shop.default.svc.cluster.local"
    one, two = found(service("shop", "10.96.0.1", (80, "http")), entry("e", HTTPS, host=host), host=host)
    assert (one.kind, numbers(one), numbers(two)) == ("Service", [80], [443])


def test_endpoints_belong_to_a_port_by_name_where_they_have_addresses_else_by_number():
    overlay = static("two", "192.0.2.2", {**HTTP, "number": 4567}, created=1.0)
    (service,) = found(static("one", "192.0.2.1", HTTP), overlay)
    assert places(service, 80) == places(service, 4567) == ["192.0.2.1:80", "192.0.2.2:4567"]
    other = static("two", "192.0.2.2", {**HTTP, "name": "other"}, created=1.0)
    assert places(found(static("one", "192.0.2.1", HTTP), other)[0], 80) == ["192.0.2.1:80"]
    named = [{"address": "b.example"}]
    (service,) = found(entry("one", HTTP), entry("two", {**HTTP, "name": "other"}, created=1.0, endpoints=named))
    assert places(service, 80) == ["a.example:80", "b.example:80"]


def test_endpoints_are_those_of_entries_that_are_not_alike_too():
    one, two = found(static("one", "192.0.2.1", HTTP), static("two", "192.0.2.2", HTTP, created=1.0, exportTo=["."]))
    assert places(one, 80) == places(two, 80) == ["192.0.2.1:80", "192.0.2.2:80"]
    selecting = entry("two", HTTP, created=1.0, resolution="STATIC", workloadSelector={"labels": {"app": "x"}})
    one, _ = found(static("one", "192.0.2.1", HTTP), selecting, pod("p", "10.1.0.1", {"app": "x"}))
    assert places(one, 80) == ["192.0.2.1:80", "10.1.0.1:80"]


def test_entries_come_and_go():
    store = Store()
    one, two = entry("one", HTTP), entry("two", HTTPS, created=1.0)
    assert numbers(store.apply("t", [two]).services["a.example"][0]) == [443]
    assert numbers(store.apply("t", [one]).services["a.example"][0]) == [80, 443]
    before = store.snapshot.services["a.example"]
    again = entry("two", HTTPS, created=1.0, addresses=["10.97.0.1"])  # of the younger one's addresses nothing is left
    assert store.apply("t", [again]).services["a.example"] is before
    assert numbers(store.apply("t", [], [key_of(one)]).services["a.example"][0]) == [443]
    assert "a.example" not in store.apply("t", [], [key_of(two)]).services
