"""DNS queries of pods that ask for it go to the listener in their own namespace, and to the cluster's server whenever
nobody serves there."""

import selectors
import socket
import threading

import pytest
from tests.netns import apps
from tests.netns.conftest import BPF_DIR

from nodemesh.datapath import counters, namespaces
from nodemesh.datapath.attach import attach, attached
from nodemesh.datapath.hooks import DNS_HOOKS, HOOKS, SK_LOOKUP
from nodemesh.datapath.loader import load
from nodemesh.datapath.maps import LAYOUT, NAMESERVER_KEY, NAMESERVERS, Hook, Maps, PodFlag, pack_address
from nodemesh.datapath.nameservers import inherit
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.uninstall import remove_other_layouts
from nodemesh.reasons import Reason

DNS_PORT = 15053

#: A nameserver and, at another port, something that is none.
SERVER = """
import selectors, socket
selector = selectors.DefaultSelector()
for port in (53, 54):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", port))
    selector.register(server, selectors.EVENT_READ)
print("up", flush=True)
while True:
    for key, _ in selector.select():
        data, peer = key.fileobj.recvfrom(512)
        key.fileobj.sendto(b"cluster", peer)
"""

#: Asks as a resolver does, `connected` or not; tells the answers, who seems to have given them, and its peer.
ASK = """
import socket, sys
family, address, port, way = sys.argv[1:]
sock = socket.socket(getattr(socket, family), socket.SOCK_DGRAM)
sock.settimeout(90)
try:
    if way == "connected":
        sock.connect((address, int(port)))
        sock.send(b"query")
        print(sock.recvfrom(512)[0].decode(), *sock.getpeername()[:2])
    else:
        sock.sendto(b"query", (address, int(port)))
        answer, peer = sock.recvfrom(512)
        print(answer.decode(), *peer[:2])
except OSError as error:
    print(type(error).__name__)
"""

WAYS = ("connected", "unconnected")
FAMILIES = {"v4": ("AF_INET", "{}", 0), "mapped": ("AF_INET6", "::ffff:{}", 0), "v6": ("AF_INET6", "{}", 1)}


@pytest.fixture(scope="module")
def nameserver(node):
    process = apps.start(node.first, SERVER)
    assert process.stdout.readline() == "up\n"
    yield node.first.record.ips
    process.kill()


