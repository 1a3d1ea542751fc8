from nodemesh.config.meshconfig import MeshConfigSpec, MeshNetwork, NetworkGateway
from nodemesh.registry.snapshot import Endpoint, Health, Locality, Protocol, Service, Snapshot
from nodemesh.routing.networks import out_of_reach, reachable


def endpoint(address, network="", weight=1, health=Health.READY, region=""):
    locality = Locality(region=region)
    return Endpoint(address=address, port=80, network=network, weight=weight, health=health, locality=locality)


def gateways(*addresses):
    return MeshNetwork(gateways=tuple(NetworkGateway(address=address, port=15443) for address in addresses))


HERE, THERE = endpoint("10.1.0.1", "east"), endpoint("10.2.0.1", "west", region="r2")
NETWORKS = {"west": gateways("192.0.2.1")}


def dialled(*endpoints, network="east", networks=NETWORKS, protocol=Protocol.HTTP):
    found = reachable(endpoints, network, networks, protocol)
    return [(entry.address, entry.port, entry.weight) for entry in found]


def test_the_own_network_and_none_are_reached_directly():
    everywhere = (HERE, endpoint("10.3.0.1"))
    assert reachable(everywhere, "east", NETWORKS, Protocol.HTTP) is everywhere
    both = (HERE, THERE)
    assert reachable(both, "", NETWORKS, Protocol.HTTP) is both, "a client without a network"


def test_all_of_another_network_is_its_gateway_with_their_weight_and_place():
    more = endpoint("10.2.0.2", "west", weight=3), endpoint("10.2.0.3", "west", health=Health.UNREADY)
    assert dialled(HERE, THERE, *more) == [("10.1.0.1", 80, 1), ("192.0.2.1", 15443, 4)]
    assert reachable((THERE,), "east", NETWORKS, Protocol.HTTP)[0].locality == Locality(region="r2")


def test_several_gateways_share_the_weight():
    networks = {"west": gateways("192.0.2.1", "192.0.2.2")}
    assert dialled(HERE, THERE, networks=networks) == [
        ("10.1.0.1", 80, 2),
        ("192.0.2.1", 15443, 1),
        ("192.0.2.2", 15443, 1),
    ]


def test_what_carries_no_name_and_what_has_no_gateway_is_out_of_reach():
    assert dialled(HERE, THERE, protocol=Protocol.TCP) == [("10.1.0.1", 80, 1)]
    assert dialled(HERE, THERE, networks={}) == [("10.1.0.1", 80, 1)]


def test_networks_out_of_reach_are_named_with_the_mend():
    service = Service(host="web", name="web", namespace="default", endpoints={80: (HERE, THERE)})
    snapshot = Snapshot(network="east", services={"web": (service,)})
    assert out_of_reach(snapshot) == {
        "west": "no gateway of the network west is known; name one in MeshConfig's networks.west.gateways"
    }
    assert out_of_reach(Snapshot(network="", services={"web": (service,)})) == {}
    mesh = MeshConfigSpec(networks=NETWORKS)
    assert out_of_reach(Snapshot(network="east", mesh=mesh, services={"web": (service,)})) == {}
