"""Who sees which rule: exportTo, precedence, wildcards, Sidecars, DestinationRule lookup."""

from hypothesis import given
from hypothesis import strategies as st
from tests.meshes import make, pod, request, service, views_of

from nodemesh.registry.snapshot import Protocol
from nodemesh.registry.store import Store
from nodemesh.routing import lookup
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import DirectResponse, Failure, Route
from nodemesh.routing.frontend import Mode
from nodemesh.routing.names import covers
from nodemesh.routing.scope import Import, Scope


def answer(status):
    return {"directResponse": {"status": status}}


def rules(name, hosts, *http, namespace="default", created=0.0, **spec):
    return make(
        "VirtualService", name, {"hosts": hosts, "http": list(http), **spec}, namespace=namespace, created=created
    )


def policy(name, host, namespace, created=0.0, **spec):
    return make("DestinationRule", name, {"host": host, **spec}, namespace=namespace, created=created)


def ask(objects, host="web.shop.svc.cluster.local", namespace="default", path="/", labels=None):
    view = views_of(service("web", "10.96.0.1", namespace="shop"), *objects).for_client(
        Client(namespace=namespace, labels=labels or {})
    )
    return view.http(view.frontend("10.96.0.1", 80), request(path, host))


def status(objects, **question):
    decision = ask(objects, **question)
    return decision.status if isinstance(decision, DirectResponse | Failure) else "route"


def max_connections(objects, **question):
    decision = ask(objects, **question)
    assert isinstance(decision, Route)
    return decision.destinations[0].cluster.pool.max_connections


