from tests.meshes import bookinfo, make, request, views_of

from nodemesh.reasons import Reason
from nodemesh.registry.snapshot import Protocol
from nodemesh.routing.client import Client
from nodemesh.routing.decision import Failure, Redirect, Route

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
