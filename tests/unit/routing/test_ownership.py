"""Addresses and hosts of one namespace, claimed by another's objects."""

from typing import Any

import msgspec
import pytest
from tests.meshes import make, pod, request, service
from tests.unit.routing.claimed import OLDER, OWN, OWNER, entry, findings, rule

from nodemesh.datapath.maps import EntryMode, ServiceKey, unpack_address
from nodemesh.datapath.plan import Planner
from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store
from nodemesh.routing import ownership
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.lookup import Lookup
from nodemesh.routing.ownership import OwnedPlaces, Ranges, place_of
from nodemesh.routing.scope import Scope
from nodemesh.routing.views import Views
from nodemesh.routing.wire import apply_update, encode_update


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


SPELLED = [
    ("::ffff:10.96.0.7", "0:0:0:0:0:ffff:0a01:0007", "::FFFF:10.1.0.8"),
    ("::ffff:10.0.0.0/104",),
    ("::ffff:10.1.0.8/128", "::ffff:10.96.0.7/128"),
]


@pytest.mark.parametrize("addresses", SPELLED)
def test_nor_where_ipv4_is_spelled_as_ipv6(addresses):
    given = [entry(*addresses)]
    assert hosts_at(given) == ["shop", "", "shop", "", ""]
    assert not captured(given), "the kernel keeps IPv4 addresses in their mapped form"
    assert ("address-of-another", "tenant", "spec.addresses[0]") in findings(*given)


def test_nor_with_a_zone_behind_it():
    newer = pod("newer", "fd00::7", {"app": "newer"}, namespace="owner")
    assert not captured([newer, entry("fd00::7%eth0")], ("fd00::7", 9000))


def captured(objects, *more, client="default"):
    """The places of others that lead to what a tenant's objects say, in the kernel or by the proxy."""
    tables = compile_tables(Store().apply("t", [*OWNER, *objects]))
    view = Views(tables).for_client(Client(namespace=client))
    plan = Planner().plan([(0, view)])
    theirs = {host for host, found in tables.services.items() if any(one.namespace == "tenant" for one in found)}
    found = set()
    for key, owner in plan.owners.items():
        if isinstance(key, ServiceKey) and owner.rpartition(":")[0] in theirs:
            place = unpack_address(key.address), key.port
            meant = view.frontend(*place).service
            if plan.entries[key].mode is EntryMode.KERNEL or meant is not None and meant.namespace == "tenant":
                found.add(place)
    return found & {("10.96.0.7", 80), ("10.96.0.7", 9000), ("10.1.0.7", 80), ("10.1.0.8", 9000), *more}


def test_no_service_takes_another_namespaces_address_as_its_external_one():
    ports = [{"port": 80, "name": "http"}, {"port": 9000, "name": "tcp"}]
    mine = ["10.1.0.8", "10.96.0.7", "::ffff:10.1.0.7", "192.0.2.1"]
    spec = {"clusterIP": "10.96.0.66", "externalIPs": mine, "ports": ports, "selector": {"app": "a"}}
    given = [make("Service", "a", spec, namespace="tenant"), entry("192.0.2.77", host="a.example")]
    for client in ("default", "tenant"):
        assert hosts_at(given, client) == ["shop", "", "shop", "", "a"]
        assert not captured(given, client=client)
    named = [("address-of-another", "tenant", f"spec.externalIPs[{index}]") for index in range(3)]
    assert findings(*given)[:3] == named
    found = compile_tables(Store().apply("t", [*OWNER, *given, entry("10.1.0.8")])).owned
    assert found["10.1.0.8"] == "owner", "and who claims it does not come to own it"


def listed(name, *addresses, targets=(), namespace="tenant", **spec):
    """A headless Service with a slice that somebody wrote by hand."""
    ports = [{"port": 80, "name": "http"}, {"port": 9000, "name": "tcp"}]
    endpoints: list[dict[str, Any]] = [{"addresses": [address]} for address in addresses]
    for endpoint, target in zip(endpoints, targets, strict=False):
        endpoint["targetRef"] = {"kind": "Pod", **target}
    slices = {"addressType": "IPv4", "ports": ports, "endpoints": endpoints}
    label = {"kubernetes.io/service-name": name}
    return [
        make("Service", name, {"clusterIP": "None", "ports": ports, **spec}, namespace=namespace),
        make("EndpointSlice", f"{name}-x", slices, namespace=namespace, labels=label),
    ]


PEER = {"name": "bare", "namespace": "owner"}


