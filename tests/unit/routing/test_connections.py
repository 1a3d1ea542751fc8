import pytest
from tests.meshes import make, pod, service, view_of, views_of

from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.routing.decision import Failure, Route
from nodemesh.routing.frontend import Mode

OBJECTS = [
    service("db", "10.96.0.1", (5432, "tcp"), (443, "https"), (7000, "")),
    service("other", "10.96.0.2", (5432, "tcp")),
    pod("p", "10.1.0.1", {"app": "db"}),
]
TO_OTHER = {"route": [{"destination": {"host": "other"}}]}
TO_DB = {"route": [{"destination": {"host": "db"}}]}


def view(**spec):
    labels = spec.pop("labels", {})
    return view_of(*OBJECTS, make("VirtualService", "db", {"hosts": ["db"], **spec}), labels=labels)


def target(decision):
    assert isinstance(decision, Route), decision
    return decision.destinations[0].cluster_name.split("|")[-1].split(".")[0]


def test_without_rules_a_connection_goes_to_its_service():
    plain = view_of(*OBJECTS)
    assert target(plain.tcp(plain.frontend("10.96.0.1", 5432))) == "db"
    assert target(plain.tls(plain.frontend("10.96.0.1", 443), "anything")) == "db"


def test_tcp_rules_match_port_subnet_and_client():
    found = view(
        tcp=[
            {"match": [{"port": 1}], **TO_DB},
            {"match": [{"sourceLabels": {"app": "x"}}], **TO_DB},
            {"match": [{"port": 5432, "destinationSubnets": ["10.96.0.0/16"]}], **TO_OTHER},
        ]
    )
    assert target(found.tcp(found.frontend("10.96.0.1", 5432))) == "other"
    missed = view(tcp=[{"match": [{"destinationSubnets": ["192.0.2.0/24"]}], **TO_OTHER}])
    assert target(missed.tcp(missed.frontend("10.96.0.1", 5432))) == "db"  # the service takes the rest


def test_rules_for_other_ports_leave_the_default():
    found = view(tcp=[{"match": [{"port": 1}], **TO_OTHER}])
    assert target(found.tcp(found.frontend("10.96.0.1", 5432))) == "db"


def test_tls_rules_go_by_server_name():
    found = view(
        tls=[
            {"match": [{"port": 443, "sniHosts": ["a.example.com", "*.b.example.com"]}], **TO_OTHER},
            {"match": [{"sniHosts": ["db"]}], **TO_DB},
        ]
    )
    frontend = found.frontend("10.96.0.1", 443)
    assert target(found.tls(frontend, "A.example.com")) == "other"
    assert target(found.tls(frontend, "x.b.example.com")) == "other"
    assert target(found.tls(frontend, "db")) == "db"
    for name in ("b.example.com", ""):  # unknown names pass
        assert found.tls(frontend, name).reason is Reason.PASSTHROUGH


def test_an_unknown_address_goes_by_the_server_name_that_the_registry_knows():
    entry = make(
        "ServiceEntry",
        "e",
        {"hosts": ["*.example.com"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]},
    )
    found = view_of(*OBJECTS, entry)
    frontend = found.frontend("192.0.2.9", 443)
    assert found.tls(frontend, "a.example.com").destinations[0].cluster_name == "outbound|443||*.example.com"
    assert found.tls(frontend, "a.example.org").reason is Reason.PASSTHROUGH
    assert found.tcp(frontend).reason is Reason.PASSTHROUGH


# === several names at one address

SHARED = "192.0.2.7"
CLOSED = make("MeshConfig", "m", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})


def tls_entry(host, protocol="TLS", **spec):
    port = {"number": 443, "name": "tls", "protocol": protocol}
    spec = {"hosts": [host], "ports": [port], "resolution": "DNS", **spec}
    return make("ServiceEntry", "e-" + host.replace("*", "any"), spec)


def tls_rule(*names, to="other", name="rule", **meta):
    route = [{"destination": {"host": f"{to}.default.svc.cluster.local"}}]
    tls = [{"match": [{"sniHosts": [sni]}], "route": route} for sni in names]
    return make("VirtualService", name, {"hosts": list(names), "tls": tls}, **meta)


def shared(*objects, hosts=("api.example",)):
    """A client whose names are all at one address in the DNS."""
    views = views_of(*OBJECTS, *objects)
    views.set_resolved(dict.fromkeys(hosts, (SHARED,)))
    return views.for_client(Client(namespace="default"))


def cluster(view, name, address=SHARED):
    decision = view.tls(view.frontend(address, 443), name)
    if isinstance(decision, Failure):
        return decision.reason
    return decision.destinations[0].cluster_name


