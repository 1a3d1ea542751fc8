import msgspec
import pytest
from tests.meshes import make, pod, service, view_of

from nodemesh.routing.frontend import Mode
from nodemesh.routing.nametable import NameEntry


def entry(name, host, **spec):
    ports = [{"number": 3306, "name": "tcp", "protocol": "TCP"}]
    return make("ServiceEntry", name, {"hosts": [host], "ports": ports, **spec})


CAPTURE = make("MeshConfig", "default", {"dnsCapture": True})


def test_a_service_is_known_by_every_form_of_its_name():
    view = view_of(service("web", "10.96.0.1"), service("far", "10.96.0.2", namespace="other"))
    for name in ("web.default.svc.cluster.local", "WEB.default.svc", "web.default", "web"):
        assert view.named(name) == NameEntry(("10.96.0.1",)), name
    assert view.named("far.other") == NameEntry(("10.96.0.2",))
    for name in ("far", "far.default", "web.other", "web.default.svc.cluster", "", "example.com", "a..b"):
        assert view.named(name) is None, name


def test_external_addresses_are_not_what_a_name_stands_for():
    web = make("Service", "web", {"clusterIP": "10.96.0.1", "ports": [{"port": 80}], "externalIPs": ["192.0.2.9"]})
    assert view_of(web).named("web") == NameEntry(("10.96.0.1",))


def test_a_headless_service_is_its_ready_pods():
    objects = [
        service("db", "None"),
        pod("db-0", "10.1.0.1", {"app": "db"}),
        pod("db-1", "10.1.0.2", {"app": "db"}),
        pod("db-2", "10.1.0.3", {"app": "db"}, ready=False),
    ]
    view = view_of(*objects)
    assert view.named("db.default.svc.cluster.local") == NameEntry(("10.1.0.1", "10.1.0.2"))
    assert view_of(service("db", "None")).named("db") is None, "nothing is known that the cluster's server may not"


def test_a_pod_under_a_headless_service_has_a_name_of_its_own():
    slice_ = make(
        "EndpointSlice",
        "db-x",
        {
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 80}],
            "endpoints": [
                {"addresses": ["10.1.0.1"], "hostname": "db-0", "conditions": {"ready": True}},
                {"addresses": ["10.1.0.2"], "hostname": "db-1", "conditions": {"ready": False}},
            ],
        },
        labels={"kubernetes.io/service-name": "db"},
    )
    view = view_of(service("db", "None"), slice_)
    assert view.named("db-0.db.default.svc.cluster.local") == NameEntry(("10.1.0.1",))
    assert view.named("db-1.db.default.svc.cluster.local") is None
    assert view.named("web.db.default.svc.cluster.local") is None


def test_entries_are_known_by_their_addresses():
    view = view_of(
        entry("two", "two.example", addresses=["192.0.2.1", "2001:db8::1"], resolution="STATIC"),
        entry("net", "net.example", addresses=["192.0.2.0/24"], resolution="NONE"),
        entry("dns", "dns.example", resolution="DNS"),
        entry("wild", "*.wild.example", addresses=["192.0.2.7"], resolution="STATIC"),
        entry("wilder", "*.a.wild.example", addresses=["192.0.2.8"], resolution="STATIC"),
    )
    assert view.named("two.example") == NameEntry(("192.0.2.1", "2001:db8::1"))
    assert view.named("x.wild.example") == NameEntry(("192.0.2.7",))
    assert view.named("x.a.wild.example") == NameEntry(("192.0.2.8",)), "the longest wildcard counts"
    for name in ("net.example", "dns.example", "wild.example", "other.example"):
        assert view.named(name) is None, name


def test_a_complete_name_with_the_search_domain_behind_it():
    view = view_of(entry("db", "db.example", addresses=["192.0.2.1"], resolution="STATIC"), service("web", "10.96.0.1"))
    assert view.named("db.example.default.svc.cluster.local") == NameEntry(("192.0.2.1",), alias="db.example")
    assert view.named("db.example.svc.cluster.local") is None
    assert view.named("web.default.default.svc.cluster.local") is None


def test_a_client_sees_only_what_is_exported_to_it():
    hidden = entry("db", "db.example", addresses=["192.0.2.1"], resolution="STATIC", exportTo=["."])
    assert view_of(hidden).named("db.example") is not None
    assert view_of(hidden, namespace="other").named("db.example") is None
    narrow = make("Sidecar", "narrow", {"egress": [{"hosts": ["./web.default.svc.cluster.local"]}]})
    assert view_of(hidden, narrow).named("db.example") is None


def test_allocated_addresses_stand_for_hosts_without_any_and_lead_to_the_proxy():
    view = view_of(CAPTURE, entry("db", "db.example", resolution="DNS"), entry("ab", "ab.example", resolution="DNS"))
    found = view.named("db.example")
    assert found is not None and found.allocated and len(found.addresses) == 2
    for address in found.addresses:
        frontend = view.frontend(address, 3306)
        assert frontend.service is not None and frontend.service.host == "db.example"
        assert (frontend.mode, frontend.failure_policy) == (Mode.PROXY, "closed")
    hosts = {(frontend.service.host, frontend.addresses[0][:4], frontend.mode) for frontend in view.frontends()}
    assert hosts == {("db.example", "240.", Mode.PROXY), ("ab.example", "240.", Mode.PROXY)}
    resolved = {"db.example": ("198.51.100.1",)}
    assert ("198.51.100.1",) in [frontend.addresses for frontend in view.frontends(resolved)], (
        "clients that ask elsewhere"
    )


@pytest.mark.parametrize("host", ["db.example", "db.example.default.svc.cluster.local"])
def test_names_are_found_anew_with_each_version(host):
    assert view_of().named(host) is None
    assert view_of(entry("db", "db.example", addresses=["192.0.2.1"], resolution="STATIC")).named(host) is not None


def test_a_wildcard_that_a_client_does_not_see_hides_none_behind_it():
    mine = entry("mine", "*.com", addresses=["192.0.2.7"], resolution="NONE")
    spec = {**msgspec.to_builtins(mine.spec), "hosts": ["*.shop.com"], "exportTo": ["."]}
    other = make("ServiceEntry", "other", spec, namespace="other")
    assert view_of(mine, other).named("www.shop.com") == NameEntry(("192.0.2.7",))
