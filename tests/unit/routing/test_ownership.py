"""Addresses and hosts of one namespace, claimed by another's objects."""

import pytest
from tests.meshes import make, pod, request, service

from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store
from nodemesh.routing import ownership
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.lint import lint
from nodemesh.routing.ownership import OwnedPlaces, Ranges, place_of
from nodemesh.routing.views import Views
from nodemesh.routing.wire import apply_update, encode_update

OWNER = [
    service("shop", "10.96.0.7", (80, "http"), namespace="owner"),
    pod("shop-1", "10.1.0.7", {"app": "shop"}, namespace="owner"),
    pod("bare", "10.1.0.8", {"app": "bare"}, namespace="owner"),
]


def entry(*addresses: str, host="any.example", namespace="tenant", name="e", **spec):
    given = {
        "hosts": [host],
        "addresses": addresses,
        "ports": [{"number": number, "name": f"tcp-{number}", "protocol": "TCP"} for number in (80, 9000)],
        "resolution": "STATIC",
        "endpoints": [{"address": "10.1.0.66"}],
        **spec,
    }
    return make("ServiceEntry", name, given, namespace=namespace)


def hosts_at(objects, client="default", **more):
    """What each dialled place means to a client: the host, or nothing."""
    store = Store()
    store.apply("t", OWNER)
    tables = compile_tables(store.apply("t", objects))
    view = Views(apply_update(None, encode_update(None, tables))).for_client(Client(namespace=client))
    places = [("10.96.0.7", 80), ("10.96.0.7", 9000), ("10.1.0.7", 80), ("10.1.0.8", 9000), ("192.0.2.1", 9000)]
    found = [view.frontend(*place).service for place in places]
    return [service.host.partition(".")[0] if service is not None else "" for service in found]


@pytest.mark.parametrize(
    "addresses", [("10.96.0.7", "10.1.0.7", "10.1.0.8"), ("10.0.0.0/8",), ("10.1.0.8/32", "10.96.0.7/32")]
)
@pytest.mark.parametrize("client", ["default", "owner", "tenant"])
def test_no_entry_takes_another_namespaces_address(addresses, client):
    assert hosts_at([entry(*addresses)], client) == ["shop", "", "shop", "", ""]


def test_a_network_of_everything_takes_what_nobody_has():
    assert hosts_at([entry("0.0.0.0/0")]) == ["shop", "", "shop", "", "any"]


def test_an_entry_of_the_same_namespace_may():
    assert hosts_at([entry("10.1.0.8", namespace="owner")]) == ["shop", "", "shop", "any", ""]


def test_the_kernel_gets_none_of_them_either():
    tables = compile_tables(Store().apply("t", [*OWNER, entry("10.96.0.7", "10.1.0.8", "192.0.2.1")]))
    view = Views(tables).for_client(Client(namespace="default"))
    (found,) = (
        frontend for frontend in view.frontends({}) if frontend.service.host == "any.example" and frontend.port == 80
    )
    assert found.addresses == ("192.0.2.1",)


def test_nor_by_a_name_that_leads_to_them():
    named = entry(resolution="DNS", endpoints=[], host="evil.example")
    tables = compile_tables(Store().apply("t", [*OWNER, named]))
    views = Views(tables)
    resolved = {"evil.example": ("10.96.0.7", "10.1.0.7", "192.0.2.1")}
    views.set_resolved(resolved)
    view = views.for_client(Client(namespace="default"))
    hosts = [view.frontend(address, 80).service.host for address in resolved["evil.example"]]
    assert [host.partition(".")[0] for host in hosts] == ["shop", "shop", "evil"]
    found = [
        frontend.addresses for frontend in view.frontends(resolved)
        if frontend.service is not None and frontend.service.host == "evil.example" and frontend.port == 80
    ]  # fmt: skip
    assert found == [("192.0.2.1",)]


def test_a_pod_that_comes_later_takes_its_address_back_and_gives_it_up():
    store = Store()
    tables = compile_tables(store.apply("t", [entry("10.1.0.9", "10.1.0.0/24")]))
    late = pod("late", "10.1.0.9", {"app": "late"}, namespace="owner")

    def means(views):
        service = views.for_client(Client(namespace="default")).frontend("10.1.0.9", 9000).service
        kernel = [frontend.addresses for frontend in views.for_client(Client(namespace="default")).frontends({})]
        return service is not None, any("10.1.0.9" in addresses for addresses in kernel)

    views = Views(tables)
    assert means(views) == (True, True)
    tables = compile_tables(store.apply("t", [late]), tables)
    views = Views(tables, views)
    assert means(views) == (False, False)
    tables = compile_tables(store.apply("t", removed=[key_of(late)]), tables)
    assert means(Views(tables, views)) == (True, True)


def rule(name, namespace, created, status, host="shop.owner.svc.cluster.local", **spec):
    given = {"hosts": [host], "http": [{"directResponse": {"status": status}}], **spec}
    return make("VirtualService", name, given, namespace=namespace, created=created)


def status_for(client, *objects):
    view = Views(compile_tables(Store().apply("t", [*OWNER, *objects]))).for_client(Client(namespace=client))
    return view.http(view.frontend("10.96.0.7", 80), request(host="shop.owner.svc.cluster.local")).status


