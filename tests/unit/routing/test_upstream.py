import pytest
from tests.meshes import make, pod, request, service, views_of

from nodemesh.routing.client import Client
from nodemesh.routing.decision import HttpReason, HttpVersion
from nodemesh.routing.explain import explain
from nodemesh.routing.upstream import SENTENCES, WORDS, told

HTTP1, HTTP2, CLIENT = HttpVersion.HTTP1, HttpVersion.HTTP2, HttpVersion.CLIENT


def mesh_of(port: str, http: dict[str, object] | None = None, mesh: str = "", app_protocol: str = ""):
    """A service with one port, bound at a gateway as well, and the policy of its HTTP connections."""
    spec = {
        "clusterIP": "10.96.0.1",
        "ports": [{"port": 80, "name": port, "appProtocol": app_protocol}],
        "selector": {"app": "web"},
    }
    objects = [make("Service", "web", spec), pod("web-1", "10.1.0.1", {"app": "web"})]
    if http is not None:
        policy = {"connectionPool": {"http": http}}
        objects.append(make("DestinationRule", "web", {"host": "web", "trafficPolicy": policy}))
    if mesh:
        objects.append(make("MeshConfig", "mesh", {"h2UpgradePolicy": mesh}))
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    objects.append(make("Gateway", "edge", {"selector": {"edge": "yes"}, "servers": [server]}))
    route = {"route": [{"destination": {"host": "web.default.svc.cluster.local"}}]}
    objects.append(make("VirtualService", "web", {"hosts": ["*"], "gateways": ["edge"], "http": [route]}))
    return views_of(*objects)


def cluster_of(views, gateway=False):
    if gateway:
        view = views.for_client(Client(namespace="default", labels={"edge": "yes"}, gateway=True))
        return view.http_gateway(80, request(host="web"), "").destinations[0].cluster
    view = views.for_client(Client(namespace="default"))
    return view.http(view.frontend("10.96.0.1", 80), request(host="web")).destinations[0].cluster


UPGRADE: dict[str, object] = {"h2UpgradePolicy": "UPGRADE"}
CLIENTS = {"useClientProtocol": True}
NEVER, DEFAULT = {"h2UpgradePolicy": "DO_NOT_UPGRADE"}, {"h2UpgradePolicy": "DEFAULT"}


@pytest.mark.parametrize(
    ("port", "http", "mesh", "in_mesh", "at_gateway"),
    [
        ("http", None, "", (HTTP1, HttpReason.DEFAULT), (HTTP1, HttpReason.DEFAULT)),
        ("http2", None, "", (HTTP2, HttpReason.PORT), (HTTP2, HttpReason.PORT)),
        ("grpc", None, "", (HTTP2, HttpReason.PORT), (HTTP2, HttpReason.PORT)),
        ("grpc-web", None, "", (HTTP2, HttpReason.PORT), (HTTP2, HttpReason.PORT)),
        ("", None, "", (CLIENT, HttpReason.UNDECLARED), (HTTP1, HttpReason.GATEWAY)),
        ("http", UPGRADE, "", (HTTP2, HttpReason.RULE), (HTTP2, HttpReason.RULE)),
        ("http", UPGRADE, "DO_NOT_UPGRADE", (HTTP2, HttpReason.RULE), (HTTP2, HttpReason.RULE)),
        ("", UPGRADE, "", (CLIENT, HttpReason.UNDECLARED), (HTTP2, HttpReason.RULE)),
        ("http", CLIENTS, "", (CLIENT, HttpReason.CLIENT), (CLIENT, HttpReason.CLIENT)),
        ("http", CLIENTS, "UPGRADE", (CLIENT, HttpReason.CLIENT), (CLIENT, HttpReason.CLIENT)),
        ("grpc", CLIENTS, "", (CLIENT, HttpReason.CLIENT), (CLIENT, HttpReason.CLIENT)),
        ("", CLIENTS, "", (CLIENT, HttpReason.CLIENT), (CLIENT, HttpReason.CLIENT)),
        ("http", None, "UPGRADE", (HTTP2, HttpReason.MESH), (HTTP2, HttpReason.MESH)),
        ("http", DEFAULT, "UPGRADE", (HTTP2, HttpReason.MESH), (HTTP2, HttpReason.MESH)),
        ("http", {"maxRetries": 1}, "UPGRADE", (HTTP2, HttpReason.MESH), (HTTP2, HttpReason.MESH)),
        ("http", NEVER, "UPGRADE", (HTTP1, HttpReason.DEFAULT), (HTTP1, HttpReason.DEFAULT)),
        ("grpc", NEVER, "UPGRADE", (HTTP2, HttpReason.PORT), (HTTP2, HttpReason.PORT)),
        ("", None, "UPGRADE", (CLIENT, HttpReason.UNDECLARED), (HTTP1, HttpReason.GATEWAY)),
    ],
)
def test_the_http_of_a_cluster(port, http, mesh, in_mesh, at_gateway):
    views = mesh_of(port, http, mesh)
    for gateway, wanted in ((False, in_mesh), (True, at_gateway)):
        found = cluster_of(views, gateway)
        assert (found.upstream_http, found.http_reason) == wanted


def test_an_unknown_app_protocol_wins_over_the_name():
    assert cluster_of(mesh_of("grpc", app_protocol="example.com/own")).upstream_http is CLIENT
    assert cluster_of(mesh_of("http", app_protocol="kubernetes.io/h2c")).upstream_http is HTTP2


def test_gateways_and_pods_do_not_share_the_state_of_an_undeclared_port():
    views = mesh_of("")
    assert cluster_of(views, gateway=True).key != cluster_of(views).key
    views = mesh_of("grpc")
    assert cluster_of(views, gateway=True).key == cluster_of(views).key


def test_what_is_unknown_gets_what_the_client_speaks():
    view = views_of(service("web", "10.96.0.1")).for_client(Client(namespace="default"))
    found = view.http(view.frontend("192.0.2.1", 80), request(host="192.0.2.1")).destinations[0].cluster
    assert (found.upstream_http, found.http_reason) == (CLIENT, HttpReason.PASSTHROUGH)
    assert found.pool.idle_timeout == 300.0


def test_what_http2_needs_of_a_pool():
    http = {
        "http2MaxRequests": 2,
        "maxConcurrentStreams": 3,
        "maxRequestsPerConnection": 4,
        "idleTimeout": 5,
        "http2KeepAlive": {"interval": 6, "timeout": 7},
    }
    for port in ("grpc", ""):
        pool = cluster_of(mesh_of(port, http)).pool
        assert (pool.max_requests, pool.max_concurrent_streams, pool.max_requests_per_connection) == (2, 3, 4)
        assert (pool.idle_timeout, pool.ping_interval, pool.ping_timeout) == (5.0, 6.0, 7.0)


def test_explain_names_the_http_and_the_reason():
    found = explain(mesh_of("http", UPGRADE), Client(namespace="default"), "GET", "http://web/")
    destination = found.destinations[0]
    assert (destination.upstream_http, destination.http_reason) == ("http/2", "destination_rule_h2_upgrade_policy")


def test_every_version_and_reason_has_words():
    assert set(WORDS) == set(HttpVersion) and set(SENTENCES) == set(HttpReason)
    assert told(HTTP2, HttpReason.PORT) == "HTTP/2: the port is declared for it"
