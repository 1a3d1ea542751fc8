"""Kernel mode: an endpoint is picked at connect() and nothing of nodemesh is on the connection's way."""

from collections import Counter

import pytest
from msgspec.structs import replace
from tests.netns import apps
from tests.netns.conftest import View

from nodemesh.datapath import counters
from nodemesh.datapath.maps import EntryMode, Hook, ServiceEntry, ServiceKey, pack_address
from nodemesh.datapath.plan import Planner
from nodemesh.datapath.sync import ServiceMaps
from nodemesh.reasons import Reason
from nodemesh.registry.snapshot import Endpoint, Protocol, Service
from nodemesh.routing import frontend as routing
from nodemesh.routing.decision import Algorithm, Cluster, LoadBalancer, Route, WeightedCluster
from nodemesh.routing.frontend import Frontend

#: Dials once per line of standard input, so that one process makes many connections.
MANY = """
import socket, sys
family, address, count = getattr(socket, sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(count):
    with socket.socket(family) as sock:
        sock.settimeout(90)
        try:
            sock.connect((address, 80))
            assert sock.getpeername()[0] == address
            print(sock.recv(99).decode())
        except OSError as error:
            print(type(error).__name__)
"""


def cluster(*pods, algorithm=Algorithm.RANDOM, index=0, weights=()):
    endpoints = tuple(
        Endpoint(address=pod.record.ips[index], port=80, weight=weight)
        for pod, weight in zip(pods, weights or (1,) * len(pods), strict=True)
    )
    balancer = LoadBalancer(algorithm=algorithm)
    return Cluster(name="c", key="c", host="h", port=80, endpoints=endpoints, load_balancer=balancer)


def frontend(node, *destinations: tuple[Cluster | None, int]):
    weighted = tuple(WeightedCluster(cluster=one, cluster_name="c", weight=weight) for one, weight in destinations)
    return Frontend(
        addresses=node.service.addresses,
        port=80,
        protocol=Protocol.TCP,
        mode=routing.Mode.KERNEL,
        tcp=Route(destinations=weighted, total_weight=sum(weight for _, weight in destinations)),
    )


def dial_many(client, address, count, family="AF_INET"):
    return Counter(apps.run(client.pod, MANY, family, address, str(count)).split())


def test_connections_are_spread_by_weight(node, client, maps):
    ServiceMaps(maps).apply(
        Planner().plan([(0, View(frontend(node, (cluster(node.first), 80), (cluster(node.second), 20))))])
    )
    before = counters.read(maps).get((Hook.CONNECT4, Reason.BALANCED), 0)
    answers = dial_many(client, node.service.addresses[0], 400)
    assert set(answers) == {"first", "second"}
    assert 40 <= answers["second"] <= 130  # 80 expected; beyond five standard deviations
    assert counters.read(maps)[Hook.CONNECT4, Reason.BALANCED] - before == 400


def test_round_robin_takes_turns(node, client, maps):
    taking_turns = cluster(node.first, node.second, algorithm=Algorithm.ROUND_ROBIN)
    ServiceMaps(maps).apply(Planner().plan([(0, View(frontend(node, (taking_turns, 100))))]))
    assert dial_many(client, node.service.addresses[0], 40) == {"first": 20, "second": 20}


def test_v6_goes_to_v6_endpoints_and_shows_the_dialled_address(node, client, maps):
    """RC-16."""
    ServiceMaps(maps).apply(Planner().plan([(0, View(frontend(node, (cluster(node.second, index=1), 100))))]))
    assert dial_many(client, node.service.addresses[1], 5, "AF_INET6") == {"second": 5}


def test_v6_falls_back_to_v4_endpoints_and_mapped_dialling_works(node, client, maps):
    """RC-16."""
    ServiceMaps(maps).apply(Planner().plan([(0, View(frontend(node, (cluster(node.second), 100))))]))
    assert dial_many(client, node.service.addresses[1], 5, "AF_INET6") == {"second": 5}
    assert dial_many(client, f"::ffff:{node.service.addresses[0]}", 5, "AF_INET6") == {"second": 5}


def test_a_share_without_endpoints_is_refused(node, client, maps):
    ServiceMaps(maps).apply(Planner().plan([(0, View(frontend(node, (None, 100))))]))
    for address, family in zip(node.service.addresses, ("AF_INET", "AF_INET6"), strict=True):
        assert dial_many(client, address, 3, family) == {"ConnectionRefusedError": 3}


def test_weights_change_live_and_new_connections_follow(node, client, maps):
    service_maps = ServiceMaps(maps)
    for pod in (node.first, node.second, node.first):
        service_maps.apply(Planner().plan([(0, View(frontend(node, (cluster(pod), 100))))]))
        assert dial_many(client, node.service.addresses[0], 3) == {pod.name: 3}
    assert len(list(maps["backends"].keys())) == 1  # one slot, which the service's two addresses share


@pytest.mark.parametrize("heartbeat", ("fresh", "late"))
def test_kernel_mode_needs_no_data_plane(node, client, maps, heartbeat):
    ServiceMaps(maps).apply(Planner().plan([(0, View(frontend(node, (cluster(node.second), 100))))]))
    if heartbeat == "late":
        client.heartbeat.stop()
        for listener in client.listeners.values():
            listener.close()
    assert dial_many(client, node.service.addresses[0], 3) == {"second": 3}


def test_an_entry_whose_set_is_gone_passes(node, client, maps):
    vip = node.service.addresses[0]
    maps["services"].update(
        ServiceKey(0, pack_address(vip), 80).pack(), ServiceEntry(EntryMode.KERNEL, backends=1, slots=1).pack()
    )
    assert dial_many(client, vip, 2) == {"first": 2}
    assert counters.read(maps)[Hook.CONNECT4, Reason.PASS_NO_ENDPOINT] >= 2


def test_a_service_with_session_affinity_has_one_endpoint_for_each_pod(node, client, maps):
    service = Service(host="h", name="h", namespace="default", session_affinity="ClientIP")
    ours = replace(frontend(node, (cluster(node.first, node.second), 100)), service=service)
    ServiceMaps(maps).apply(Planner().plan([(0, View(ours))]))
    address = node.service.addresses[0]
    (mine,) = dial_many(client, address, 40)
    maps.enrol(client.cookie, 0)  # as an agent that starts anew
    assert dial_many(client, address, 10) == {mine: 10}
    other = next(pod for pod in (node.first, node.second) if pod.name != mine)
    ServiceMaps(maps).apply(Planner().plan([(0, View(replace(ours, tcp=frontend(node, (cluster(other), 100)).tcp)))]))
    assert dial_many(client, address, 10) == {other.name: 10}
