import pytest
from tests.meshes import make, views_of

from nodemesh.datapath.maps import EntryMode, ServiceKey, pack_address
from nodemesh.datapath.plan import Planner
from nodemesh.registry.snapshot import Locality
from nodemesh.routing.client import Client

HOST = "web.default.svc.cluster.local"


def endpoint(number: int, zones: str = "", nodes: str = "", ready: bool = True, node: str = "") -> dict:
    hints = {"forZones": [{"name": name} for name in zones], "forNodes": [{"name": name} for name in nodes]}
    return {
        "addresses": [f"10.1.0.{number}"],
        "conditions": {"ready": ready},
        "nodeName": node,
        "hints": {key: value for key, value in hints.items() if value},
    }


def mesh(*endpoints: dict, rule: dict | None = None, **spec):
    labels = {"kubernetes.io/service-name": "web"}
    piece = {"endpoints": list(endpoints), "ports": [{"name": "tcp", "port": 8080}]}
    web = {"clusterIP": "10.96.0.1", "ports": [{"name": "tcp", "port": 80}], **spec}
    objects = [make("Service", "web", web), make("EndpointSlice", "web-1", piece, labels=labels)]
    if rule is not None:
        objects.append(make("DestinationRule", "web", {"host": "web", "trafficPolicy": rule}))
    return views_of(*objects)


def client(zone: str = "a", node: str = "m") -> Client:
    return Client(namespace="default", node=node, locality=Locality(zone=zone) if zone else Locality())


def cluster(views, zone: str = "a", node: str = "m"):
    view = views.for_client(client(zone, node))
    return view.frontend("10.96.0.1", 80).tcp.destinations[0].cluster


def chosen(views, zone: str = "a", node: str = "m") -> list[int]:
    return [int(endpoint.address.rpartition(".")[2]) for endpoint in cluster(views, zone, node).endpoints]


def test_a_zones_clients_get_the_endpoints_meant_for_them():
    views = mesh(endpoint(1, "a"), endpoint(2, "b"), endpoint(3, "ab"))
    assert [chosen(views, zone) for zone in "ab"] == [[1, 3], [2, 3]]
    keys = {cluster(views, zone).key for zone in "ab"}
    assert len(keys) == 2, "what differs must not share its state"


@pytest.mark.parametrize("zone", ["", "c"])
def test_a_client_for_whose_zone_nothing_is_meant_gets_all(zone):
    views = mesh(endpoint(1, "a"), endpoint(2, "b"))
    assert chosen(views, zone) == [1, 2]
    assert cluster(views, zone).key == f"outbound|80||{HOST}"


def test_a_ready_endpoint_without_a_hint_makes_all_hints_void():
    assert chosen(mesh(endpoint(1, "a"), endpoint(2, "b"), endpoint(3))) == [1, 2, 3]
    assert chosen(mesh(endpoint(1, "a"), endpoint(2, "b"), endpoint(3, ready=False))) == [1]


def test_a_zone_whose_endpoints_are_not_ready_gets_all():
    assert chosen(mesh(endpoint(1, "a", ready=False), endpoint(2, "b"))) == [1, 2]


def test_the_node_comes_before_the_zone():
    views = mesh(endpoint(1, "a", "m"), endpoint(2, "a", "n"), endpoint(3, "b", "o"))
    assert chosen(views, "a", "m") == [1]
    assert chosen(views, "a", "x") == [1, 2], "no endpoint is meant for the node, but some are for the zone"
    assert cluster(views, "a", "m").key != cluster(views, "a", "n").key


def test_whoever_says_otherwise_is_heard_first():
    ends = (endpoint(1, "a"), endpoint(2, "b"))
    assert chosen(mesh(*ends, trafficDistribution="PreferSameZone")) == [1, 2]
    assert cluster(mesh(*ends, trafficDistribution="PreferSameZone")).priorities is None  # their zones are not told
    assert chosen(mesh(*ends, rule={"loadBalancer": {"localityLbSetting": {"enabled": False}}})) == [1, 2]


def test_local_means_the_node_whatever_the_hints():
    ends = (endpoint(1, "a", node="m"), endpoint(2, "a", node="n"))
    views = mesh(*ends, internalTrafficPolicy="Local")
    assert [chosen(views, "a", node) for node in "mno"] == [[1], [2], []]


def test_the_kernel_gets_no_others():
    """Local without an endpoint on the node is refused there, as kube-proxy does it."""
    backends = {}
    hinted = mesh(endpoint(1, "a"), endpoint(2, "b"))
    local = mesh(endpoint(1, node="m"), endpoint(2, node="n"), internalTrafficPolicy="Local")
    for name, views, who in [
        ("hints", hinted, client()),
        ("local", local, client()),
        ("none", local, client(node="o")),
    ]:
        made = Planner().plan([(1, views.for_client(who))])
        entry = made.entries[ServiceKey(1, pack_address("10.96.0.1"), 80)]
        assert entry.mode is EntryMode.KERNEL
        backends[name] = {(slot.address, slot.port) for slot in made.backends[entry.backends]}
    mine = {(pack_address("10.1.0.1"), 8080)}
    assert backends["hints"] == backends["local"] == mine
    assert not backends["none"] & {(pack_address(f"10.1.0.{number}"), 8080) for number in (1, 2)}