@pytest.mark.parametrize("protocol", ["TLS", "HTTPS"])
def test_the_server_name_decides_at_an_address_that_names_share(protocol):
    api, www = tls_entry("api.example", protocol), tls_entry("www.example", protocol)
    for rules in ([], [tls_rule("api.example")]):
        to_api = "outbound|443||other.default.svc.cluster.local" if rules else "outbound|443||api.example"
        if rules:
            to_api = "outbound|5432||other.default.svc.cluster.local"
        view = shared(api, *rules)
        assert cluster(view, "api.example") == to_api
        assert cluster(view, "www.example") == cluster(view, "") == "PassthroughCluster"
        view = shared(api, CLOSED, *rules)
        assert cluster(view, "api.example") == to_api
        assert cluster(view, "www.example") is cluster(view, "") is Reason.BLACKHOLE
        for hosts in (("api.example", "www.example"), ("www.example", "api.example"), ("api.example",)):
            view = shared(api, www, *rules, hosts=hosts)
            assert (
                cluster(view, "api.example") == to_api and cluster(view, "WWW.example") == "outbound|443||www.example"
            )


def test_in_a_network_the_server_name_decides_too():
    for resolution in ("STATIC", "NONE"):
        spec = {"endpoints": [{"address": "198.51.100.1"}]} if resolution == "STATIC" else {}
        net = tls_entry("api.example", addresses=["203.0.113.0/24"], resolution=resolution, **spec)
        view = shared(net, tls_entry("www.example"), hosts=())
        assert cluster(view, "api.example", "203.0.113.9") == "outbound|443||api.example"
        assert cluster(view, "www.example", "203.0.113.9") == "outbound|443||www.example"
        assert cluster(view, "x.example", "203.0.113.9") == "PassthroughCluster"
        assert cluster(view, "api.example", "192.0.2.9") == "PassthroughCluster"  # outside of its network
        closed = shared(net, CLOSED, hosts=())
        assert cluster(closed, "x.example", "203.0.113.9") is Reason.BLACKHOLE
        assert closed.frontend("203.0.113.9", 443).mode is Mode.PROXY
        assert (view.frontend("203.0.113.9", 443).mode is Mode.PROXY) is (resolution == "STATIC")


def test_an_address_of_its_own_means_the_service_whatever_the_name():
    own = tls_entry(
        "api.example", addresses=["240.0.0.1"], resolution="STATIC", endpoints=[{"address": "198.51.100.1"}]
    )
    view = shared(own, hosts=())
    assert cluster(view, "www.example", "240.0.0.1") == cluster(view, "", "240.0.0.1") == "outbound|443||api.example"
    assert cluster(view, "api.example") == "PassthroughCluster"  # nor does its name mean it elsewhere
    assert cluster(view, "db.default.svc.cluster.local") == "PassthroughCluster"
    assert cluster(view, "x", "10.96.0.1") == "outbound|443||db.default.svc.cluster.local"


def test_an_endpoint_of_an_entry_without_addresses_is_asked_for_by_name():
    view = shared(tls_entry("api.example", resolution="STATIC", endpoints=[{"address": "198.51.100.1"}]), hosts=())
    assert cluster(view, "api.example", "198.51.100.1") == "outbound|443||api.example"
    assert cluster(view, "www.example", "198.51.100.1") == "PassthroughCluster"


def test_rules_for_names_under_a_wildcard_of_the_registry():
    wide = tls_entry("*.example", resolution="NONE")
    assert cluster(shared(wide, hosts=()), "b.example") == "outbound|443||*.example"
    view = shared(wide, tls_rule("a.example"), tls_rule("b.example", to="db", name="second"), hosts=())
    assert "|other." in cluster(view, "a.example")
    assert "|db." in cluster(view, "b.example")
    assert cluster(view, "c.example") == "PassthroughCluster"  # with rules only their names are known


def test_the_most_specific_server_name_wins_whatever_the_order():
    for names in (("*.example", "a.example"), ("a.example", "*.example")):
        tls = [
            {"match": [{"sniHosts": [name]}], "route": TO_DB["route"] if name.startswith("*") else TO_OTHER["route"]}
            for name in names
        ]
        rules = make("VirtualService", "r", {"hosts": ["*.example"], "tls": tls})
        view = shared(tls_entry("*.example", resolution="NONE"), rules, hosts=())
        assert "|other." in cluster(view, "a.example") and "|db." in cluster(view, "b.example")


def test_tcp_rules_are_not_for_ports_of_tls_and_the_longest_subnet_wins():
    found = view(tcp=[TO_OTHER])
    assert target(found.tcp(found.frontend("10.96.0.1", 5432))) == "other"
    assert target(found.tls(found.frontend("10.96.0.1", 443), "x")) == "db"
    subnets = [("10.0.0.0/8", TO_DB), ("10.96.0.0/24", TO_OTHER)]
    found = view(tcp=[{"match": [{"destinationSubnets": [subnet]}], **to} for subnet, to in subnets])
    assert target(found.tcp(found.frontend("10.96.0.1", 5432))) == "other"


def test_connections_go_by_the_rules_of_all_virtual_services_of_the_host():
    http = make("VirtualService", "a", {"hosts": ["db"], "http": [{"directResponse": {"status": 200}}]})
    tcp = make("VirtualService", "b", {"hosts": ["*.default.svc.cluster.local"], "tcp": [TO_OTHER]}, created=1.0)
    late = make("VirtualService", "c", {"hosts": ["db"], "tcp": [TO_DB]}, created=2.0)
    found = view_of(*OBJECTS, http, tcp, late)
    assert target(found.tcp(found.frontend("10.96.0.1", 5432))) == "other"
