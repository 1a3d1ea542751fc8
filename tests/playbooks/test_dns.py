"""DNS queries of a pod: who answers which, what is believed, and what stays bounded."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from nodemesh.proxy.dns.nameserver import MAX_WAITING, PATIENCE, Entrance, Nameserver
from nodemesh.routing.client import Client
from nodemesh.sim.world import World
from nodemesh.telemetry.names import Names

PEER = ("127.0.0.1", 40000)

CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1'], ports: [{port: 80}], selector: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: default}
spec:
  hosts: [db.internal]
  ports: [{number: 3306, name: tcp, protocol: TCP}]
  resolution: DNS
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {dnsCapture: true}
"""


class Door(Entrance):
    """The pod's socket: keeps what is sent back."""

    def __init__(self, server="10.96.0.10"):
        self.server = server
        self.replies = []

    def nameserver(self):
        return self.server

    def reply(self, answer, peer):
        assert peer == PEER
        self.replies.append(answer)


class Pod:
    """A pod's nameserver in a world of its own."""

    def __init__(self, config=CONFIG, families=(4, 6)):
        self.world = World(config)
        self.door = Door()
        pod = self.world.proxy.add_pod(1, Client(namespace="default", name="client"), 77, 1)
        self.server = Nameserver(pod, families)

    @property
    def asked(self):
        return self.world.network.sockets

    @property
    def counts(self):
        return self.world.telemetry.names

    def send(self, wire):
        self.server.received(wire, self.door, PEER)

    def ask(self, name, kind="A", **more):
        """Its answer, if there is one already."""
        query = dns.message.make_query(name, kind, **more)
        self.send(query.to_wire())
        return self.reply(query)

    def reply(self, query=None):
        if not self.door.replies:
            return None
        wire = self.door.replies.pop()
        answer = dns.message.from_wire(wire)
        assert query is None or answer.id == query.id
        return answer


@pytest.fixture
def pod():
    return Pod()


def addresses(answer):
    return sorted(record.to_text() for rrset in answer.answer for record in rrset)


def response_to(asked, *texts, change=0):
    query = dns.message.from_wire(asked.sent[0])
    response = dns.message.make_response(query)
    response.id ^= change
    if texts:
        response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", *texts))
    return response.to_wire()


def test_names_of_the_mesh_are_answered_without_asking_anybody(pod):
    assert addresses(pod.ask("web.default.svc.cluster.local")) == ["10.96.0.1"]
    assert addresses(pod.ask("web", "AAAA")) == ["fd00::1"]
    assert pod.asked == [] and pod.counts == Names(answered=2)


def test_another_kind_of_record_is_asked_for_where_the_pod_asks(pod):
    assert pod.ask("web", "SRV") is None
    assert (pod.asked[0].peer, pod.asked[0].namespace) == (("10.96.0.10", 53), 77)


def test_the_mesh_changes_and_so_does_the_answer(pod):
    pod.world.configure(CONFIG.replace("10.96.0.1", "10.96.0.7"))
    assert addresses(pod.ask("web")) == ["10.96.0.7"]
    pod.world.configure(CONFIG.replace("name: web", "name: shop"))
    assert pod.ask("web") is None and len(pod.asked) == 1


@pytest.mark.parametrize(("families", "counts"), [((4,), (1, 0)), ((6,), (0, 1)), ((4, 6), (1, 1)), ((), (1, 1))])
def test_allocated_addresses_are_of_the_families_that_the_pod_has(families, counts):
    pod = Pod(families=families)
    found = tuple(len(addresses(pod.ask("db.internal", kind))) for kind in ("A", "AAAA"))
    assert found == counts and pod.asked == []


