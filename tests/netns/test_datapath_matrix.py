"""Every way to dial, in every mode, every kind of address: who answers, what app and proxy learn."""

import pytest
from tests.netns.conftest import View, finish

from nodemesh.datapath.plan import Planner
from nodemesh.datapath.sync import ServiceMaps
from nodemesh.registry.snapshot import Endpoint, Protocol
from nodemesh.routing.decision import Cluster, Route, WeightedCluster
from nodemesh.routing.frontend import Frontend, Mode

#: The app's socket, how it writes the address, and which of the pod's or service's addresses that is.
WAYS = {
    "v4": ("AF_INET", "{}", 0, "127.0.0.1"),
    "mapped": ("AF_INET6", "::ffff:{}", 0, "127.0.0.1"),
    "v6": ("AF_INET6", "{}", 1, "::1"),
}


def virtual_address(node):
    return node.service.addresses, node.service.addresses, node.first


def headless(node):
    return node.first.record.ips, node.first.record.ips, node.first


def pod_address(node):
    """A pod that no service port stands for: it passes whatever the mode of other services is."""
    return node.second.record.ips, node.service.addresses, node.second


def hairpin(node):
    """RC-03: the client dials the service whose only endpoint it is itself."""
    return node.own.addresses, node.own.addresses, node.client


@pytest.mark.parametrize("target", (virtual_address, headless, pod_address, hairpin))
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("way", WAYS)
def test_matrix(node, client, maps, way, mode, target):
    """RC-16: each case over IPv4, IPv6 and IPv4 through an IPv6 socket."""
    family, form, index, listener = WAYS[way]
    addresses, meshed, pod = target(node)
    endpoints = tuple(Endpoint(address=address, port=80) for address in pod.record.ips)
    cluster = Cluster(name="c", key="c", host="h", port=80, endpoints=endpoints)
    route = Route(destinations=(WeightedCluster(cluster=cluster, cluster_name="c"),), total_weight=100)
    service = Frontend(addresses=meshed, port=80, protocol=Protocol.TCP, mode=mode, tcp=route)
    ServiceMaps(maps).apply(Planner().plan([(0, View(service))]))
    dialled = form.format(addresses[index])
    process = client.start_dial(dialled, family=family)
    answers = pod.name
    if mode is Mode.PROXY and addresses == meshed:
        assert client.answer(listener) == (addresses[index], 80)
        answers = "proxy"
    assert finish(process) == [answers, dialled, "80"]
