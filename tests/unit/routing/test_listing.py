import msgspec
from tests.meshes import bookinfo, make, pod, service

from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.listing import ReadSets, changed_places
from nodemesh.routing.views import Views
from nodemesh.routing.wire import apply_update, encode_update

CLIENT = Client(namespace="default")


class Mesh:
    """Tables and views that follow a store."""

    def __init__(self, *objects):
        self.store = Store()
        self.views = None
        self.change(*objects)

    def change(self, *objects, gone=()):
        before = self.views.tables if self.views is not None else None
        self.views = Views(compile_tables(self.store.apply("test", objects, gone), before), self.views)

    def listed(self, client=CLIENT, resolved=None):
        """Frontends by host and dialled port."""
        frontends = self.views.for_client(client).frontends(resolved)
        return {(frontend.service.host, frontend.port): frontend for frontend in frontends}


REVIEWS = ("reviews.default.svc.cluster.local", 9080)
RATINGS = ("ratings.default.svc.cluster.local", 9080)


def test_only_what_depends_on_a_change_is_made_anew():
    mesh = Mesh(*bookinfo())
    before = mesh.listed()
    mesh.change(pod("ratings-v2", "10.1.0.10", {"app": "ratings"}))
    after = mesh.listed()
    assert after[REVIEWS] is before[REVIEWS]
    assert len(after[RATINGS].tcp.destinations[0].cluster.endpoints) == 2


def test_a_rule_that_leads_elsewhere_depends_on_both():
    route = [{"destination": {"host": "ratings"}}]
    mesh = Mesh(*bookinfo(), make("VirtualService", "r", {"hosts": ["reviews"], "tcp": [{"route": route}]}))
    before = mesh.listed()
    mesh.change(pod("ratings-v2", "10.1.0.10", {"app": "ratings"}))
    after = mesh.listed()
    assert after[REVIEWS] is not before[REVIEWS]


def test_clients_of_different_namespaces_share_what_they_see_alike():
    rule = make(
        "DestinationRule", "own", {"host": REVIEWS[0], "trafficPolicy": {"outlierDetection": {}}}, namespace="a"
    )
    mesh = Mesh(*bookinfo(), rule)
    one, other = (mesh.listed(Client(namespace=namespace)) for namespace in ("a", "b"))
    assert one[RATINGS] is other[RATINGS]
    assert one[REVIEWS] != other[REVIEWS]
    assert mesh.listed(Client(namespace="b"))[REVIEWS] is other[REVIEWS]


def test_changes_that_nobody_looked_at_count_as_well():
    mesh = Mesh(*bookinfo())
    mesh.listed()
    mesh.change(pod("ratings-v2", "10.1.0.10", {"app": "ratings"}))
    mesh.views.for_client(CLIENT)
    mesh.change(service("details", "10.96.0.12"))
    after = mesh.listed()
    assert len(after[RATINGS].tcp.destinations[0].cluster.endpoints) == 2
    assert ("details.default.svc.cluster.local", 80) in after


def test_a_host_that_is_gone_is_listed_no_more():
    mesh = Mesh(*bookinfo())
    assert RATINGS in mesh.listed()
    mesh.change(gone=[ObjectKey("Service", "default", "ratings")])
    assert RATINGS not in mesh.listed()


def test_a_new_sidecar_lists_everything_anew():
    mesh = Mesh(*bookinfo())
    assert RATINGS in mesh.listed()
    mesh.change(make("Sidecar", "s", {"egress": [{"hosts": ["./reviews.default.svc.cluster.local"]}]}))
    assert mesh.listed().keys() == {REVIEWS}


def test_hosts_without_addresses_are_listed_as_they_resolve():
    spec = {
        "hosts": ["ext.example"],
        "ports": [{"number": 80, "name": "tcp", "protocol": "TCP"}],
        "resolution": "DNS",
    }
    mesh = Mesh(make("ServiceEntry", "ext", spec))
    assert mesh.listed() == {}
    assert mesh.listed(resolved={"ext.example": ("192.0.2.1",)})["ext.example", 80].addresses == ("192.0.2.1",)
    assert mesh.listed(resolved={"ext.example": ("192.0.2.2",)})["ext.example", 80].addresses == ("192.0.2.2",)


def test_a_service_s_own_address_comes_before_one_that_a_name_has_in_the_dns():
    ports = [{"number": 80, "name": "tcp", "protocol": "TCP"}]
    mesh = Mesh(
        make("ServiceEntry", "name", {"hosts": ["a.example"], "ports": ports, "resolution": "DNS"}),
        service("reviews", "10.96.0.9", (80, "tcp")),
    )
    listed = mesh.views.for_client(CLIENT).frontends({"a.example": ("10.96.0.9",)})
    first = next(frontend for frontend in listed if "10.96.0.9" in frontend.addresses)
    assert first.service.name == "reviews"
    assert mesh.views.for_client(CLIENT).frontend("10.96.0.9", 80).service.name == "reviews"


def test_hosts_are_listed_in_the_registry_s_order_whatever_came_first():
    mesh = Mesh(*bookinfo())
    mesh.listed()
    mesh.change(service("aaa", "10.96.0.200"))
    listed = list(dict.fromkeys(host for host, _ in mesh.listed()))
    assert listed == [host for host in mesh.views.tables.services if host in listed]
    mesh.change(gone=[ObjectKey("Service", "default", "aaa")])
    assert not any(host.startswith("aaa.") for host, _ in mesh.listed())


def test_equal_sets_of_reads_are_held_once():
    sets = ReadSets()
    reads = [("services", "a", None), ("wildcard_services", None, ())]
    first = sets.of(reads)
    assert sets.of(list(reversed(reads))) is first
    sets.trim(0)
    assert sets.of(reads) is not first


def test_what_changed_is_told_by_place():
    mesh = Mesh(*bookinfo())
    before = mesh.views.tables
    mesh.change(service("*", "10.96.0.12"), make("VirtualService", "r", {"hosts": ["*.example"], "http": []}))
    assert changed_places(mesh.views.tables, before) >= {
        ("virtual_services", "default/r"),
        ("virtual_hosts", "*.example"),
        ("wildcard_virtual_hosts", None),
    }
    assert changed_places(before, before) == frozenset()


def test_a_worker_that_lists_nothing_decodes_no_service():
    mesh = Mesh(*bookinfo())
    first = mesh.views.tables
    mesh.change(service("details", "10.96.0.12"))
    here = apply_update(None, encode_update(None, first))
    views = Views(here)
    views.for_client(CLIENT)
    after = Views(apply_update(here, encode_update(first, mesh.views.tables)), views)
    after.for_client(CLIENT)
    assert all(isinstance(item, msgspec.Raw) for item in after.tables.services._items.values())
