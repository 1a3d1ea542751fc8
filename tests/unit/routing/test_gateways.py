import tracemalloc

from tests.meshes import bookinfo, make, request, views_of
from tests.routes import BASE, snapshot_of
from tests.routes import gateway as listeners

from nodemesh.reasons import Reason
from nodemesh.registry.snapshot import Protocol
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import Failure, Redirect, Route
from nodemesh.routing.views import Views

INGRESS = Client(namespace="edge", labels={"istio": "ingress"}, gateway=True)


def gateway(name, *servers, **meta):
    return make("Gateway", name, {"selector": {"istio": "ingress"}, "servers": list(servers)}, **meta)


def http_server(*hosts, port=80, **extra):
    return {"port": {"number": port, "name": f"http-{port}", "protocol": "HTTP"}, "hosts": list(hosts), **extra}


def https_server(*hosts, mode="SIMPLE", port=443, **tls):
    settings = {"mode": mode, **({"credentialName": "cert"} if mode == "SIMPLE" else {}), **tls}
    return {"port": {"number": port, "name": "https", "protocol": "HTTPS"}, "hosts": list(hosts), "tls": settings}


def routes(name, hosts, gateways, *http, **more):
    meta = {key: more.pop(key) for key in ("namespace", "created") if key in more}
    spec = {"hosts": hosts, "gateways": gateways, **({"http": list(http)} if http else {}), **more}
    return make("VirtualService", name, spec, **meta)


