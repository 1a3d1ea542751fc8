from nodemesh.config.meshconfig import MeshNetwork, NetworkEndpoints
from nodemesh.registry.site import Site


def network(**entry):
    return MeshNetwork(endpoints=(NetworkEndpoints(**entry),))


def test_the_order_in_which_a_network_is_looked_for():
    networks = {"by-registry": network(from_registry="west"), "by-cidr": network(from_cidr="10.1.0.0/16")}
    site = Site(cluster="west", networks=networks)
    assert site.network_of({}, "10.9.0.1") == "by-registry"
    assert site.network_of({}, "10.1.0.1") == "by-cidr"
    assert site.network_of({}, "reviews.example") == "by-registry"
    labelled = Site(cluster="west", network="system", networks=networks)
    assert labelled.network_of({}, "10.1.0.1") == "system"
    assert labelled.network_of({"topology.istio.io/network": "own"}, "10.1.0.1") == "own"
    assert Site().network_of({}, "10.1.0.1") == ""


def test_nodes_of_other_clusters_are_none_of_ours():
    assert Site(cluster="west", remote=True).node_of("node-1") == "west/node-1"
    assert Site(cluster="east").node_of("node-1") == "node-1" and Site(cluster="w", remote=True).node_of("") == ""