@pytest.mark.parametrize(
    "objects",
    [
        listed("a", "10.1.0.8", "10.1.0.7"),
        listed("a", "10.1.0.8", "10.1.0.7", targets=[PEER]),
        [entry(host="a.example", endpoints=[{"address": "10.1.0.8"}, {"address": "10.1.0.7"}])],
        [
            entry(host="a.example", endpoints=[], workloadSelector={"labels": {"app": "w"}}),
            make("WorkloadEntry", "w", {"address": "10.1.0.8", "labels": {"app": "w"}}, namespace="tenant"),
            make("WorkloadEntry", "v", {"address": "::ffff:10.1.0.7", "labels": {"app": "w"}}, namespace="tenant"),
        ],
    ],
)
def test_a_pod_dialled_by_its_own_address_gets_no_rules_of_who_lists_it_as_an_endpoint(objects):
    taking = rule("taking", "tenant", 1.0, 418, host="a.tenant.svc.cluster.local")
    assert hosts_at([*objects, taking]) == ["shop", "", "shop", "", ""]
    assert not captured([*objects, taking])


def test_endpoints_that_are_its_own_pods_or_nobodys_are_a_headless_services():
    mine = pod("a-1", "10.1.0.70", {"app": "a"}, namespace="tenant")
    given = [mine, *listed("a", "10.1.0.70", "192.0.2.1", targets=[{"name": "a-1", "namespace": "tenant"}])]
    assert hosts_at(given)[-1] == "a"
    view = Views(compile_tables(Store().apply("t", [*OWNER, *given]))).for_client(Client(namespace="default"))
    assert view.frontend("10.1.0.70", 80).service.name == "a"


def test_a_pod_is_named_by_slices_of_its_own_namespace_alone():
    tables = compile_tables(Store().apply("t", [*OWNER, *listed("a", "10.1.0.8", targets=[PEER])]))
    (found,) = tables.services["a.tenant.svc.cluster.local"][0].endpoints[80]
    assert found.workload == ""


def test_no_entry_takes_the_endpoint_that_a_service_of_another_namespace_has():
    outside = listed("db", "192.0.2.5", namespace="owner", clusterIP="10.96.0.9")
    taking = [*outside, entry("192.0.2.5", host="a.example")]
    assert not captured(taking, ("192.0.2.5", 9000))
    assert ("address-of-another", "tenant", "spec.addresses[0]") in findings(*taking)
    alone = compile_tables(Store().apply("t", [*OWNER, *outside, entry("192.0.2.5", host="a.example", ports=SSH)]))
    view = Views(alone).for_client(Client(namespace="default"))
    assert view.frontend("192.0.2.5", 22).service.host == "a.example", "another port of it is another's"


SSH = [{"number": 22, "name": "tcp-ssh", "protocol": "TCP"}]


def test_the_api_servers_own_address_stays_its_own():
    given = [
        service("kubernetes", "10.96.0.1", (443, "https"), selector={}),
        make("EndpointSlice", "kubernetes", {
            "ports": [{"name": "https", "port": 6443}], "endpoints": [{"addresses": ["172.18.0.2"]}]
        }, labels={"kubernetes.io/service-name": "kubernetes"}),
        entry("172.18.0.2", host="a.example", ports=[{"number": 6443, "name": "tcp", "protocol": "TCP"}]),
    ]  # fmt: skip
    assert not captured(given, ("172.18.0.2", 6443))


HOST = make(
    "Pod", "on-host", {"hostNetwork": True, "status": {"phase": "Running", "podIP": "192.0.2.9"}}, namespace="owner"
)


@pytest.mark.parametrize("address", ["192.0.2.9", "169.254.169.254", "fe80::a9fe"])
def test_addresses_of_nodes_and_links_are_named_and_count_like_networks(address):
    def sees(client, *more):
        tables = compile_tables(Store().apply("t", [*OWNER, HOST, entry(address), *more]))
        view = Views(tables).for_client(Client(namespace=client))
        kernel = [one for one in view.frontends({}) if one.service and one.service.host == "any.example"]
        found = view.frontend(address, 9000).service is not None
        assert any(address in one.addresses for one in kernel) == found
        return found

    assert ("address-of-another", "tenant", "spec.addresses[0]") in findings(HOST, entry(address))
    assert not findings(HOST, entry(address, exportTo=["."]))
    assert [sees(client) for client in ("default", "tenant")] == [True, True]
    assert [sees(client, OWNERSHIP) for client in ("default", "tenant")] == [False, True]


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("www.google.com.owner.svc.cluster.local", "www.google.com.owner.svc.cluster.local"),
        ("*.owner.svc.cluster.local", "nosuch.owner.svc.cluster.local"),
        ("*.com.owner.svc.cluster.local.", "a.com.owner.svc.cluster.local"),
        ("*.svc.cluster.local", "nosuch.owner.svc.cluster.local"),
        ("*.local", "nosuch.owner.svc.cluster.local"),
    ],
)
def test_names_below_the_clusters_domain_are_their_namespaces(host, asked):
    """A pod's resolver asks for www.google.com.owner.svc.cluster.local before www.google.com."""
    given = entry("192.0.2.1", host=host)

    def means(client, *more):
        tables = compile_tables(Store().apply("t", [*OWNER, given, *more]))
        return Lookup(tables, Client(namespace=client), Scope(None, tables.mesh)).named_service(asked, 80) is not None

    assert ("address-of-another", "tenant", "spec.hosts") in findings(given)
    assert [means(client) for client in ("owner", "tenant")] == [True, True], "Istio's meaning"
    assert [means(client, OWNERSHIP) for client in ("owner", "tenant")] == [False, True]
    own = entry("192.0.2.1", host=host, exportTo=["."]), entry("192.0.2.1", host=host, namespace="istio-system")
    assert not [found for item in own for found in findings(item) if found[2] == "spec.hosts"]


