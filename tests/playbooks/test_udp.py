"""Datagrams of a gateway's clients: who gets them, who answers, when a session ends, and what stays bounded."""

import errno

import pytest
from tests.routes import BASE, gateway, made, route

from nodemesh.proxy.udp.session import IDLE, LEAVING, REFUSED, ClientEntrance
from nodemesh.proxy.udp.sessions import Sessions
from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.sim.world import World

GATEWAY = Client(namespace="shop", name="edge", labels={"gateway.networking.k8s.io/gateway-name": "edge"}, gateway=True)
PORT = 53
OWN = bytes([192, 0, 2, 1])

SERVICE = """---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{clusterIP: 10.96.1.{number}, ports: [{{name: udp, port: 53, protocol: UDP}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: udp, port: 5353, protocol: UDP}}]
endpoints: [{endpoints}]
"""


def service(name, number, *ends, namespace="shop"):
    """A service with endpoints whose addresses end so."""
    endpoints = ", ".join(f"{{addresses: [10.2.{number}.{end}], conditions: {{ready: true}}}}" for end in ends or (1,))
    return SERVICE.format(name=name, number=number, namespace=namespace, endpoints=endpoints)


EDGE = gateway("{name: udp, port: 53, protocol: UDP}")
TO_A = "- backendRefs: [{name: a, port: 53}]"


class Door(ClientEntrance):
    """The gateway's socket: keeps what is sent back."""

    def __init__(self):
        self.replies = []
        self.full = False

    def reply(self, data, ends):
        if not self.full:
            self.replies.append((data, ends[0]))
        return not self.full

    def name(self, ends):
        return "192.0.2.1:53"


class Edge:
    """A gateway's UDP port in a world of its own."""

    def __init__(self, text, most=4096, seed=1):
        self.world = World(BASE + EDGE + text, seed)
        self.door = Door()
        self.pod = self.world.pod(GATEWAY, PORT)
        self.sessions = Sessions(self.pod, most)

    def configure(self, text):
        self.world.configure(BASE + EDGE + text)

    def hear(self, data=b"hello", port=4000, host="203.0.113.9", hops=60):
        self.sessions.received(memoryview(data), self.door, ((host, port), OWN), hops)

    @property
    def sockets(self):
        return self.world.network.sockets

    @property
    def records(self):
        self.world.telemetry.account()
        return self.world.records

    def counted(self):
        return len(self.pod.connections), self.pod.budget.connections


@pytest.fixture
def edge():
    return Edge(service("a", 1) + route("r", TO_A, kind="UDPRoute"))


def test_datagrams_go_to_an_endpoint_and_its_answers_come_back(edge):
    edge.hear(b"one")
    edge.hear(b"two")
    (there,) = edge.sockets
    assert (there.peer, there.sent) == (("10.2.1.1", 5353), [b"one", b"two"])
    there.asker.heard(b"answer")
    there.asker.heard(b"")
    assert edge.door.replies == [(b"answer", ("203.0.113.9", 4000)), (b"", ("203.0.113.9", 4000))]
    assert edge.counted() == (1, 1)


def test_each_client_port_has_a_session_of_its_own_and_its_answers_alone(edge):
    edge.hear(port=1)
    edge.hear(port=2)
    first, second = edge.sockets
    second.asker.heard(b"for 2")
    first.asker.heard(b"for 1")
    assert edge.door.replies == [(b"for 2", ("203.0.113.9", 2)), (b"for 1", ("203.0.113.9", 1))]


def test_a_session_ends_when_both_sides_have_been_silent(edge):
    edge.hear()
    (there,) = edge.sockets
    edge.world.advance(IDLE - 1)
    there.asker.heard(b"late")
    edge.world.advance(IDLE - 1)
    edge.hear(b"again")
    edge.world.advance(IDLE - 1)
    assert not there.closed
    edge.world.advance(2)
    assert there.closed and edge.counted() == (0, 0)
    (record,) = edge.records
    assert (record.protocol, record.reasons, record.upstream_host) == (b"UDP", (), "10.2.1.1:5353")
    assert (record.bytes_received, record.bytes_sent) == (10, 4)
    assert (record.downstream_remote, record.downstream_local) == ("203.0.113.9:4000", "192.0.2.1:53")
    assert record.cluster.host == "a.shop.svc.cluster.local" and str(record.rule.owner) == "UDPRoute shop/r"
    assert not edge.pod.shared.target(record.cluster).busy


