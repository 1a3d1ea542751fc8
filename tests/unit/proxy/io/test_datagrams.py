"""Datagrams through a worker, over real sockets: there and back, and handed over when it drains."""

import socket
import sys

import msgspec
import pytest
from tests.routes import gateway, route

from nodemesh.node.gatewayports import listen_udp
from nodemesh.proxy import messages
from nodemesh.proxy.peer import ListenerRole
from nodemesh.reasons import Reason
from nodemesh.routing.client import Client

#: Python's name for it is newer than the oldest Python here (ip(7)).
IP_RECVTTL = 12

LABELS = {"gateway.networking.k8s.io/gateway-name": "edge"}
CLIENT = Client(namespace="shop", name="edge", labels=LABELS, gateway=True)
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: shop}}
spec: {{clusterIP: 10.96.1.1, ports: [{{name: udp, port: 53, protocol: UDP}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: echo, namespace: shop, labels: {{kubernetes.io/service-name: echo}}}}
addressType: {family}
ports: [{{name: udp, port: {port}, protocol: UDP}}]
endpoints: [{{addresses: ['{address}'], conditions: {{ready: true}}}}]
"""


def udp(address):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(5)
    return sock


def mesh(address, port):
    text = SERVICE.format(address=address, port=port, family="IPv6" if ":" in address else "IPv4")
    text += gateway("{name: udp, port: 53, protocol: UDP}")
    return text + route("r", "- backendRefs: [{name: echo, port: 53}]", kind="UDPRoute")


def bytes_passed(control):
    pod = control.worker.proxy.pods.get(7)
    return sum(session.record.bytes_received for session in list(pod.connections)) if pod else 0


def listen(control, address, sockets=1):
    """A port with that many sockets, the first of which is this worker's; where it is."""
    fds = [listen_udp(address, 0)]
    at = socket.socket(fileno=fds[0])
    port = at.getsockname()[1]
    fds += [listen_udp(address, port) for _ in range(sockets - 1)]
    control.say(
        messages.AddListener(
            id=7, role=ListenerRole.DATAGRAMS, descriptors=(messages.Descriptor.SOCKET,) * sockets, client=CLIENT,
            gateway_port=53,
        ),
        *fds,
    )  # fmt: skip
    return at, port


@pytest.mark.parametrize(
    ("bind", "asked", "backend", "shown"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2", "127.0.0.1", "127.0.0.2"),  # not the address that the kernel would answer from
        ("::1", "::1", "::1", "[::1]"),
        ("::", "127.0.0.2", "::1", "[::ffff:127.0.0.2]"),
    ],
)
def test_answers_come_from_the_address_that_was_asked(control, bind, asked, backend, shown):
    with udp(backend) as there, udp(asked.replace("127.0.0.2", "127.0.0.1")) as client:
        control.configure(mesh(*there.getsockname()[:2]))
        at, port = listen(control, bind)
        client.connect((asked, port))
        client.send(b"hello")
        data, gateway_end = there.recvfrom(100)
        there.sendto(data.upper(), gateway_end)
        there.sendto(b"x" * 60_000, gateway_end)
        assert client.recv(100) == b"HELLO" and len(client.recv(65_535)) == 60_000
        client.send(b"")
        assert there.recvfrom(100) == (b"", gateway_end)
        (row,) = msgspec.msgpack.decode(control.ask(messages.GetConnections(id=1)))
        assert row["protocol"] == "UDP" and row["upstream"].rpartition(":")[2] == str(there.getsockname()[1])
        assert row["destination"] == f"{shown}:{port}"
        at.close()


WAYS = [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1")]


def set_hops(sock, hops):
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)


@pytest.mark.parametrize("backend", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(("bind", "asked"), WAYS)
def test_each_datagram_goes_on_with_a_hop_less(control, bind, asked, backend):
    with udp(backend) as there, udp(asked) as client:
        there.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        if there.family == socket.AF_INET6:
            there.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        control.configure(mesh(*there.getsockname()[:2]))
        at, port = listen(control, bind)
        client.connect((asked, port))
        for hops, left in ((64, 63), (10, 9), (1, None), (2, 1), (255, 64)):
            set_hops(client, hops)
            client.send(b"%d" % hops)
            if left is not None:
                data, (ancillary,), _, _ = there.recvmsg(100, 100)
                assert (data, int.from_bytes(ancillary[2], sys.byteorder)) == (b"%d" % hops, left)
        at.close()


@pytest.mark.parametrize(("bind", "asked"), WAYS)
def test_a_route_back_to_the_gateway_itself_comes_to_an_end(control, bind, asked):
    with udp(asked) as client:
        at, port = listen(control, bind)
        control.configure(mesh(asked, port))
        client.connect((asked, port))
        set_hops(client, 9)
        for passed in (40, 80):  # a session at each turn, and all of them again
            client.send(b"12345")
            control.settle(lambda passed=passed: bytes_passed(control) == passed)
        telemetry = control.worker.proxy.shared.telemetry
        control.say(messages.RemoveListener(id=7))
        control.settle(lambda: not control.worker.proxy.leaving and len(telemetry.records) == 9)
        ended = [record for record in telemetry.records if record.reasons]
        assert [(record.reasons, record.bytes_received) for record in ended] == [((Reason.HOPS_USED_UP,), 0)]
        at.close()


def test_a_port_that_was_removed_is_silent_and_leaves_nothing(control):
    with udp("127.0.0.1") as there, udp("127.0.0.1") as client:
        control.configure(mesh(*there.getsockname()[:2]))
        at, port = listen(control, "127.0.0.1")
        client.connect(("127.0.0.1", port))
        client.send(b"hello")
        there.recv(100)
        control.say(messages.RemoveListener(id=7))
        at.close()
        control.settle(lambda: not control.worker.proxy.pods and not control.worker.proxy.leaving)

        def refused() -> bool:
            try:
                client.send(b"hello")
            except ConnectionRefusedError:
                return True
            return False

        control.settle(refused)


def test_each_worker_serves_its_own_of_a_port_s_sockets(control):
    with udp("127.0.0.1") as there:
        control.configure(mesh(*there.getsockname()[:2]))
        at, port = listen(control, "127.0.0.1", sockets=2)
        control.settle(lambda: 7 in control.worker.ports)
        mine = control.worker.ports[7]
        assert mine.sock.fileno() >= 0 and len(control.worker.reactor.loop.watchers) >= 1
        clients = [udp("127.0.0.1") for _ in range(40)]
        for client in clients:
            client.sendto(b"hello", ("127.0.0.1", port))
        control.settle(lambda: 0 < len(control.worker.proxy.pods[7].connections) < 40)
        for client in clients:
            client.close()
        at.close()


def test_a_draining_worker_leaves_new_datagrams_to_its_successor_and_passes_answers_back(control):
    with udp("127.0.0.1") as there, udp("127.0.0.1") as client, udp("127.0.0.1") as other:
        control.configure(mesh(*there.getsockname()[:2]))
        at, port = listen(control, "127.0.0.1")
        at.settimeout(5)
        client.connect(("127.0.0.1", port))
        client.send(b"hello")
        _, gateway_end = there.recvfrom(100)
        control.say(messages.Drain(grace=30))
        control.settle(lambda: control.worker.proxy.shared.draining)
        there.sendto(b"answer", gateway_end)
        assert client.recv(100) == b"answer"
        other.sendto(b"for the successor", ("127.0.0.1", port))
        assert at.recv(100) == b"for the successor"
        control.thread.join(10)
        assert not control.thread.is_alive()
        at.close()