OLDER, OWN = rule("older", "tenant", 1.0, 418), rule("own", "owner", 2.0, 200)
OWNERSHIP = make("MeshConfig", "m", {"hostOwnership": "namespace"})


def test_the_older_rule_of_another_namespace_counts_unless_hosts_are_owned():
    assert status_for("default", OLDER, OWN) == 418  # Istio's meaning
    assert [status_for(client, OLDER, OWN, OWNERSHIP) for client in ("default", "owner", "tenant")] == [200, 200, 418]
    wide = rule("wide", "tenant", 1.0, 418, host="*.owner.svc.cluster.local")
    assert status_for("default", wide, OWN, OWNERSHIP) == 200
    assert status_for("default", rule("root", "istio-system", 1.0, 503), OWN, OWNERSHIP) == 503
    assert status_for("default", rule("only", "tenant", 1.0, 418, host="any.example"), OWN, OWNERSHIP) == 200


@pytest.mark.parametrize(
    "networks", [("0.0.0.0/0",), ("0.0.0.0/1", "128.0.0.0/1"), ("192.0.2.0/24",), ("192.0.2.1/32",)]
)
def test_where_hosts_are_owned_networks_count_for_their_own_namespace(networks):
    found = {client: hosts_at([entry(*networks), OWNERSHIP], client)[-1] for client in ("default", "owner", "tenant")}
    assert found == {"default": "", "owner": "", "tenant": "any"}
    assert hosts_at([entry(*networks, namespace="istio-system"), OWNERSHIP])[-1] == "any"
    assert hosts_at([entry("192.0.2.1"), OWNERSHIP])[-1] == "any", "an address is not a network"


def test_nor_does_the_kernel_get_such_networks():
    tables = compile_tables(Store().apply("t", [*OWNER, entry("192.0.2.0/24", "198.51.100.1"), OWNERSHIP]))
    found = {
        client: {
            frontend.addresses
            for frontend in Views(tables).for_client(Client(namespace=client)).frontends({})
            if frontend.service is not None and frontend.service.host == "any.example"
        }
        for client in ("default", "tenant")
    }
    assert found == {"default": {("198.51.100.1",)}, "tenant": {("192.0.2.0/24", "198.51.100.1")}}


def findings(*objects):
    return [(found.code, found.namespace, found.path) for found in lint(Store().apply("t", [*OWNER, *objects]))]


def test_claims_are_named_at_their_place():
    host = ("host-of-another", "tenant", "spec.hosts[0]")
    address = ("address-of-another", "tenant", "spec.addresses[0]")
    assert host in findings(OLDER, OWN)
    assert host in findings(rule("wide", "tenant", 1.0, 418, host="*.owner.svc.cluster.local"))
    for addresses in (("10.1.0.8",), ("10.96.0.7",), ("10.96.0.0/16",), ("10.1.0.0/24",), ("0.0.0.0/0",), ("::/0",)):
        assert address in findings(entry(*addresses)), addresses
    entry_host = ("address-of-another", "tenant", "spec.hosts")
    assert entry_host in findings(entry(host="shop.owner.svc.cluster.local"))
    innocent = [
        rule("mine", "tenant", 1.0, 418, exportTo=["."]), OWN, rule("root", "istio-system", 1.0, 200),
        entry("192.0.2.0/24"), entry("10.1.0.8", namespace="owner", name="o"),
        entry("0.0.0.0/0", namespace="istio-system", name="r"),
    ]  # fmt: skip
    assert not {code for code, _, _ in findings(*innocent)} & {"host-of-another", "address-of-another"}


NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "192.168.0.0/24", "fd00::/8", "0.0.0.0/1"]
ADDRESSES = {
    "10.1.0.1": "a",
    "10.1.0.2": "a",
    "10.2.0.1": "b",
    "200.0.0.1": "c",
    "fd00::1": "a",
    "fe00::1": "b",
    "x": "c",
}


def test_networks_cover_addresses_and_know_whose_are_in_them():
    ranges = Ranges(frozenset([*NETWORKS, "200.0.0.2"]))
    covered = {address for address in [*ADDRESSES, "200.0.0.2"] if ranges.cover(address)}
    assert covered == {"10.1.0.1", "10.1.0.2", "10.2.0.1", "fd00::1", "200.0.0.2"}
    places = OwnedPlaces(ADDRESSES)
    found = {text: places.namespaces_in(network) for text, network in ranges.networks.items()}
    assert found == {
        "10.0.0.0/8": ("a", "b"),
        "10.1.0.0/16": ("a",),
        "192.168.0.0/24": (),
        "fd00::/8": ("a",),
        "0.0.0.0/1": ("a", "b"),
    }


def test_no_address_is_held_against_all_networks_of_a_tenant(monkeypatch):
    read = []
    monkeypatch.setattr(ownership, "place_of", lambda address: read.append(address) or place_of(address))
    ranges = Ranges(frozenset(f"10.{number}.0.0/24" for number in range(0, 250, 2)))
    assert not ranges.cover("11.0.0.1") and ranges.cover("10.8.0.1") and len(read) == 2
    places = OwnedPlaces(ADDRESSES)
    assert {places.namespaces_in(network) for network in ranges.networks.values()} == {(), ("b",)}
    assert len(read) == 2 + len(ADDRESSES)
