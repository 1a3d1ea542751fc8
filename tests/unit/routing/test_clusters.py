from msgspec.structs import replace
from tests.meshes import make, pod, request, service, view_of, views_of

from nodemesh.config.meshconfig import MeshConfigSpec, MeshNetwork, NetworkGateway
from nodemesh.registry.snapshot import Endpoint, Protocol, RegistryPort, Resolution, Service
from nodemesh.routing.client import Client
from nodemesh.routing.clusters import build_cluster
from nodemesh.routing.decision import UNLIMITED, Algorithm, ConnectionPool, HashPolicy, LoadBalancer, Outlier, Warmup


def cluster(policy=None, *objects, subsets=(), subset="", port=80, **services):
    found = [service("web", "10.96.0.1", (80, "http"), (81, "http-b"), **services), *objects]
    spec = {"host": "web", "subsets": list(subsets)}
    if policy is not None:
        spec["trafficPolicy"] = policy
    found.append(make("DestinationRule", "web", spec))
    if subset:
        route = {"route": [{"destination": {"host": "web", "subset": subset}}]}
        found.append(make("VirtualService", "web", {"hosts": ["web"], "http": [route]}))
    view = view_of(*found)
    decision = view.http(view.frontend("10.96.0.1", port), request(host="web"))
    return decision.destinations[0].cluster


def test_defaults_are_istios():
    found = cluster()
    assert found.load_balancer == LoadBalancer(algorithm=Algorithm.LEAST_REQUEST)
    assert found.pool == ConnectionPool(connect_timeout=10.0, tcp_idle_timeout=3600.0, idle_timeout=3600.0)
    assert (found.outlier, found.tls, found.retry_budget, found.priorities) == (None, None, None, None)
    assert found.pool.max_connections == UNLIMITED


def test_the_meshs_connect_timeout_is_the_default():
    assert cluster(None, make("MeshConfig", "m", {"connectTimeout": 3})).pool.connect_timeout == 3.0


def test_connection_pool():
    found = cluster(
        {
            "connectionPool": {
                "tcp": {"maxConnections": 5, "connectTimeout": 0.25, "idleTimeout": 0, "tcpKeepalive": {"time": 60}},
                "http": {"http1MaxPendingRequests": 1, "http2MaxRequests": 0, "maxRequestsPerConnection": 7},
            }
        }
    ).pool
    assert (found.max_connections, found.connect_timeout, found.tcp_idle_timeout) == (5, 0.25, 0.0)
    assert (found.max_pending, found.max_requests, found.max_requests_per_connection) == (1, UNLIMITED, 7)
    assert found.keepalive.time == 60 and found.idle_timeout == 3600.0


def test_load_balancers():
    assert cluster({"loadBalancer": {"simple": "LEAST_CONN"}}).load_balancer.algorithm is Algorithm.LEAST_REQUEST
    assert cluster({"loadBalancer": {"simple": "RANDOM"}}).load_balancer.algorithm is Algorithm.RANDOM
    warm = cluster({"loadBalancer": {"simple": "ROUND_ROBIN", "warmup": {"duration": 30, "aggression": 2}}})
    assert warm.load_balancer.warmup == Warmup(duration=30.0, minimum_percent=10.0, aggression=2.0)
    ring = cluster({"loadBalancer": {"consistentHash": {"httpHeaderName": "X-User"}}}).load_balancer
    assert (ring.algorithm, ring.ring_size, ring.hash) == (Algorithm.RING_HASH, 1024, HashPolicy(header=b"x-user"))
    cookie = {"name": "c", "path": "/p", "ttl": 0}
    maglev = cluster({"loadBalancer": {"consistentHash": {"httpCookie": cookie, "maglev": {}}}}).load_balancer
    assert (maglev.algorithm, maglev.table_size) == (Algorithm.MAGLEV, 65537)
    assert maglev.hash == HashPolicy(cookie=b"c", cookie_path=b"/p", cookie_ttl=0.0)


def test_empty_outlier_detection_has_istios_defaults():
    assert cluster({"outlierDetection": {}}).outlier == Outlier()
    custom = cluster(
        {"outlierDetection": {"consecutive5xxErrors": 0, "interval": 1, "maxEjectionPercent": 100}}
    ).outlier
    assert (custom.consecutive_5xx, custom.interval, custom.max_ejection_percent) == (0, 1.0, 100)


