"""Which pods stand behind a service, under which addresses and names."""

import msgspec

from nodemesh.lab.pod import PodRecord
from nodemesh.lab.service import LabPort, LabService


def pod(name, *, ips=("10.244.0.2",), ready=True, namespace="shop", **labels):
    identity = {"name": name, "namespace": namespace, "uid": name, "container_id": name}
    return PodRecord(**identity, labels=labels, ips=ips, ports={"http": 8080}, ready=ready)


SERVICE = LabService(
    name="web",
    namespace="shop",
    addresses=("10.96.0.1",),
    ports=(LabPort(80, "http"), LabPort(90)),
    selector={"app": "web"},
)


def test_only_ready_pods_of_the_namespace_that_the_selector_picks_are_backends():
    good = pod("good", app="web", version="v1")
    pods = [good, pod("unready", app="web", ready=False), pod("other", app="db"), pod("far", app="web", namespace="x")]
    assert SERVICE.backends(pods) == [good]
    assert msgspec.structs.replace(SERVICE, selector={}).backends(pods) == []


def test_routes_resolve_target_ports_by_name_number_and_default():
    routes = list(SERVICE.routes([pod("a", app="web")]))
    assert routes == [("10.96.0.1", 80, (("10.244.0.2", 8080),)), ("10.96.0.1", 90, (("10.244.0.2", 90),))]


def test_a_pod_without_the_named_port_is_no_endpoint():
    nameless = msgspec.structs.replace(pod("a", app="web"), ports={})
    assert next(SERVICE.routes([nameless])).endpoints == ()


def test_an_address_leads_to_endpoints_of_its_own_family():
    both = msgspec.structs.replace(SERVICE, addresses=("10.96.0.1", "fd00::1"), ports=(LabPort(80),))
    routes = list(both.routes([pod("a", app="web", ips=("10.244.0.2", "fd00::2"))]))
    assert [route.endpoints for route in routes] == [(("10.244.0.2", 80),), (("fd00::2", 80),)]


def test_the_short_name_is_known_in_its_own_namespace_only():
    assert SERVICE.names("shop")[-1] == "web"
    assert SERVICE.names("other") == ["web.shop.svc.cluster.local", "web.shop.svc", "web.shop"]