TO_REVIEWS = {"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}
TO_RATINGS = {"route": [{"destination": {"host": "ratings"}}]}


def view_of(*objects):
    return views_of(*bookinfo(), *objects).for_client(INGRESS)


def target(decision):
    assert isinstance(decision, Route), decision
    return decision.destinations[0].cluster_name


def test_a_gateway_serves_the_hosts_of_the_virtual_services_bound_to_it():
    view = view_of(
        gateway("gw", http_server("*.example.com")),
        routes("a", ["a.example.com"], ["gw"], TO_REVIEWS),
        routes("b", ["*"], ["gw"], TO_RATINGS),
        routes("c", ["a.other.com"], ["gw"], TO_RATINGS),
        routes("d", ["a.example.com"], ["mesh"], TO_RATINGS),
    )
    assert [(server.port, server.protocol) for server in view.servers()] == [(80, Protocol.HTTP)]
    assert target(view.http_gateway(80, request(host="A.example.com:80"))).startswith("outbound|9080|v1|reviews")
    assert target(view.http_gateway(80, request(host="x.example.com"))).startswith("outbound|9080||ratings")
    missing = view.http_gateway(80, request(host="a.other.com"))
    assert isinstance(missing, Failure) and missing.reason is Reason.HOST_NOT_FOUND
    assert view.gateway_server(8080) is None


def test_only_selected_gateways_and_allowed_namespaces_count():
    other = make("Gateway", "x", {"selector": {"istio": "egress"}, "servers": [http_server("*", port=81)]})
    view = view_of(
        gateway("gw", http_server("./a.example.com", "prod/b.example.com")),
        other,
        routes("a", ["a.example.com"], ["gw"], TO_REVIEWS),
        routes("b", ["b.example.com"], ["gw"], TO_REVIEWS),
        routes("b", ["b.example.com"], ["default/gw"], TO_RATINGS, namespace="prod"),
    )
    assert [server.port for server in view.servers()] == [80]
    assert target(view.http_gateway(80, request(host="a.example.com"))).startswith("outbound|9080|v1|reviews")
    assert "ratings.prod" in target(view.http_gateway(80, request(host="b.example.com")))


def test_virtual_services_of_one_host_are_concatenated_catch_alls_last():
    view = view_of(
        gateway("gw", http_server("*")),
        routes("old", ["a.example.com"], ["gw"], TO_RATINGS, created=1.0),
        routes("new", ["a.example.com"], ["gw"], {"match": [{"uri": {"prefix": "/x"}}], **TO_REVIEWS}, created=2.0),
    )
    assert target(view.http_gateway(80, request("/x", "a.example.com"))).startswith("outbound|9080|v1|reviews")
    assert target(view.http_gateway(80, request("/y", "a.example.com"))).startswith("outbound|9080||ratings")


def test_tls_servers_are_chosen_by_sni():
    view = view_of(
        gateway("gw", https_server("*.example.com"), https_server("a.example.com", credentialName="special")),
        gateway("late", https_server("a.example.com", credentialName="never"), created=9.0),
        routes("a", ["a.example.com"], ["gw"], TO_REVIEWS),
    )
    assert len(view.servers()) == 2
    assert view.gateway_server(443, "a.example.com").tls.credential_name == "special"
    assert view.gateway_server(443, "b.example.com").tls.credential_name == "cert"
    assert view.gateway_server(443, "example.org") is None
    decision = view.http_gateway(443, request(host="a.example.com", scheme="https"), "a.example.com")
    assert target(decision).startswith("outbound|9080|v1|reviews")


def test_https_redirect_needs_no_virtual_service():
    view = view_of(gateway("gw", http_server("a.example.com", tls={"httpsRedirect": True})))
    decision = view.http_gateway(80, request("/p?q", "a.example.com:80"))
    assert isinstance(decision, Redirect) and decision.reason is Reason.HTTPS_REDIRECT
    assert (decision.status, decision.scheme, decision.authority) == (301, b"https", b"a.example.com")


EAST_WEST = https_server("*.local", mode="AUTO_PASSTHROUGH", port=15443)
REVIEWS = "reviews.default.svc.cluster.local"


def test_auto_passthrough_goes_by_the_cluster_in_the_server_name():
    subsets = [{"name": "v1", "labels": {"version": "v1"}}]
    rule = {"host": "reviews", "subsets": subsets, "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}
    view = view_of(gateway("gw", EAST_WEST), make("DestinationRule", "reviews", rule))

    def cluster(name):
        decision = view.tls_gateway(15443, name)
        return decision.destinations[0].cluster if isinstance(decision, Route) else decision.reason

    name = f"outbound_.9080_._.{REVIEWS}"
    found = cluster(name)
    assert (found.name, len(found.endpoints)) == (name, 3) and cluster(name) is found
    assert [endpoint.address for endpoint in cluster(f"outbound_.9080_.v1_.{REVIEWS}").endpoints] == ["10.1.0.1"]
    own = view.builder().service_route(view.frontend(REVIEWS, 9080).service, 9080).destinations[0].cluster
    assert own.tls is not None and found.tls is None, "the client's TLS goes on as it is"
    assert own.key != found.key
    wrong = [f"outbound_.{rest}.{REVIEWS}" for rest in ("9080_.v9_", "81_._", "x_._", "_._", "9080_")]
    for name in (*wrong, REVIEWS, f"inbound_.9080_._.{REVIEWS}", "outbound_.9080_._.x.local", "outbound_.9080_._."):
        assert cluster(name) is Reason.HOST_NOT_FOUND, name


def test_auto_passthrough_is_no_way_to_what_its_server_does_not_expose():
    name = f"outbound_.9080_._.{REVIEWS}"

    def reached(*hosts, more=(), name=name):
        server = {**EAST_WEST, "hosts": list(hosts)}
        return isinstance(view_of(gateway("gw", server), *more).tls_gateway(15443, name), Route)

    assert reached("*.local") and reached(REVIEWS) and reached(f"default/{REVIEWS}") and reached("*")
    assert not reached("ratings.default.svc.cluster.local") and not reached("shop/*.local") and not reached("*.global")
    ports = [{"number": 9080, "name": "tls", "protocol": "TLS"}]
    outside = make("ServiceEntry", "e", {"hosts": ["db.local"], "ports": ports, "resolution": "DNS"})
    assert not reached("*.local", more=[outside], name="outbound_.9080_._.db.local")
    hidden = make("Service", "reviews", {"clusterIP": "10.96.0.10", "ports": [{"port": 9080}]},
                  annotations={"networking.istio.io/exportTo": "."})  # fmt: skip
    assert not reached("*.local", more=[hidden])


def test_auto_passthrough_stands_beside_other_servers_of_its_port():
    rule = {"match": [{"sniHosts": ["a.example"]}], "route": [{"destination": {"host": "ratings"}}]}
    view = view_of(
        gateway("gw", EAST_WEST, https_server("a.example", mode="PASSTHROUGH", port=15443)),
        routes("a", ["a.example"], ["gw"], tls=[rule]),
    )
    assert target(view.tls_gateway(15443, f"outbound_.9080_._.{REVIEWS}")).startswith("outbound_.9080_._.reviews")
    assert "ratings" in target(view.tls_gateway(15443, "a.example"))


def test_passthrough_goes_by_sni_and_tcp_by_port():
    tcp = {"port": {"number": 9000, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    view = view_of(
        gateway("gw", https_server("*.example.com", mode="PASSTHROUGH"), tcp),
        routes(
            "t",
            ["*.example.com"],
            ["gw"],
            tls=[{"match": [{"sniHosts": ["a.example.com"]}], "route": [{"destination": {"host": "reviews"}}]}],
        ),
        routes("p", ["*"], ["gw"], tcp=[{"match": [{"port": 9000}], "route": [{"destination": {"host": "ratings"}}]}]),
    )
    assert "reviews" in target(view.tls_gateway(443, "a.example.com"))
    assert isinstance(view.tls_gateway(443, "b.example.com"), Failure)
    assert "ratings" in target(view.tcp_gateway(9000))


def test_the_most_specific_name_of_a_port_has_the_connection():
    hosts = ["*.example", "a.b.example", "*.b.example", "*", "b.example"]
    servers = [{**https_server(host), "port": {"number": 443, "name": f"n{n}", "protocol": "HTTPS"}}
               for n, host in enumerate(hosts)]  # fmt: skip
    passing = https_server("*.shop.svc.cluster.local", mode="AUTO_PASSTHROUGH")
    passing["port"] = {"number": 443, "name": "auto", "protocol": "TLS"}
    view = view_of(gateway("edge", *servers, passing))
    asked = {
        "a.b.example": "a.b.example", "A.B.EXAMPLE.": "a.b.example", "c.b.example": "*.b.example",
        "b.example": "b.example",
        "x.example": "*.example", "example": "*", "": "*", "*.example": "*.example",
        "outbound_.80_._.web.shop.svc.cluster.local": "*.shop.svc.cluster.local",
    }  # fmt: skip
    found = {name: view.gateway_server(443, name).hosts[0].host for name in asked}
    assert found == asked


def test_hosts_of_any_length_fill_no_memory():
    """A Host may be as long as a head; whoever sends one after the other has each of them remembered by nobody."""
    http = view_of(gateway("edge", http_server("*")), routes("r", ["*"], ["edge"], TO_REVIEWS))
    tables = compile_tables(snapshot_of(BASE + listeners("{name: http, port: 80, protocol: HTTP}")))
    labels = {"gateway.networking.k8s.io/gateway-name": "edge"}
    listening = Views(tables).for_client(Client(namespace="shop", labels=labels, gateway=True))
    inside = views_of(*bookinfo()).for_client(Client(namespace="default"))
    reviews = inside.frontend("10.96.0.10", 9080)
    asks = (
        lambda host: http.http_gateway(80, request(host=host)),
        lambda host: http.gateway_server(443, host),
        lambda host: listening.http_gateway(80, request(host=host)),
        lambda host: inside.http(reviews, request(host=host)),
        inside.named,
    )
    for ask in asks:
        ask("short")
        tracemalloc.start()
        for number in range(100):
            ask(f"{number}" + "a" * 50_000)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 500_000, held
