from tests.meshes import bookinfo, make, view_of, views_of

from nodemesh.routing.client import Client
from nodemesh.routing.frontend import Mode
from nodemesh.routing.frontends import ANY_PORT, EVERYWHERE, LOOPBACK
from nodemesh.routing.index import EndpointIndex
from nodemesh.routing.views import Views

RULES = {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews", "subset": "v3"}}]}]}


def test_frontend_of_virtual_address_endpoint_and_unknown():
    view = view_of(*bookinfo(), make("VirtualService", "reviews", RULES))
    by_vip = view.frontend("10.96.0.10", 9080)
    assert by_vip.service.host == "reviews.default.svc.cluster.local"
    assert by_vip.mode is Mode.PROXY and "VirtualService default/reviews" in by_vip.mode_reason
    by_endpoint = view.frontend("10.1.0.2", 9080)
    assert by_endpoint.service is by_vip.service and by_endpoint.addresses == ("10.1.0.2",)
    assert view.frontend("192.0.2.1", 80).service is None
    assert view.frontend("10.96.0.10", 81).service is None
    assert view.frontend_for_host("reviews.default", 9080) is by_vip


def test_a_virtual_address_is_found_without_a_look_at_every_endpoint(monkeypatch):
    """That makes a worker decode all services, which a big cluster has by the ten thousand."""
    asked = []
    find = EndpointIndex.find
    monkeypatch.setattr(EndpointIndex, "find", lambda self, *place: asked.append(place) or find(self, *place))
    view = view_of(*bookinfo(), make("VirtualService", "reviews", RULES))
    assert view.frontend("10.96.0.10", 9080).service is not None and asked == []
    assert view.frontend("reviews.default.svc.cluster.local", 9080).service is not None and asked == []
    assert view.frontend("10.1.0.2", 9080).service is not None and asked == [("10.1.0.2", 9080)]


def test_plain_service_is_balanced_in_the_kernel():
    frontend = view_of(*bookinfo()).frontend("10.96.0.11", 9080)
    assert frontend.mode is Mode.KERNEL
    assert [endpoint.address for endpoint in frontend.tcp.destinations[0].cluster.endpoints] == ["10.1.0.9"]


def test_addresses_of_hosts_that_have_none_of_their_own_are_those_of_the_dns():
    port = {"number": 5432, "name": "db", "protocol": "TCP"}
    entry = make("ServiceEntry", "e", {"hosts": ["db.example"], "ports": [port], "resolution": "DNS"})
    views = views_of(entry)
    view = views.for_client(Client(namespace="default"))
    assert view.frontend("192.0.2.1", 5432).service is None
    views.set_resolved({"db.example": ("192.0.2.1",)})
    found = view.frontend("192.0.2.1", 5432).service
    assert found is not None and found.host == "db.example"
    assert view.frontend("192.0.2.1", 80).service is None
    later = Views(views.tables, views).for_client(Client(namespace="default"))
    assert later.frontend("192.0.2.1", 5432).service is not None
    views.set_resolved({})
    assert view.frontend("192.0.2.1", 5432).service is None


def test_all_of_them_have_a_pods_loopback_pass_where_unknown_addresses_may_not():
    def all_of(*objects):
        return list(view_of(*bookinfo(), *objects).frontends())

    known = {frontend.addresses for frontend in all_of()}
    assert ("10.96.0.10",) in known and EVERYWHERE not in known
    policy = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    *_, unknown, loopback = all_of(make("MeshConfig", "default", policy))
    assert (unknown.addresses, unknown.port, unknown.mode) == (EVERYWHERE, ANY_PORT, Mode.PROXY)
    assert "REGISTRY_ONLY" in unknown.mode_reason
    assert (loopback.addresses, loopback.port, loopback.mode) == (LOOPBACK, ANY_PORT, Mode.PASS)
