from tests.meshes import bookinfo, make, pod, request, service, view_of

from nodemesh.reasons import Reason
from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import DirectResponse, Failure, Redirect, Route
from nodemesh.routing.views import Views


def reviews_rules(*http, **extra):
    return make("VirtualService", "reviews", {"hosts": ["reviews"], "http": list(http), **extra})


def to(subset, weight=None, host="reviews"):
    entry = {"destination": {"host": host, "subset": subset}}
    return {**entry, "weight": weight} if weight is not None else entry


def decide(view, req, address="10.96.0.10", port=9080):
    return view.http(view.frontend(address, port), req)


def clusters(decision):
    assert isinstance(decision, Route)
    return [destination.cluster_name for destination in decision.destinations]


def test_service_without_rules_gets_its_default_route():
    decision = decide(view_of(*bookinfo()), request())
    assert clusters(decision) == ["outbound|9080||reviews.default.svc.cluster.local"]
    assert [endpoint.address for endpoint in decision.destinations[0].cluster.endpoints] == [
        "10.1.0.1",
        "10.1.0.2",
        "10.1.0.3",
    ]


def test_first_matching_rule_decides():
    view = view_of(
        *bookinfo(),
        reviews_rules(
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": [to("v2")]},
            {"match": [{"uri": {"prefix": "/old"}}], "redirect": {"uri": "/new"}},
            {"match": [{"uri": {"exact": "/hello"}}], "directResponse": {"status": 299, "body": {"string": "hi"}}},
            {"match": [{"uri": {"regex": "/a/.+"}}], "route": [to("v1", 90), to("v3", 10)]},
        ),
    )
    jason = decide(view, request(headers={"End-User": "jason"}))
    assert clusters(jason) == ["outbound|9080|v2|reviews.default.svc.cluster.local"]
    assert [endpoint.address for endpoint in jason.destinations[0].cluster.endpoints] == ["10.1.0.2"]
    assert isinstance(decide(view, request("/older")), Redirect)
    answer = decide(view, request("/hello"))
    assert isinstance(answer, DirectResponse) and (answer.status, answer.body) == (299, b"hi")
    split = decide(view, request("/a/b"))
    assert [destination.weight for destination in split.destinations] == [90, 10]
    nothing = decide(view, request("/a/"))
    assert isinstance(nothing, Failure) and (nothing.status, nothing.reason) == (404, Reason.ROUTE_NOT_FOUND)


def test_every_alias_of_a_host_means_the_service():
    view = view_of(*bookinfo(), reviews_rules({"route": [to("v3")]}))
    for host in (
        "reviews",
        "REVIEWS:1234",
        "reviews.default",
        "reviews.default.svc",
        "reviews.default.svc.cluster.local",
        "reviews.default.svc.cluster.local.:9080",
        "10.96.0.10:9080",
    ):
        assert clusters(decide(view, request(host=host))) == ["outbound|9080|v3|reviews.default.svc.cluster.local"]


def test_host_header_decides_not_the_dialled_address():
    decision = decide(view_of(*bookinfo()), request(host="ratings"))
    assert clusters(decision) == ["outbound|9080||ratings.default.svc.cluster.local"]