def test_shares_are_by_weight_and_that_of_an_invalid_backend_is_dropped():
    backends = (f"{{name: {name}, port: 53, weight: {weight}}}" for name, weight in (("a", 3), ("none", 1), ("b", 0)))
    rules = f"- backendRefs: [{', '.join(backends)}]"
    edge = Edge(service("a", 1) + service("b", 2) + route("r", rules, kind="UDPRoute"))
    for port in range(400):
        edge.hear(port=1000 + port)
    assert {there.peer for there in edge.sockets} == {("10.2.1.1", 5353)}
    assert 270 <= len(edge.sockets) <= 330
    edge.world.advance(REFUSED + 0.1)
    dropped = edge.records
    assert len(dropped) == 400 - len(edge.sockets)
    assert {record.reasons for record in dropped} == {(Reason.CLUSTER_NOT_FOUND,)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.ROUTE_NOT_FOUND),
        (route("r", "- backendRefs: [{name: none, port: 53}]", kind="UDPRoute"), Reason.INVALID_BACKEND),
        (
            service("a", 1).replace("ready: true", "ready: false") + route("r", TO_A, kind="UDPRoute"),
            Reason.NO_HEALTHY_UPSTREAM,
        ),
    ],
)
def test_what_nobody_takes_is_dropped_told_once_and_decided_again_soon(text, reason):
    edge = Edge(text)
    for _ in range(5):
        edge.hear()
    edge.world.advance(REFUSED + 0.1)
    assert [record.reasons for record in edge.records] == [(reason,)]
    edge.configure(service("a", 1) + route("r", TO_A, kind="UDPRoute"))
    edge.hear(b"again")
    assert edge.sockets[-1].sent == [b"again"]


def test_a_client_whose_datagrams_are_dropped_has_new_rules_at_once():
    edge = Edge("")
    edge.hear()
    edge.configure(service("a", 1) + route("r", TO_A, kind="UDPRoute"))
    edge.hear(b"again")
    assert edge.sockets[-1].sent == [b"again"]


def test_of_several_routes_the_oldest_has_all_datagrams():
    routes = route("young", "- backendRefs: [{name: b, port: 53}]", kind="UDPRoute", created=2)
    routes += route("old", TO_A, kind="UDPRoute", created=1)
    edge = Edge(service("a", 1) + service("b", 2) + routes)
    edge.hear()
    assert edge.sockets[0].peer == ("10.2.1.1", 5353)


def test_another_namespace_s_backend_needs_a_grant_and_a_withdrawn_one_takes_effect():
    away = service("a", 1, namespace="other") + route(
        "r", "- backendRefs: [{name: a, namespace: other, port: 53}]", kind="UDPRoute"
    )
    grant = made(
        "ReferenceGrant", "g",
        "from: [{group: gateway.networking.k8s.io, kind: UDPRoute, namespace: shop}]\nto: [{group: '', kind: Service}]",
        namespace="other",
    )  # fmt: skip
    edge = Edge(away + grant)
    edge.hear()
    assert edge.sockets[0].sent == [b"hello"]
    edge.configure(away)
    edge.hear()
    assert edge.sockets[0].closed and len(edge.sockets) == 1


def test_sessions_stay_when_rules_and_endpoints_change_elsewhere_and_go_with_their_endpoint():
    text = route("r", TO_A, kind="UDPRoute")
    edge = Edge(service("a", 1, 1) + text)
    edge.hear(b"1")
    edge.configure(service("a", 1, 1, 2) + text)
    edge.hear(b"2")
    (there,) = edge.sockets
    assert there.sent == [b"1", b"2"]
    edge.configure(service("a", 1, 2) + text)
    edge.hear(b"3")
    assert there.closed and edge.sockets[-1].peer == ("10.2.1.2", 5353) and edge.sockets[-1].sent == [b"3"]


def test_where_nobody_listens_is_told_and_the_client_s_next_datagram_has_another_try(edge):
    edge.hear()
    edge.sockets[0].asker.lost(OSError(errno.ECONNREFUSED, "Connection refused"))
    assert edge.counted() == (0, 0)
    edge.hear(b"again")
    assert edge.sockets[1].sent == [b"again"]
    edge.sockets[1].code = errno.ECONNREFUSED
    edge.hear(b"once more")
    assert edge.sockets[1].closed and edge.counted() == (0, 0)
    assert [record.reasons for record in edge.records] == [(Reason.UPSTREAM_CONNECTION_FAILURE,)] * 2


def test_what_there_is_no_room_for_is_lost_and_not_counted(edge):
    edge.hear(b"one")
    (there,) = edge.sockets
    there.full = True
    edge.hear(b"lost")
    edge.door.full = True
    there.asker.heard(b"lost too")
    edge.world.advance(IDLE + 1)
    (record,) = edge.records
    assert (record.bytes_received, record.bytes_sent) == (3, 0)