def test_a_subsets_policy_overrides_block_by_block():
    found = cluster(
        {"loadBalancer": {"simple": "RANDOM"}, "outlierDetection": {}},
        pod("a", "10.1.0.1", {"app": "web", "v": "1"}),
        pod("b", "10.1.0.2", {"app": "web", "v": "2"}),
        subsets=[{"name": "v2", "labels": {"v": "2"}, "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}}],
        subset="v2",
    )
    assert found.load_balancer.algorithm is Algorithm.ROUND_ROBIN and found.outlier == Outlier()
    assert [endpoint.address for endpoint in found.endpoints] == ["10.1.0.2"]
    assert found.name == "outbound|80|v2|web.default.svc.cluster.local"


def test_port_level_settings_replace_the_whole_policy():
    policy = {
        "loadBalancer": {"simple": "RANDOM"},
        "outlierDetection": {},
        "portLevelSettings": [{"port": {"number": 81}, "connectionPool": {"tcp": {"maxConnections": 3}}}],
    }
    other = cluster(policy, port=80)
    assert other.load_balancer.algorithm is Algorithm.RANDOM and other.outlier is not None
    found = cluster(policy, port=81)
    assert found.load_balancer.algorithm is Algorithm.LEAST_REQUEST and found.outlier is None
    assert found.pool.max_connections == 3


MESH_POLICY = make(
    "MeshConfig",
    "m",
    {
        "defaultTrafficPolicy": {
            "connectionPool": {"tcp": {"maxConnections": 9, "connectTimeout": 2}},
            "outlierDetection": {"consecutive5xxErrors": 2},
        }
    },
)


def test_a_block_that_no_rule_sets_is_the_meshs():
    for found in (cluster(None, MESH_POLICY), cluster({"loadBalancer": {"simple": "RANDOM"}}, MESH_POLICY)):
        assert (found.pool.max_connections, found.pool.connect_timeout) == (9, 2.0)
        assert found.outlier == Outlier(consecutive_5xx=2)
    found = cluster({"connectionPool": {"http": {"maxRetries": 1}}, "outlierDetection": {}}, MESH_POLICY)
    assert found.pool == ConnectionPool(max_retries=1), "a block replaces the mesh's whole"
    assert found.outlier == Outlier()


def test_a_port_and_a_subset_go_back_to_the_meshs_policy():
    port = {"port": {"number": 80}, "loadBalancer": {"simple": "RANDOM"}}
    policy = {"outlierDetection": {"consecutive5xxErrors": 7}, "portLevelSettings": [port]}
    assert cluster(policy, MESH_POLICY).outlier == Outlier(consecutive_5xx=2)
    subsets = [{"name": "all", "trafficPolicy": {"portLevelSettings": [port]}}]
    own = {"outlierDetection": {"consecutive5xxErrors": 7}}
    assert cluster(own, MESH_POLICY, subsets=subsets, subset="all").outlier == Outlier(consecutive_5xx=2)


def test_what_passes_through_has_the_meshs_pool_and_no_outliers():
    view = view_of(MESH_POLICY)
    decision = view.http(view.frontend("192.0.2.1", 80), request(host="out"))
    found = decision.destinations[0].cluster
    assert (found.name, found.pool.max_connections, found.pool.idle_timeout) == ("PassthroughCluster", 9, 300.0)
    assert found.outlier is None


def test_tls_origination():
    found = cluster({"tls": {"mode": "SIMPLE", "sni": "a.b", "credentialName": "cert"}})
    assert (found.tls.mode, found.tls.sni, found.tls.credential) == ("SIMPLE", "a.b", "default/cert")
    assert found.key.endswith("!default/cert")  # the Secret is the client namespace's own
    assert cluster({"tls": {"mode": "ISTIO_MUTUAL"}}).tls is None
    assert cluster({"tls": {"mode": "DISABLE"}}).tls is None


def test_a_headless_service_is_dialled_as_the_client_did_but_a_subset_is_balanced():
    objects = [
        make(
            "Service", "web", {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80, "name": "http"}]}
        ),
        pod("a", "10.1.0.1", {"app": "web", "v": "1"}),
        make("DestinationRule", "web", {"host": "web", "subsets": [{"name": "v1", "labels": {"v": "1"}}]}),
        make(
            "VirtualService",
            "web",
            {
                "hosts": ["web"],
                "http": [
                    {
                        "match": [{"uri": {"prefix": "/v1"}}],
                        "route": [{"destination": {"host": "web", "subset": "v1"}}],
                    },
                    {"route": [{"destination": {"host": "web"}}]},
                ],
            },
        ),
    ]
    view = view_of(*objects)
    frontend = view.frontend("10.1.0.1", 80)
    plain = view.http(frontend, request("/", "pod-0.web")).destinations[0].cluster
    assert (plain.resolution, plain.load_balancer.algorithm) == (Resolution.HEADLESS, Algorithm.PASSTHROUGH)
    chosen = view.http(frontend, request("/v1", "web")).destinations[0].cluster
    assert (chosen.resolution, chosen.load_balancer.algorithm) == (Resolution.STATIC, Algorithm.LEAST_REQUEST)