def test_unknown_host_passes_through_or_is_blackholed():
    decision = decide(view_of(*bookinfo()), request(host="example.com"))
    assert clusters(decision) == ["PassthroughCluster"] and decision.reason is Reason.PASSTHROUGH
    mesh = make("MeshConfig", "mesh", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
    decision = decide(view_of(*bookinfo(), mesh), request(host="example.com"))
    assert isinstance(decision, Failure) and (decision.status, decision.reason) == (502, Reason.BLACKHOLE)


def test_unknown_subset_keeps_its_name_without_a_cluster():
    decision = decide(view_of(*bookinfo(), reviews_rules({"route": [to("v9")]})), request())
    assert decision.destinations[0].cluster is None
    assert clusters(decision) == ["outbound|9080|v9|reviews.default.svc.cluster.local"]


def test_source_labels_are_the_clients():
    rules = reviews_rules({"match": [{"sourceLabels": {"app": "web"}}], "route": [to("v2")]}, {"route": [to("v1")]})
    objects = [*bookinfo(), rules]
    assert "|v2|" in clusters(decide(view_of(*objects, labels={"app": "web"}), request()))[0]
    assert "|v1|" in clusters(decide(view_of(*objects, labels={"app": "other"}), request()))[0]


def test_undeclared_protocol_routes_by_the_dialled_service_whatever_the_host():
    view = view_of(service("plain", "10.96.0.20", (7000, "")), pod("p", "10.1.0.20", {"app": "plain"}))
    decision = decide(view, request(host="anything.example"), "10.96.0.20", 7000)
    assert clusters(decision) == ["outbound|7000||plain.default.svc.cluster.local"]


def test_a_frontend_from_before_a_change_meets_the_mesh_as_it_is_now():
    store = Store()
    plain = service("plain", "10.96.0.20", (7000, ""), (7001, "tcp"))
    tables = compile_tables(store.apply("t", [plain, pod("p", "10.1.0.20", {"app": "plain"})]))
    views = Views(tables)
    client = Client(namespace="default")
    before = views.for_client(client)
    http, tcp = before.frontend("10.96.0.20", 7000), before.frontend("10.96.0.20", 7001)
    moved = pod("p", "10.1.0.21", {"app": "plain"})
    tables = compile_tables(store.apply("t", [moved]), tables)
    after = Views(tables, views).for_client(client)
    for decision in (after.http(http, request()), after.tcp(tcp), after.tls(tcp, "plain")):
        (endpoint,) = decision.destinations[0].cluster.endpoints
        assert endpoint.address == "10.1.0.21"
    tables = compile_tables(store.apply("t", removed=[key_of(plain)]), tables)
    gone = Views(tables, views).for_client(client)
    assert gone.http(http, request()).reason is gone.tcp(tcp).reason is Reason.PASSTHROUGH


def test_what_a_change_does_not_concern_is_kept():
    store = Store()
    tables = compile_tables(store.apply("t", [*bookinfo(), reviews_rules({"route": [to("v2")]})]))
    views = Views(tables)
    client = Client(namespace="default")
    before = decide(views.for_client(client), request())
    changed = pod("ratings-v1", "10.1.0.99", {"app": "ratings"})
    tables = compile_tables(store.apply("t", [changed]), tables)
    views = Views(tables, views)
    assert decide(views.for_client(client), request()) is before
    tables = compile_tables(store.apply("t", [reviews_rules({"route": [to("v3")]})]), tables)
    assert "|v3|" in clusters(decide(Views(tables, views).for_client(client), request()))[0]


# === hosts that no service has


def of(host, *hosts_of_rule, port=80, services=(), sidecar=(), rule_namespace="default"):
    """The status that a rule answers a Host with; 0 where it does not."""
    rule = {"hosts": list(hosts_of_rule), "http": [{"directResponse": {"status": 299}}]}
    objects = [*services, make("VirtualService", "rule", rule, namespace=rule_namespace)]
    if sidecar:
        objects.append(make("Sidecar", "s", {"egress": [{"hosts": list(sidecar)}]}))
    view = view_of(*objects)
    decision = view.http(view.frontend("192.0.2.1", port), request(host=host))
    return decision.status if isinstance(decision, DirectResponse) else 0


def entry_of(*hosts, port=80, protocol="HTTP", **meta):
    ports = [{"number": port, "name": "p", "protocol": protocol}]
    resolution = "NONE" if any(host.startswith("*") for host in hosts) else "DNS"
    spec = {"hosts": list(hosts), "ports": ports, "resolution": resolution}
    return make("ServiceEntry", f"e-{hosts[0]}-{port}", spec, **meta)


SHOP = [service("shop", "10.96.0.30", (80, "http"), (8080, "http"), (9000, "tcp"))]
LOCAL = "*.default.svc.cluster.local"


def test_a_wildcard_stands_for_the_services_that_it_covers_and_else_for_itself():
    covered, unknown = "shop.default.svc.cluster.local", "nosuch.default.svc.cluster.local"
    assert of(covered, LOCAL, services=SHOP) == of("shop", LOCAL, services=SHOP) == 299
    assert of(unknown, LOCAL, services=SHOP) == 0
    assert of(unknown, LOCAL) == 299  # it covers none
    assert of("a.example.com", "*.example.com") == 299
    assert of("a.example.com", "*.example.com", services=[entry_of("b.example.com")]) == 0
    assert of("b.example.com", "*.example.com", services=[entry_of("b.example.com")]) == 299
    # a service without that port does not count, nor one that the client does not see
    assert of("a.example.com", "*.example.com", services=[entry_of("b.example.com", port=443)]) == 299
    hidden = make("Service", "shop", {"clusterIP": "10.96.0.31", "ports": [{"port": 80}]}, namespace="other",
                  annotations={"networking.istio.io/exportTo": "."})  # fmt: skip
    assert of("x.other.svc.cluster.local", "*.other.svc.cluster.local", services=[hidden]) == 299
    # a wider wildcard of the registry shares names with it
    assert of("x.a.example.com", "*.a.example.com", services=[entry_of("*.example.com")]) == 0


def test_an_exact_host_comes_before_a_wildcard_of_the_registry():
    wide = [entry_of("*.example.com")]
    assert of("a.example.com", "a.example.com", services=wide) == 299
    assert of("b.example.com", "a.example.com", services=wide) == 0
    assert of("b.example.com", "*.example.com", services=wide) == 299


def test_hosts_outside_of_the_registry_count_on_port_80_and_beside_the_rules_own_services():
    assert of("x.example.com", "x.example.com") == 299
    assert of("x.example.com", "x.example.com", port=8080) == 0
    assert of("x.example.com", "x.example.com", "shop", port=8080, services=SHOP) == 299
    assert of("x.example.com", "x.example.com", LOCAL, port=8080, services=SHOP) == 299
    assert of("x.example.com", "x.example.com", "shop", port=9000, services=SHOP) == 0  # not HTTP
    assert of("x.example.com", "x.example.com", "shop", port=8081, services=SHOP) == 0


def test_a_sidecar_imports_a_rule_as_a_whole():
    hosts = ("shop", "x.example.com")
    assert of("x.example.com", *hosts, services=SHOP, sidecar=["./shop.default.svc.cluster.local"]) == 299
    assert of("x.example.com", *hosts, services=SHOP, sidecar=["*/x.example.com"]) == 299
    # the service itself is not imported: its name is none of the registry's, its rules hold on port 80
    assert of("shop.default.svc.cluster.local", *hosts, services=SHOP, sidecar=["*/x.example.com"]) == 299
    assert of("x.example.com", *hosts, services=SHOP, sidecar=["./other.default.svc.cluster.local"]) == 0
    # in part is enough, either way
    assert of("b.shop.example", "*.shop.example", sidecar=["*/a.shop.example"]) == 299
    assert of("a.shop.example", "a.shop.example", sidecar=["*/*.shop.example"]) == 299
    # the namespace is the rule's
    assert of("x.example.com", *hosts, sidecar=["other/*"]) == 0
    assert of("x.example.com", *hosts, sidecar=["other/*"], rule_namespace="other") == 299
    assert of("x.example.com", "x.example.com", sidecar=["*/*", "~default/x.example.com"]) == 0
    assert of("x.example.com", *hosts, sidecar=["*/*", "~default/x.example.com"]) == 299  # by its other host


def test_a_service_that_a_wildcard_comes_to_cover_takes_it_over():
    store, name = Store(), "nosuch.default.svc.cluster.local"
    rule = make("VirtualService", "r", {"hosts": [LOCAL], "http": [{"directResponse": {"status": 299}}]})
    tables = compile_tables(store.apply("t", [rule]))
    views = Views(tables)
    for objects, gone, status in (([], [], 299), (SHOP, [], 0), ([], SHOP, 299)):
        tables = compile_tables(store.apply("t", objects, [key_of(item) for item in gone]), tables)
        views = Views(tables, views)
        view = views.for_client(Client(namespace="default"))
        decision = view.http(view.frontend("192.0.2.1", 80), request(host=name))
        assert getattr(decision, "status", 0) == status


# === aliases


def alias(name, target, *ports, **meta):
    spec = {"type": "ExternalName", "externalName": target, "ports": [{"port": port} for port in ports]}
    return make("Service", name, spec, **meta)


REVIEWS = "reviews.default.svc.cluster.local"


def test_an_external_name_is_another_name_of_its_target():
    rules = reviews_rules({"match": [{"uri": {"prefix": "/v2"}}], "route": [to("v2")]}, {"route": [to("v1")]})
    for ports in ((), (9080,), (80,)):
        view = view_of(*bookinfo(), rules, alias("old", f"{REVIEWS}.", *ports, namespace="legacy"))
        for host in ("old.legacy", "old.legacy.svc", "old.legacy.svc.cluster.local", "old.legacy:9080"):
            assert clusters(decide(view, request("/v2", host))) == [f"outbound|9080|v2|{REVIEWS}"]
            assert clusters(decide(view, request("/", host))) == [f"outbound|9080|v1|{REVIEWS}"]
            assert view.frontend_for_host(host, 9080) is view.frontend("10.96.0.10", 9080)
        assert decide(view, request("/", "old.legacy"), port=81).reason is Reason.PASSTHROUGH  # no port of the target's
        assert [front.service.host for front in view.frontends()].count(REVIEWS) == 1


def test_rules_and_policies_of_the_target_hold_for_destinations_that_name_the_alias():
    old = alias("old", REVIEWS, 1234)
    rules = make("VirtualService", "r", {"hosts": ["ratings"], "http": [{"route": [to("v2", host="old")]}]})
    decision = decide(view_of(*bookinfo(), old, rules), request(host="ratings"))
    assert clusters(decision) == [f"outbound|9080|v2|{REVIEWS}"]
    assert [endpoint.address for endpoint in decision.destinations[0].cluster.endpoints] == ["10.1.0.2"]


def test_aliases_lead_to_aliases_but_not_round():
    chain = [alias(f"a{index}", f"a{index + 1}.default.svc.cluster.local") for index in range(3)]
    view = view_of(*bookinfo(), *chain, alias("a3", REVIEWS))
    assert clusters(decide(view, request(host="a0"))) == [f"outbound|9080||{REVIEWS}"]
    ring = [alias("a0", "a1.default.svc.cluster.local", 9080), alias("a1", "a0.default.svc.cluster.local", 9080)]
    itself = alias("me", "me.default.svc.cluster.local", 9080)
    rules = make("VirtualService", "r", {"hosts": ["ratings"], "http": [{"route": [to("", host="a0")]}]})
    view = view_of(*bookinfo(), *ring, itself, rules)
    for host in ("a0", "a1", "me"):
        assert decide(view, request(host=host)).reason is Reason.PASSTHROUGH
        assert view.frontend_for_host(host, 9080).service is None and view.named(host) is None
    assert decide(view, request(host="ratings")).destinations[0].cluster is None


def test_an_alias_of_what_the_registry_does_not_know_is_unknown():
    objects = [*bookinfo(), alias("old", "www.example.com", 9080)]
    assert decide(view_of(*objects), request(host="old")).reason is Reason.PASSTHROUGH
    mesh = make("MeshConfig", "mesh", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
    assert decide(view_of(*objects, mesh), request(host="old")).reason is Reason.BLACKHOLE
    known = entry_of("www.example.com", port=9080)
    assert clusters(decide(view_of(*objects, known), request(host="old"))) == ["outbound|9080||www.example.com"]


def test_rules_of_an_aliass_own_come_first():
    own = make("VirtualService", "own", {"hosts": ["old"], "http": [{"directResponse": {"status": 299}}]})
    targets = reviews_rules({"directResponse": {"status": 298}})

    def status(host, *ports, **meta):
        view = view_of(*bookinfo(), alias("old", REVIEWS, *ports, **meta), own, targets)
        return getattr(decide(view, request(host=host)), "status", 0)

    assert status("old", 9080) == status("old.default.svc.cluster.local", 9080) == 299
    assert status("old") == status("old", 81) == status("reviews", 9080) == 298


def test_an_alias_is_imported_beside_its_target():
    def known(*hosts):
        sidecar = make("Sidecar", "s", {"egress": [{"hosts": list(hosts)}]})
        view = view_of(*bookinfo(), alias("old", REVIEWS), sidecar)
        return decide(view, request(host="old")).reason is not Reason.PASSTHROUGH

    assert known("./*") and known("*/*")
    assert known(f"./{REVIEWS}", "./old.default.svc.cluster.local")
    assert not known(f"./{REVIEWS}") and not known("./old.default.svc.cluster.local")


def test_an_alias_follows_its_target():
    store = Store()
    tables = compile_tables(store.apply("t", [*bookinfo(), alias("old", REVIEWS)]))
    views = Views(tables)
    for target in (None, "ratings.default.svc.cluster.local", "gone.default.svc.cluster.local"):
        if target is not None:
            tables = compile_tables(store.apply("t", [alias("old", target)]), tables)
            views = Views(tables, views)
        decision = decide(views.for_client(Client(namespace="default")), request(host="old"))
        expected = "PassthroughCluster" if target and "gone" in target else f"outbound|9080||{target or REVIEWS}"
        assert clusters(decision) == [expected]