def test_each_datagram_has_a_hop_less_than_it_came_with_and_none_has_more_than_ours(edge):
    for hops in (255, 65, 64, 2, 30):
        edge.hear(hops=hops)
    assert edge.sockets[0].hops == [64, 64, 63, 1, 29]


def test_a_datagram_that_has_no_hop_left_is_dropped_alone_and_told_once(edge):
    edge.hear(b"ends here", hops=1)
    edge.hear(b"goes on", hops=9)
    edge.world.advance(IDLE - 1)
    edge.hear(b"and here", hops=1)
    (there,) = edge.sockets
    assert there.sent == [b"goes on"] and not there.closed
    edge.world.advance(2)
    assert there.closed  # what is dropped keeps no session
    (record,) = edge.records
    assert (record.reasons, record.bytes_received) == ((Reason.HOPS_USED_UP,), 7)


def test_breakers_bound_the_sessions_of_a_cluster():
    rule = made(
        "DestinationRule", "d", "host: a\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: 2}}}",
        api="networking.istio.io/v1",
    ).replace(", generation: 3", "")  # fmt: skip
    edge = Edge(service("a", 1) + rule + route("r", TO_A, kind="UDPRoute"))
    for port in (1, 2, 3):
        edge.hear(port=port)
    assert len(edge.sockets) == 2
    edge.world.advance(REFUSED + 0.1)
    assert [record.reasons for record in edge.records] == [(Reason.UPSTREAM_OVERFLOW,)]
    edge.sockets[0].asker.lost(OSError(errno.ECONNREFUSED, ""))
    edge.hear(port=3)
    assert len(edge.sockets) == 3


def test_a_client_with_many_ports_shuts_nobody_out():
    edge = Edge(service("a", 1) + route("r", TO_A, kind="UDPRoute"), most=10)
    edge.hear(host="198.51.100.1")
    for port in range(30):
        edge.hear(port=1000 + port)
        edge.world.advance(0.01)
    edge.hear(host="198.51.100.2")
    edge.hear(b"still", host="198.51.100.1")
    assert edge.sockets[0].sent == [b"hello", b"still"] and not edge.sockets[0].closed
    assert edge.sockets[-1].sent == [b"hello"] and edge.counted() == (10, 10)
    assert {record.reasons for record in edge.records} == {(Reason.LIMIT_PER_POD,)}
    assert {record.downstream_remote.split(":")[0] for record in edge.records} == {"203.0.113.9"}


def test_of_many_clients_with_one_session_each_the_one_that_was_silent_for_longest_makes_room():
    edge = Edge(service("a", 1) + route("r", TO_A, kind="UDPRoute"), most=3)
    for number in (1, 2, 3):
        edge.hear(host=f"198.51.100.{number}")
    edge.hear(host="198.51.100.1")
    for number in (4, 5):
        edge.hear(host=f"198.51.100.{number}")
    assert [there.closed for there in edge.sockets] == [False, True, True, False, False]


def test_a_pod_s_budget_bounds_sessions_too():
    limits = "---\napiVersion: nodemesh.io/v1alpha1\nkind: MeshConfig\nmetadata: {name: d, namespace: istio-system}\n"
    limits += "spec: {limits: {connections: 2}}\n"
    edge = Edge(limits + service("a", 1) + route("r", TO_A, kind="UDPRoute"))
    for port in (1, 2, 3):
        edge.hear(port=port)
    assert edge.counted() == (2, 2) and [there.closed for there in edge.sockets] == [True, False, False]


def test_a_worker_that_is_to_end_waits_for_answers_but_not_for_long(edge):
    edge.hear()
    (there,) = edge.sockets
    edge.world.proxy.start_draining()
    edge.world.advance(LEAVING / 2)
    there.asker.heard(b"late")
    edge.world.advance(LEAVING * 0.9)
    assert edge.door.replies and not there.closed
    edge.world.advance(LEAVING)
    assert there.closed and edge.world.proxy.idle


def test_a_port_that_is_gone_ends_its_sessions(edge):
    edge.hear(port=1)
    edge.hear(port=2)
    edge.sessions.close()
    assert all(there.closed for there in edge.sockets) and edge.counted() == (0, 0)


def test_sessions_that_last_are_counted_meanwhile(edge):
    edge.hear(b"12345")
    edge.world.advance(6)
    dump = edge.world.telemetry.dump()
    assert b"udp" in dump and b"a.shop.svc.cluster.local" in dump
