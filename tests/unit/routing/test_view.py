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