def keys(*objects, clients):
    views = views_of(service("web", "10.96.0.1", (80, "http")), pod("web-1", "10.1.0.1", {"app": "web"}), *objects)
    found = []
    for client in clients:
        view = views.for_client(client)
        decision = view.http(view.frontend("10.96.0.1", 80), request(host="web"))
        found.append(decision.destinations[0].cluster.key)
    return found


def test_clients_with_other_priorities_have_groups_of_their_own():
    setting = {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["tier"]}}, "outlierDetection": {}}
    rule = make("DestinationRule", "web", {"host": "web", "trafficPolicy": setting})
    clients = [Client(namespace="default", labels=labels) for labels in ({"tier": "a"}, {"tier": "b"}, {"tier": "a"})]
    first, second, third = keys(rule, clients=clients)
    assert first == third != second
    assert first.startswith("outbound|80||web.default.svc.cluster.local~")


def test_clients_of_other_nodes_have_groups_of_their_own_where_traffic_stays_on_the_node():
    local = service("local", "10.96.0.2", (80, "http"), selector={"app": "web"})
    local = replace(local, spec=replace(local.spec, internal_traffic_policy="Local"))
    views = views_of(local, pod("web-1", "10.1.0.1", {"app": "web"}, node="a"))
    clusters = []
    for node in ("a", "b"):
        view = views.for_client(Client(namespace="default", node=node))
        clusters.append(view.tcp(view.frontend("10.96.0.2", 80)).destinations[0].cluster)
    assert [len(found.endpoints) for found in clusters] == [1, 0]
    assert clusters[0].key != clusters[1].key


def test_where_all_clients_are_equal_the_key_is_the_name():
    clients = [Client(namespace="default", labels={"tier": tier}, node=tier) for tier in "ab"]
    assert set(keys(clients=clients)) == {"outbound|80||web.default.svc.cluster.local"}


def test_clients_of_other_nodes_are_told_apart_where_failover_goes_by_the_node():
    setting = {"localityLbSetting": {"failoverPriority": ["kubernetes.io/hostname"]}}
    policy = {"loadBalancer": setting, "outlierDetection": {}}
    views = views_of(
        service("web", "10.96.0.1", (80, "http")),
        *(pod(f"web-{node}", f"10.1.0.{number}", {"app": "web"}, node=node) for number, node in enumerate("ab", 1)),
        make("DestinationRule", "web", {"host": "web", "trafficPolicy": policy}),
    )
    levels = []
    for node in ("", "a", "b"):
        view = views.for_client(Client(namespace="default", node=node))
        cluster = view.http(view.frontend("10.96.0.1", 80), request(host="web")).destinations[0].cluster
        levels.append(cluster.priorities and cluster.priorities.levels)
    assert levels == [None, ((0,), (1,)), ((1,), (0,))]


def test_an_auto_passthrough_server_keeps_to_its_own_network():
    port = RegistryPort(number=443, name="tls", protocol=Protocol.TLS)
    here, there = (Endpoint(address=f"10.{number}.0.1", port=443, network=f"net-{number}") for number in (1, 2))
    ledger = Service(host="ledger", name="ledger", namespace="default", ports=(port,), endpoints={443: (here, there)})
    mesh = MeshConfigSpec(networks={"net-2": MeshNetwork(gateways=(NetworkGateway(address="192.0.2.1", port=15443),))})
    client = Client(namespace="default", network="net-1", gateway=True)

    def dialled(**how):
        return [end.address for end in build_cluster(ledger, 443, "", None, client, mesh, **how).endpoints]

    assert dialled() == ["10.1.0.1", "192.0.2.1"]
    assert dialled(passthrough=True) == ["10.1.0.1"]