class Answers:
    """The mesh's DNS listeners in the pod: a socket for each family and each server that it may ask, answered by a
    thread."""

    def __init__(self, netns):
        self.selector = selectors.DefaultSelector()
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for slot in range(NAMESERVERS):
                sock = namespaces.open_socket(netns, family, socket.SOCK_DGRAM)
                sock.bind((address, DNS_PORT + slot))
                self.selector.register(sock, selectors.EVENT_READ)
        self.wake, self.waker = socket.socketpair()
        self.selector.register(self.wake, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.answer, daemon=True)
        self.thread.start()

    def answer(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.wake:
                    return
                _, peer = key.fileobj.recvfrom(512)
                key.fileobj.sendto(b"mesh", peer)

    def close(self):
        self.waker.send(b"end")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        self.waker.close()


@pytest.fixture
def captured(node, client, maps, nameserver):
    """The client, with its DNS taken over."""
    netns = namespaces.netns_fd(node.client.pid)
    answers = Answers(netns)
    maps.enrol(client.cookie, 0, PodFlag.DNS)
    attach(node.pins, node.client.record.uid, node.cgroup(node.client), dns=True)
    yield client
    answers.close()


def ask(client, address, way, family="AF_INET", port=53):
    return apps.run(client.pod, ASK, family, address, str(port), way).split()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_query_is_answered_by_the_mesh_and_seems_to_come_from_the_server(captured, nameserver, maps, family, way):
    """RC-16, RC-20."""
    name, form, index = FAMILIES[family]
    address = form.format(nameserver[index])
    assert ask(captured, address, way, name) == ["mesh", address, "53"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_dns_never_depends_on_our_being_alive(captured, nameserver, maps, family, way):
    """RC-21: a heartbeat that stops, then a listener that is gone."""
    name, form, index = FAMILIES[family]
    address = form.format(nameserver[index])
    captured.heartbeat.stop()
    assert ask(captured, address, way, name) == ["cluster", address, "53"]
    captured.heartbeat.beat()
    for listener in captured.listeners.values():
        listener.close()
    assert ask(captured, address, way, name) == ["cluster", address, "53"]
    assert {reason for hook, reason in counters.read(maps)} >= {Reason.PASS_HEARTBEAT_LATE, Reason.PASS_NO_LISTENER}


def test_a_socket_that_outlives_the_mesh_asks_the_clusters_server_next(captured, nameserver):
    """RC-20, RC-21: each query of an unconnected socket is decided afresh."""
    code = (
        "import socket, sys\n"
        "sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.settimeout(90)\n"
        "for line in sys.stdin:\n"
        "    sock.sendto(b'query', (sys.argv[1], 53))\n"
        "    answer, peer = sock.recvfrom(512)\n"
        "    print(answer.decode(), peer[0], flush=True)\n"
    )
    process = apps.start(captured.pod, code, nameserver[0])

    def again():
        process.stdin.write("\n")
        process.stdin.flush()
        return process.stdout.readline().split()

    assert again() == ["mesh", nameserver[0]]
    captured.heartbeat.stop()
    assert again() == ["cluster", nameserver[0]]
    captured.heartbeat.beat()
    assert again() == ["mesh", nameserver[0]]
    assert process.finish() == ""


#: Asks each server through one socket before it listens to any; tells who answered what.
ASK_ALL = """
import socket, sys
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.settimeout(90)
for address in sys.argv[1:]:
    sock.sendto(b"query", (address, 53))
for address in sys.argv[1:]:
    answer, peer = sock.recvfrom(512)
    print(answer.decode(), peer[0].removeprefix("::ffff:"))
"""


def test_one_socket_asks_several_servers_at_once(node, captured, nameserver):
    """Each server has a port; the first one that finds none left is asked itself, and so is none of the others."""
    strangers = [f"10.244.0.{number}" for number in (201, 202)]
    servers = [nameserver[1], *strangers, node.second.record.ips[0], nameserver[0]]
    dialled = [address if ":" in address else f"::ffff:{address}" for address in servers]
    answers = apps.run(captured.pod, ASK_ALL, *dialled).splitlines()
    assert sorted(answers) == sorted([*(f"mesh {address}" for address in servers[:4]), f"cluster {nameserver[0]}"])


@pytest.mark.parametrize("way", WAYS)
def test_other_udp_is_left_alone(captured, nameserver, way):
    """RC-20."""
    assert ask(captured, nameserver[0], way, port=54) == ["cluster", nameserver[0], "54"]


@pytest.mark.parametrize("way", WAYS)
def test_a_pod_that_has_not_asked_for_it_keeps_its_server(captured, nameserver, maps, way):
    maps.enrol(captured.cookie, 0)
    assert ask(captured, nameserver[0], way) == ["cluster", nameserver[0], "53"]


def test_the_pods_own_resolver_at_its_loopback_is_left_alone(captured):
    assert ask(captured, "127.0.0.1", "connected") == ["ConnectionRefusedError"]


def test_hooks_for_dns_come_and_go_with_the_wish(node, captured, maps):
    def at_client():
        return {one.hook for one in attached(node.pins) if one.pod == node.client.record.uid}

    every = {hook.name for hook in (*HOOKS, SK_LOOKUP)}
    assert at_client() == every | {hook.name for hook in DNS_HOOKS}
    attach(node.pins, node.client.record.uid, node.cgroup(node.client))
    assert at_client() == every


def test_answers_are_counted(captured, nameserver, maps):
    before = counters.read(maps).get((Hook.RECVMSG4, Reason.ORIGIN_SHOWN), 0)
    ask(captured, nameserver[0], "unconnected")
    assert counters.read(maps)[Hook.RECVMSG4, Reason.ORIGIN_SHOWN] == before + 1


RECONNECT = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for address, port in ((sys.argv[1], 53), ("127.0.0.1", 54)):
    sock.connect((address, port))
    print(*sock.getpeername())
"""


def test_a_socket_that_connects_to_something_else_is_seen_to(captured, nameserver):
    assert apps.run(captured.pod, RECONNECT, nameserver[0]).split() == [nameserver[0], "53", "127.0.0.1", "54"]


def test_an_upgrade_knows_the_servers_that_pods_have_asked(node, maps):
    """RC-10: both agents read queries from the same sockets for a while, and must mean the same servers."""
    older = Pins(node.pins.root, LAYOUT - 1)
    load(BPF_DIR, older)
    with Maps(older) as before:
        before["nameservers"].update(NAMESERVER_KEY.pack(4711, 2), pack_address("10.96.0.10"))
        before["nameservers"].update(NAMESERVER_KEY.pack(4711, 1), pack_address("10.96.0.11"))
    maps["nameservers"].update(NAMESERVER_KEY.pack(4711, 1), pack_address("10.96.0.12"))
    try:
        inherit(node.pins, maps)
        found = dict(maps["nameservers"].items())
        assert found[NAMESERVER_KEY.pack(4711, 2)] == pack_address("10.96.0.10")
        assert found[NAMESERVER_KEY.pack(4711, 1)] == pack_address("10.96.0.12")
    finally:
        remove_other_layouts(node.pins)
