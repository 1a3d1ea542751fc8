"""A worker over real sockets: it obeys control, serves, survives what clients and upstreams do, and drains."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time

import dns.message
import dns.rcode
import msgspec
import pytest
from tests.playbooks.mesh import rule
from tests.unit.proxy.workers import GET, OK, Control, accept, connect, mesh, read_until, reset

from nodemesh.proxy import messages
from nodemesh.proxy.messages import FromWorker
from nodemesh.proxy.peer import ListenerRole
from nodemesh.proxy.worker import LISTED, LISTED_TEXT
from nodemesh.routing.client import Client
from nodemesh.routing.wire import encode_update
from nodemesh.telemetry.disagreement import ShadowCounts


def test_requests_flow_and_are_counted(control, upstream):
    assert control.configure(mesh(upstream)) == messages.Applied(version=1)
    with connect(control.listen(80)) as client:
        client.sendall(GET)
        served = accept(upstream)
        for _ in range(2):
            assert read_until(served, b"\r\n\r\n").startswith(b"GET / HTTP/1.1\r\nhost: reviews\r\n")
            served.sendall(OK)
            assert read_until(client, b"hi").startswith(b"HTTP/1.1 200 OK\r\n")
            client.sendall(GET)
        read_until(served, b"\r\n\r\n")
        (connection,) = msgspec.msgpack.decode(control.ask(messages.GetConnections(id=1)))
        assert connection["destination"] == "10.96.0.10:80" and connection["request"] == "/"
        assert b"reviews.default.svc.cluster.local" in control.ask(messages.GetStatistics(id=2, kept=0))
        served.close()


def test_new_tables_count_at_once_and_bad_ones_not_at_all(control, upstream):
    control.configure(mesh(upstream))
    with connect(control.listen(80)) as client:
        assert isinstance(control.configure(mesh(upstream), version=9, base=5), messages.Refused)
        control.configure(mesh(upstream) + rule("directResponse: {status: 418}"), version=2)
        client.sendall(GET)
        assert client.recv(1000).startswith(b"HTTP/1.1 418")


def test_pods_that_are_about_to_go_get_no_new_requests_while_others_serve(control, upstream):
    control.configure(mesh(upstream))
    with connect(control.listen(80)) as client:
        client.sendall(GET)
        served = accept(upstream)
        read_until(served, b"\r\n\r\n")
        served.sendall(OK)
        read_until(client, b"hi")
        (target,) = control.worker.proxy.shared.targets.values()
        (host,) = target.group.hosts
        control.say(messages.Retire(addresses=(host.address,)))
        control.ask(messages.GetStatistics(id=1, kept=0))
        assert host.endpoint.health == "draining"
        served.close()


def test_a_body_arrives_as_it_was_sent(control, upstream):
    control.configure(mesh(upstream))
    body = os.urandom(3 << 20)
    message = b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with connect(control.listen(80)) as client:
        sender = threading.Thread(target=client.sendall, args=(message,))
        sender.start()
        served = accept(upstream)
        got = b""
        while body[-50:] not in got[-60:]:
            got += served.recv(1 << 20)
        assert got.endswith(body)
        sender.join(5)
        answer = threading.Thread(
            target=served.sendall, args=(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body,)
        )
        answer.start()
        assert read_until(client, body[-50:]).endswith(body)
        answer.join(5)
        served.close()


def test_a_relay_passes_bytes_ends_and_resets(control, upstream):
    control.configure(mesh(upstream))
    address = control.listen(81)
    with connect(address) as client:
        client.sendall(b"hello")
        served = accept(upstream)
        assert served.recv(100) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert served.recv(100) == b""
        served.sendall(b"bye")
        served.close()
        assert read_until(client, b"bye") == b"bye" and client.recv(1) == b""
    with connect(address) as client:
        client.sendall(b"hello")
        served = accept(upstream)
        served.recv(100)
        reset(served)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_relays_that_are_over_leave_nothing_to_the_collector(control, upstream):
    """Passes over tens of thousands of them would stop everybody for tens of milliseconds."""
    control.configure(mesh(upstream))
    address = control.listen(81)
    pods = control.worker.proxy.pods
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for resets in (False, True):
            with connect(address) as client:
                client.sendall(b"hello")
                served = accept(upstream)
                served.recv(100)
                served.close()
                if resets:
                    reset(client)
            control.settle(lambda: not pods[81].connections)
        control.settle(lambda: not pods[81].budget.connections)
        gc.collect()
        left = {type(item).__name__ for item in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left & {"Relay", "Side", "TcpConnection", "SocketTransport", "Timer"}


def test_clients_that_reset_leave_nothing_behind_and_nothing_spins(control, upstream):
    control.configure(mesh(upstream))
    address = control.listen(80)
    for _ in range(20):
        client = connect(address)
        client.sendall(b"PUT / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000)
        served = accept(upstream)
        served.recv(1000)
        reset(client)
        served.close()
    pod = control.worker.proxy.pods[80]
    control.settle(lambda: not pod.connections)
    control.settle(lambda: len(control.worker.reactor.loop.lanes.known[pod.lane].transports) == 0)
    assert pod.budget.connections == 0 and pod.budget.requests == 0
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.15


def test_no_upstream_is_a_503(control, upstream):
    control.configure(mesh(upstream))
    upstream.close()
    with connect(control.listen(80)) as client:
        client.sendall(GET)
        assert b"remote connection failure" in read_until(client, b"refused")


def test_draining_ends_the_worker_when_all_is_done(control, upstream):
    control.configure(mesh(upstream))
    address = control.listen(80)
    with connect(address) as client:
        client.sendall(GET)
        served = accept(upstream)
        read_until(served, b"\r\n\r\n")
        control.say(messages.Drain(grace=30.0))
        control.settle(lambda: control.worker.proxy.shared.draining)
        served.sendall(OK)
        assert b"connection: close" in read_until(client, b"hi")
    control.thread.join(5)
    assert not control.thread.is_alive()
    served.close()


@pytest.mark.parametrize("last", [messages.RemoveListener(id=80), messages.Drain(grace=30.0)])
def test_who_waits_at_a_listener_that_closes_is_served(control, upstream, last):
    control.configure(mesh(upstream) + rule("directResponse: {status: 418}"))
    address = control.listen(80)
    with control.standing_still():
        clients = [connect(address) for _ in range(50)]
        control.say(last)
    control.settle(lambda: not control.worker.listeners)
    for client in clients:
        client.sendall(GET)
        assert client.recv(1000).startswith(b"HTTP/1.1 418")
        client.close()


def test_control_may_die(upstream):
    control = Control()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sockets = [far, None]
    control.worker._reconnect = lambda: sockets.pop()
    control.configure(mesh(upstream))
    address = control.listen(80)
    with connect(address) as client:
        control.socket.close()
        client.sendall(GET)
        served = accept(upstream)
        served.sendall(OK)
        assert read_until(client, b"hi")
        near.settimeout(5)
        assert isinstance(msgspec.msgpack.decode(near.recv(1000), type=FromWorker), messages.Hello)
        served.close()
    near.send(msgspec.msgpack.encode(messages.Drain(grace=0.0)))
    control.thread.join(5)
    assert not control.thread.is_alive()


def test_what_looks_on_ends_with_control_and_with_the_tables_that_it_stands_beside(upstream):
    control = Control()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sockets = [far, None]
    control.worker._reconnect = lambda: sockets.pop()
    control.configure(mesh(upstream))
    proxy = control.worker.proxy

    def shadow(run, base):
        live = control.worker.tables
        fd = os.memfd_create("shadow")
        os.write(fd, encode_update(msgspec.structs.replace(live, version=base), live))
        control.say(messages.SetShadow(run=run, base=base), fd)
        os.close(fd)
        return msgspec.msgpack.decode(control.ask(messages.GetShadow(run=run, id=1)), type=ShadowCounts)

    control.say(messages.SetRecording(run=7, most=10))
    assert (shadow(run=5, base=1).version, len(proxy.taps)) == (1, 2)
    other = shadow(run=5, base=9)
    assert (other.version, len(proxy.taps)) == (0, 1)  # it builds on tables that are not here
    shadow(run=5, base=1)
    control.configure(mesh(upstream), version=2)
    assert len(proxy.taps) == 1
    assert shadow(run=5, base=2).version == 2
    control.socket.close()
    control.settle(lambda: proxy.taps == ())
    near.send(msgspec.msgpack.encode(messages.Drain(grace=0.0)))
    control.thread.join(5)


def test_connections_wait_for_the_first_tables(control, upstream):
    """RC-18."""
    address = control.listen(80)
    control.say(messages.UpdateClient(id=80, client=Client(namespace="default", name="client", labels={"app": "late"})))
    with connect(address) as client:
        client.sendall(GET)
        assert msgspec.msgpack.decode(control.ask(messages.GetConnections(id=1))) == []
        config = mesh(upstream) + rule("match: [{sourceLabels: {app: late}}]\ndirectResponse: {status: 418}")
        assert control.configure(config) == messages.Applied(version=1)
        assert client.recv(1000).startswith(b"HTTP/1.1 418")


def test_a_listener_that_goes_before_the_first_tables_is_never_served(control, upstream):
    address = control.listen(80)
    control.say(messages.RemoveListener(id=80))
    control.configure(mesh(upstream))
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_the_listeners_own_address_means_what_stands_behind_it(control, upstream):
    config = mesh(upstream) + rule(
        "match: [{authority: {exact: '10.96.0.10:9080'}}]\nroute: [{destination: {host: reviews}}]"
    )
    control.configure(config.replace("port: 80}", "port: 9080}"))
    host, port = control.listen(9080)
    for name, meant in ((host, True), ("localhost", True), ("127.0.0.2", False)):
        with connect((host, port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: %s:%d\r\n\r\n" % (name.encode(), port))
            if meant:
                served = accept(upstream)
                assert b"\r\nhost: 10.96.0.10:9080\r\n" in read_until(served, b"\r\n\r\n")
                served.close()
            else:
                assert client.recv(1000)
                upstream.settimeout(0)
                with pytest.raises(BlockingIOError):
                    upstream.accept()


def test_names_are_answered_until_the_listener_goes(control, upstream):
    """Before the first tables queries wait in the socket, as connections do in a listener's backlog."""
    entrance = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    entrance.bind(("127.0.0.1", 0))
    address = entrance.getsockname()
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    message = messages.AddListener(
        id=9,
        role=ListenerRole.DNS,
        descriptors=(messages.Descriptor.NAMESPACE, messages.Descriptor.SOCKET),
        client=Client(namespace="default", name="client"),
        dns=messages.DnsSockets(slots=(0,)),
    )
    control.say(message, namespace, entrance.fileno())  # each by its name, in whichever order
    entrance.close()
    os.close(namespace)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(address)
        client.send(dns.message.make_query("reviews", "A").to_wire())
        control.configure(mesh(upstream))
        answer = dns.message.from_wire(client.recv(512))
        assert [record.to_text() for record in answer.answer[0]] == ["10.96.0.10"]
        client.send(dns.message.make_query("example.com", "A").to_wire())
        assert dns.message.from_wire(client.recv(512)).rcode() == dns.rcode.SERVFAIL, "its server is not known"
        control.say(messages.RemoveListener(id=9))
        control.settle(lambda: not control.worker.proxy.pods)
        client.send(b"late")
        with pytest.raises(ConnectionRefusedError):
            client.recv(512)


def test_the_listing_of_connections_is_bounded_for_each_pod_and_field(control, upstream):
    """Thousands of connections, or long paths, of one pod are no answer that control could use."""
    control.configure(mesh(upstream))
    crowded, quiet = control.listen(80), control.listen(82)
    clients = [connect(crowded) for _ in range(LISTED + 5)]
    clients[0].sendall(GET.replace(b"GET / ", b"GET /" + b"x" * 5000 + b" "))
    served = accept(upstream)
    read_until(served, b"\r\n\r\n")
    clients.append(connect(quiet))  # whose port is TCP's: it may be connected upstream at any time
    pods = control.worker.proxy.pods
    control.settle(lambda: 82 in pods and len(pods[80].connections) + len(pods[82].connections) == LISTED + 6)
    rows = msgspec.msgpack.decode(control.ask(messages.GetConnections(id=1)))
    assert len(rows) == LISTED + 1
    assert max(len(row.get("request", "")) for row in rows) == LISTED_TEXT
    for sock in (*clients, served):
        sock.close()