def test_a_query_goes_on_as_it_is_but_for_its_number_and_so_does_the_answer(pod):
    query = dns.message.make_query("example.com", "A", use_edns=0, payload=4096)
    pod.send(query.to_wire())
    (asked,) = pod.asked
    assert asked.sent[0][2:] == query.to_wire()[2:]
    answer = response_to(asked, "192.0.2.1")
    asked.asker.heard(answer)
    assert pod.door.replies == [query.to_wire()[:2] + answer[2:]]
    assert asked.closed and not pod.server.waiting and pod.counts == Names(forwarded=1)


def test_numbers_are_not_those_of_the_client():
    numbers = set()
    for _ in range(20):
        pod = Pod()
        pod.ask("example.com", id=1)
        numbers.add(pod.asked[0].sent[0][:2])
    assert len(numbers) > 15


def test_only_the_answer_to_the_query_is_believed(pod):
    pod.ask("example.com")
    (asked,) = pod.asked
    asked.asker.heard(response_to(asked, "203.0.113.66", change=1))
    asked.asker.heard(b"")
    asked.asker.heard(asked.sent[0])
    other = dns.message.make_query("other.com", "A", id=int.from_bytes(asked.sent[0][:2], "big"))
    asked.asker.heard(dns.message.make_response(other).to_wire())
    assert pod.reply() is None and pod.counts.mismatched == 4
    asked.asker.heard(response_to(asked, "192.0.2.1"))
    assert addresses(pod.reply()) == ["192.0.2.1"]


def test_a_server_that_cannot_be_reached_is_told_at_once(pod):
    pod.ask("example.com")
    pod.asked[0].asker.lost(ConnectionRefusedError())
    assert pod.reply().rcode() == dns.rcode.SERVFAIL
    assert pod.counts == Names(forwarded=1, unreachable=1) and not pod.server.waiting


def test_a_query_that_cannot_even_be_sent(pod):
    def fail(*_):
        raise OSError("no way leads there")

    pod.world.network.datagrams = fail
    assert pod.ask("example.com").rcode() == dns.rcode.SERVFAIL
    assert not pod.server.waiting


def test_a_silent_server_stays_silent(pod):
    pod.ask("example.com")
    pod.world.advance(PATIENCE - 0.1)
    assert len(pod.server.waiting) == 1
    pod.world.advance(0.2)
    assert pod.reply() is None and pod.asked[0].closed
    assert pod.counts == Names(forwarded=1, timeouts=1)


def test_a_pod_may_have_so_many_queries_waiting_and_no_more(pod):
    for number in range(MAX_WAITING):
        assert pod.ask(f"n{number}.example.com") is None
    assert pod.ask("one.more.example.com").rcode() == dns.rcode.SERVFAIL
    assert addresses(pod.ask("web")) == ["10.96.0.1"], "the mesh's own names cost nothing"
    pod.asked[0].asker.heard(response_to(pod.asked[0]))
    pod.reply()
    assert pod.ask("again.example.com") is None
    assert (pod.counts.refused, len(pod.asked)) == (1, MAX_WAITING + 1)


def test_a_query_that_was_meant_for_nobody_known_is_refused(pod):
    pod.door.server = ""
    assert pod.ask("example.com").rcode() == dns.rcode.SERVFAIL
    assert addresses(pod.ask("web")) == ["10.96.0.1"]


def test_what_cannot_be_read_is_told_or_dropped(pod):
    pod.send(b"")
    pod.send(dns.message.make_response(dns.message.make_query("web", "A")).to_wire())
    assert pod.reply() is None
    pod.send(dns.message.make_query("web", "A").to_wire()[:-1])
    assert pod.reply().rcode() == dns.rcode.FORMERR
    pod.send(dns.message.make_query("web", "A").to_wire() + b"junk")
    assert pod.reply().rcode() == dns.rcode.FORMERR
    assert pod.counts == Names(malformed=4) and pod.asked == []


def test_when_the_listener_goes_nobody_waits_any_more(pod):
    pod.ask("example.com")
    pod.server.close()
    assert pod.asked[0].closed and not pod.server.waiting
    pod.world.advance(60)
    assert pod.reply() is None and pod.counts.timeouts == 0