def limit(number):
    return {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": number}}}}


HOST = "web.shop.svc.cluster.local"


def test_short_names_mean_the_rules_own_namespace():
    assert status([rules("r", ["web"], answer(201), namespace="shop")]) == 201
    assert status([rules("r", ["web"], answer(201), namespace="default")]) == "route"
    assert status([rules("r", ["web.shop"], answer(201), namespace="shop")]) == "route"  # dotted: not completed


def test_export_to_is_judged_by_the_clients_namespace():
    own = rules("r", ["web"], answer(201), namespace="shop", exportTo=["."])
    assert status([own], namespace="shop") == 201
    assert status([own], namespace="default") == "route"
    named = rules("r", ["web"], answer(201), namespace="shop", exportTo=["default"])
    assert status([named], namespace="default") == 201 and status([named], namespace="shop") == "route"


def test_the_oldest_wins_and_is_not_merged():
    old = rules("z", [HOST], {"match": [{"uri": {"prefix": "/old"}}], **answer(201)}, created=1.0)
    new = rules("a", [HOST], answer(202), created=2.0)
    assert status([new, old], path="/old") == 201
    assert status([new, old], path="/other") == 404


def test_private_rules_come_before_public_ones_whatever_their_age():
    public = rules("a", [HOST], answer(201), namespace="shop", created=1.0)
    private = rules("b", [HOST], answer(202), created=2.0, exportTo=["."])
    assert status([public, private], namespace="default") == 202
    assert status([public, private], namespace="shop") == 201


def test_the_most_specific_host_wins():
    everything = rules("a", ["*.svc.cluster.local"], answer(201), created=1.0)
    namespace = rules("b", ["*.shop.svc.cluster.local"], answer(202), created=2.0)
    exact = rules("c", [HOST], answer(203), created=3.0)
    assert status([everything]) == 201
    assert status([everything, namespace]) == 202
    assert status([everything, namespace, exact]) == 203


def test_rules_that_all_fall_away_leave_the_default_route():
    other = rules("r", [HOST], {"match": [{"sourceLabels": {"app": "x"}}], **answer(201)})
    assert status([other]) == "route" and status([other], labels={"app": "x"}) == 201
    gateway_only = rules("r", [HOST], {"match": [{"gateways": ["gw"]}], **answer(201)}, gateways=["mesh", "gw"])
    assert status([gateway_only]) == "route"
    port = rules("r", [HOST], {"match": [{"port": 81}], **answer(201)})
    assert status([port]) == "route"


def test_gateways_in_a_match_switch_source_labels_off():
    match = {"gateways": ["mesh"], "sourceLabels": {"app": "x"}, "sourceNamespace": "nowhere"}
    assert status([rules("r", [HOST], {"match": [match], **answer(201)})]) == 201


def test_a_rule_for_a_gateway_is_none_for_the_mesh():
    assert status([rules("r", [HOST], answer(201), gateways=["gw"])]) == "route"


def test_hosts_outside_the_registry_have_rules_on_port_80():
    outside = rules("r", ["old.example.com"], answer(201))
    assert status([outside], host="old.example.com") == 201
    assert isinstance(ask([], host="old.example.com"), Route)


def test_destination_rules_clients_namespace_then_services_then_root():
    own = policy("c", HOST, "default", **limit(1))
    services = policy("s", "web", "shop", **limit(2))
    root = policy("r", HOST, "istio-system", **limit(3))
    assert max_connections([own, services, root]) == 1
    assert max_connections([own, services, root], namespace="other") == 2
    assert max_connections([own, root], namespace="other") == 3


def test_the_first_step_with_a_rule_decides_even_by_a_wildcard():
    own = policy("c", "*.svc.cluster.local", "default", **limit(1))
    services = policy("s", "web", "shop", **limit(2))
    assert max_connections([own, services]) == 1


def test_destination_rules_of_one_host_and_namespace_are_merged():
    first = policy("a", "web", "shop", created=1.0, subsets=[{"name": "v1", "labels": {"v": "1"}}], **limit(1))
    second = policy("b", "web", "shop", created=2.0, subsets=[{"name": "v2", "labels": {"v": "2"}}], **limit(2))
    to_v2 = rules("r", [HOST], {"route": [{"destination": {"host": HOST, "subset": "v2"}}]})
    decision = ask([second, first, to_v2, pod("p", "10.1.0.1", {"app": "web", "v": "2"}, namespace="shop")])
    cluster = decision.destinations[0].cluster
    assert cluster.pool.max_connections == 1 and [entry.address for entry in cluster.endpoints] == ["10.1.0.1"]


def test_a_workload_selector_limits_a_rule_to_its_clients():
    chosen = policy("c", HOST, "default", workloadSelector={"matchLabels": {"app": "x"}}, **limit(1))
    general = policy("d", HOST, "default", **limit(2))
    assert max_connections([chosen, general], labels={"app": "x"}) == 1
    assert max_connections([chosen, general], labels={"app": "y"}) == 2
    assert max_connections([chosen, general], namespace="other") != 1


def test_clusters_with_other_policies_have_other_keys():
    own = policy("c", HOST, "default", **limit(1))
    services = policy("s", "web", "shop", **limit(2))
    keys = {
        ask([own, services], namespace=namespace).destinations[0].cluster.key for namespace in ("default", "a", "shop")
    }
    assert keys == {f"outbound|80||{HOST}", f"outbound|80||{HOST}#default/c"}


def test_a_sidecar_scopes_what_its_workloads_see():
    sidecar = make("Sidecar", "s", {"egress": [{"hosts": ["./*", "other/*"]}]})
    decision = ask([sidecar])
    assert decision.destinations[0].cluster_name == "PassthroughCluster"
    assert ask([sidecar], namespace="shop").destinations[0].cluster_name == f"outbound|80||{HOST}"
    wide = make("Sidecar", "s", {"egress": [{"hosts": ["shop/*"]}]})
    assert ask([wide]).destinations[0].cluster_name == f"outbound|80||{HOST}"


def test_a_sidecars_empty_traffic_policy_is_registry_only():
    sidecar = make("Sidecar", "s", {"outboundTrafficPolicy": {}})
    assert status([sidecar], host="unknown.example.com") == 502
    selective = make("Sidecar", "s", {"outboundTrafficPolicy": {}, "workloadSelector": {"labels": {"app": "x"}}})
    assert status([selective], host="unknown.example.com") == "route"
    assert status([selective], host="unknown.example.com", labels={"app": "x"}) == 502


def test_a_services_own_export_to_hides_it():
    hidden = service("web", "10.96.0.1", namespace="shop", annotations={"networking.istio.io/exportTo": "."})
    view = views_of(hidden).for_client(Client(namespace="default"))
    assert view.frontend("10.96.0.1", 80).service is None
    assert views_of(hidden).for_client(Client(namespace="shop")).frontend("10.96.0.1", 80).service is not None


def test_an_entry_of_the_clients_namespace_comes_before_the_service():
    entry = make(
        "ServiceEntry",
        "e",
        {"hosts": [HOST], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "STATIC",
         "endpoints": [{"address": "192.0.2.1"}]},
    )  # fmt: skip
    assert [entry.address for entry in ask([entry]).destinations[0].cluster.endpoints] == ["192.0.2.1"]
    assert ask([entry], namespace="shop").destinations[0].cluster.endpoints == ()


def test_clients_that_no_rule_tells_apart_share_a_view():
    views = views_of(service("web", "10.96.0.1"), rules("r", [HOST], {"match": [{"sourceLabels": {"app": "x"}}]}))
    one = views.for_client(Client(namespace="a", labels={"app": "y", "pod": "1"}, name="p1"))
    assert views.for_client(Client(namespace="a", labels={"app": "y", "pod": "2"}, name="p2")) is one
    assert views.for_client(Client(namespace="a", labels={"app": "x"})) is not one
    assert views.for_client(Client(namespace="b", labels={"app": "y"})) is not one


def test_unknown_destinations_go_to_the_sidecars_egress_proxy():
    policy_spec = {"mode": "ALLOW_ANY", "egressProxy": {"host": HOST, "port": {"number": 80}}}
    sidecar = make("Sidecar", "s", {"outboundTrafficPolicy": policy_spec})
    decision = ask([sidecar], host="unknown.example.com")
    assert [entry.cluster_name for entry in decision.destinations] == [f"outbound|80||{HOST}"]


def test_plain_http_to_unknown_hosts_goes_by_its_host_where_the_mesh_says_so():
    mesh = make("MeshConfig", "m", {"outboundTrafficPolicy": {"mode": "ALLOW_ANY_DYNAMIC_DNS"}})
    decision = ask([mesh], host="unknown.example.com")
    assert [entry.cluster_name for entry in decision.destinations] == ["AllowAnyDynamicDNSCluster"]
    assert decision.destinations[0].cluster.tls is None and decision.name == "allow_any_dynamic_dns"
    view = views_of(mesh).for_client(Client(namespace="default"))
    nobody = view.frontend("192.0.2.1", 80)
    assert nobody.mode is Mode.PROXY and "ALLOW_ANY_DYNAMIC_DNS" in nobody.mode_reason
    assert view.frontend("192.0.2.1", 3306).protocol is Protocol.TCP, "its server speaks first"
    assert view.tcp(nobody).destinations[0].cluster_name == "PassthroughCluster"
    assert view.tls(nobody, "unknown.example.com").destinations[0].cluster_name == "PassthroughCluster"
    for policy, cluster in (({"mode": "ALLOW_ANY"}, "PassthroughCluster"), ({}, None)):
        sidecar = make("Sidecar", "s", {"outboundTrafficPolicy": policy})
        found = ask([mesh, sidecar], host="unknown.example.com")
        assert (found.destinations[0].cluster_name if cluster else found.status) == (cluster or 502)


def test_names_that_nobody_has_cost_one_look_at_all_services_together(monkeypatch):
    """A client asks for as many names as it likes."""
    looks = []
    monkeypatch.setattr(lookup, "covers", lambda *names: looks.append(names) or covers(*names))
    services = [service(f"s{number}", f"10.97.0.{number}") for number in range(50)]
    wild = rules("wild", ["*.nowhere.example"], answer(204))
    view = views_of(service("web", "10.96.0.1"), *services, wild).for_client(Client(namespace="default"))
    web = view.frontend("10.96.0.1", 80)
    found = [view.http(web, request("/", f"n{number}.nowhere.example")) for number in range(5)]
    assert [decision.status for decision in found] == [204] * 5
    assert len(looks) < 3 * len(services)


HOSTS = st.sampled_from(["a.x.example", "b.x.example", "*.x.example", "*.example", "*", "web", "a.y"])
ENTRIES = st.tuples(st.sampled_from(["*", ".", "other", "~other", "~*", "~"]), HOSTS).map("/".join)


@given(st.lists(ENTRIES, min_size=1, max_size=5), st.integers(0, 1), st.lists(HOSTS, min_size=1, max_size=3))
def test_a_sidecars_hosts_import_the_same_by_a_look_at_each(entries, port, hosts):
    listeners = [{"hosts": entries, **({"port": {"number": 80}} if port else {})}]
    tables = compile_tables(Store().apply("t", [make("Sidecar", "s", {"egress": listeners})]))
    scope = Scope(tables.sidecars[0], tables.mesh)
    each = [Import(entry, 80 if port else 0, "default", "cluster.local") for entry in entries]

    def fits(entry, namespace, host):
        return entry.namespace in ("*", namespace) and covers(entry.host, host)

    for namespace in ("default", "other"):
        for host in hosts:
            for asked in (0, 80, 81):
                found = [one for one in each if fits(one, namespace, host) and (not asked or one.port in (0, asked))]
                expected = bool(found) and not any(one.excluded for one in found)
                assert scope.sees(namespace, host, asked) == expected
        imported = any(
            any(one.touches(namespace, host) for one in each if not one.excluded)
            and not any(fits(one, namespace, host) for one in each if one.excluded)
            for host in hosts
        )
        assert [scope.imports(namespace, tuple(hosts)) for _ in range(2)] == [imported] * 2