def test_a_name_that_leads_to_a_links_own_address_is_such_a_claim():
    named = entry(resolution="DNS", endpoints=[], host="evil.example")
    resolved = {"evil.example": ("169.254.169.254", "192.0.2.1")}
    found = {}
    for client in ("default", "tenant"):
        views = Views(compile_tables(Store().apply("t", [*OWNER, named, OWNERSHIP])))
        views.set_resolved(resolved)
        view = views.for_client(Client(namespace=client))
        (one,) = (
            one for one in view.frontends(resolved) if one.service and one.service.kind != "Service" and one.port == 80
        )
        found[client] = one.addresses
        assert (view.frontend("169.254.169.254", 80).service is not None) == ("169.254.169.254" in one.addresses)
    assert found == {"default": ("192.0.2.1",), "tenant": ("169.254.169.254", "192.0.2.1")}


def test_holders_of_one_place_leave_it_one_by_one():
    """Two Services have the same endpoint, two pods a node's address."""
    both = [*listed("db", "192.0.2.5", namespace="owner"), *listed("db", "192.0.2.5", namespace="second")]
    hosts = [HOST, make("Pod", "other", msgspec.to_builtins(HOST.spec), namespace="second")]
    store = Store()
    tables = compile_tables(store.apply("t", [*both, *hosts, entry("192.0.2.5", "192.0.2.9")]))
    assert tables.owned == {"192.0.2.5 80": "owner", "192.0.2.5 9000": "owner", "192.0.2.9": ""}
    tables = compile_tables(store.apply("t", removed=[key_of(item) for item in (*both[:2], hosts[0])]), tables)
    assert tables.owned == {"192.0.2.5 80": "second", "192.0.2.5 9000": "second", "192.0.2.9": ""}
    tables = compile_tables(store.apply("t", removed=[key_of(item) for item in (*both[2:], hosts[1])]), tables)
    assert tables.owned == {}


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


def status_for(client, *objects):
    view = Views(compile_tables(Store().apply("t", [*OWNER, *objects]))).for_client(Client(namespace=client))
    return view.http(view.frontend("10.96.0.7", 80), request(host="shop.owner.svc.cluster.local")).status


OWNERSHIP = make("MeshConfig", "m", {"hostOwnership": "namespace"})


def test_the_older_rule_of_another_namespace_counts_unless_hosts_are_owned():
    assert status_for("default", OLDER, OWN) == 418  # Istio's meaning
    assert [status_for(client, OLDER, OWN, OWNERSHIP) for client in ("default", "owner", "tenant")] == [200, 200, 418]
    wide = rule("wide", "tenant", 1.0, 418, host="*.owner.svc.cluster.local")
    assert status_for("default", wide, OWN, OWNERSHIP) == 200
    assert status_for("default", rule("root", "istio-system", 1.0, 503), OWN, OWNERSHIP) == 503
    assert status_for("default", rule("only", "tenant", 1.0, 418, host="any.example"), OWN, OWNERSHIP) == 200


def test_who_declares_anothers_host_once_more_does_not_own_it():
    declared = entry(host="SHOP.owner.svc.cluster.local.", addresses=["192.0.2.1"])
    assert status_for("default", OLDER, OWN, OWNERSHIP, declared) == 200
    theirs = entry(host="api.example", namespace="owner", name="first", created=1.0)
    second = entry(host="api.example", addresses=["192.0.2.1"], created=2.0)
    taking = rule("taking", "tenant", 1.0, 418, host="api.example")
    wide = entry(host="*.example", namespace="owner", name="wide", created=1.0, resolution="NONE", endpoints=[])

    def rules(client, *objects):
        tables = compile_tables(Store().apply("t", [*OWNER, taking, OWNERSHIP, *objects]))
        seeing = Client(namespace=client)
        found = Lookup(tables, seeing, Scope(None, tables.mesh)).virtual_service("api.example")
        return found.key if found is not None else ""

    for objects in ((theirs, second), (wide,), (theirs,)):
        assert [rules(client, *objects) for client in ("default", "owner", "tenant")] == ["", "", "tenant/taking"]
    hidden = entry(host="api.example", namespace="owner", name="first", created=1.0, exportTo=["."])
    assert [rules(client, hidden, second) for client in ("default", "owner")] == ["tenant/taking", ""]
    assert rules("default") == "tenant/taking", "it is nobody's"


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
