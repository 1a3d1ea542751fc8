"""Connections that the proxy makes: the first word on them, each way to fail, and Unix sockets as upstreams."""

import errno
import os
import resource
import socket
from contextlib import closing

import pytest
from tests.unit.proxy.io.ears import Ear, turn_until

from nodemesh.proxy.addresses import Address
from nodemesh.proxy.io.dial import dial
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import Reactor
from nodemesh.registry.snapshot import Endpoint

#: What becomes of an address that nobody has, as the machine's routes are.
NOT_YET = (errno.ENETUNREACH, errno.EHOSTUNREACH)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "sockets").mkdir()
    path = tmp_path / "sockets" / "app.sock"
    (tmp_path / "link").symlink_to(path)
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        yield path


def error_of(place: str, folders: tuple[str, ...] | None, namespace: int = -1) -> int:
    platform = Platform()
    platform.folders = folders
    return dialled(platform, Address(f"unix://{place}", 0), namespace)


def dialled(platform: Platform, address: Address, namespace: int) -> int:
    """The error of an attempt; 0: it stands, or may yet."""
    try:
        sock, _ = dial(platform, address, namespace, None)
    except OSError as error:
        return error.errno or -1
    sock.close()
    return 0


def test_the_operators_own_configuration_names_any_socket(server):
    assert error_of(str(server), None) == 0
    assert error_of(f"/proc/self/root{server}", None) == 0
    assert error_of(str(server) + ".absent", None) == errno.ENOENT


def test_elsewhere_only_sockets_below_an_allowed_folder_answer(server, tmp_path):
    folder = str(server.parent)
    assert error_of(f"{folder}//app.sock", (folder,)) == 0
    for place in (str(server), str(tmp_path / "link"), f"/proc/self/root{server}", f"{folder}/../sockets/app.sock"):
        assert error_of(place, ()) == errno.EACCES
        assert error_of(place, (f"{tmp_path}/other",)) == errno.EACCES
    assert error_of(f"/proc/{os.getpid()}/root{server}", (folder,)) == errno.EACCES


def test_a_pod_reaches_none_whatever_is_allowed(server):
    with open("/proc/self/ns/net") as namespace:
        for folders in (None, (), (str(server.parent),)):
            assert error_of(str(server), folders, namespace.fileno()) == errno.EACCES
            assert error_of("@shim", folders, namespace.fileno()) == errno.EACCES


def test_an_abstract_socket_lies_in_no_folder():
    with closing(socket.socket(socket.AF_UNIX)) as server:
        name = f"nodemesh-{os.getpid()}"
        server.bind(f"\0{name}")
        server.listen()
        assert error_of(f"@{name}", None) == 0
        assert error_of(f"@{name}", ("/",)) == errno.EACCES


def test_a_name_with_nul_is_an_error_and_no_exception():
    assert error_of("/run/a\0b", None) == errno.EINVAL


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_the_agents_own_api_is_nobodys_upstream(host):
    with closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)) as server:
        platform = Platform()
        platform.admin_port = server.getsockname()[1]
        for place, expected in (
            (Address(host, platform.admin_port), {errno.EACCES}),
            (Address("192.0.2.1", 9), {0, *NOT_YET}),
        ):
            assert dialled(platform, place, -1) in expected
        platform.admin_port = 0
        assert dialled(platform, Address(host, server.getsockname()[1]), -1) == 0


def test_connecting_and_failing_to(reactor):
    lane = reactor.add_lane()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ear = Ear()
        transport = reactor.connect(Endpoint(address="127.0.0.1", port=port), -1, lane, None, ear)
        transport.send(b"early")
        turn_until(reactor, lambda: ear.log)
        connection, peer = server.accept()
        assert connection.recv(10) == b"early" and transport.local == f"{peer[0]}:{peer[1]}"
    for endpoint, words in (
        (Endpoint(address="127.0.0.1", port=port), "ECONNREFUSED"),
        (None, "EADDRNOTAVAIL"),
        (Endpoint(address="unix:///nowhere/at/all", port=0), "ENOENT"),
    ):
        ear = Ear()
        reactor.connect(endpoint, -1, lane, None, ear)
        assert ear.log == []
        turn_until(reactor, lambda ear=ear: ear.log)
        assert ear.log == [f"lost {words}"]


@pytest.mark.parametrize(
    "code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES]
)
def test_what_is_short_while_dialling_is_told_like_any_other_failure(code):
    class Short(Platform):
        def open_socket(self, namespace_fd: int, family: int, kind: int = socket.SOCK_STREAM) -> socket.SocketType:
            raise OSError(code, os.strerror(code))

    reactor, ear = Reactor(Short()), Ear()
    lane = reactor.add_lane()
    transport = reactor.connect(Endpoint(address="127.0.0.1", port=80), -1, lane, None, ear)
    transport.send(b"early")
    assert ear.log == [] and transport.remote == "127.0.0.1:80" and not reactor.loop.lanes.known[lane].transports
    turn_until(reactor, lambda: ear.log)
    assert ear.log == [f"lost {errno.errorcode[code]}"]


def test_dialling_without_a_descriptor_left(reactor):
    lane, ear = reactor.add_lane(), Ear()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = [os.dup(0) for _ in range(used)]  # whatever numbers are free below
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(kept), hard))
        try:
            reactor.connect(Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, lane, None, ear)
            turn_until(reactor, lambda: ear.log)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in kept:
                os.close(fd)
    assert ear.log == ["lost EMFILE"]


def test_a_connection_that_stands_at_once_is_told_of_before_it_brings_anything(reactor):
    lane, ear = reactor.add_lane(), Ear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = reactor.connect(Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, lane, None, ear)
        assert transport.established and ear.log == []  # whoever connects has no transport to hear of yet
        connection, _ = server.accept()
        connection.sendall(b"greeting")
        transport.send(b"early")
        assert not transport.pending
        turn_until(reactor, lambda: ear.data)
        assert connection.recv(10) == b"early" and ear.log == ["connected", "received"]


def test_a_peer_that_does_not_answer_at_once_is_waited_for(reactor):
    ear = Ear()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        transport = reactor.connect(
            Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, reactor.add_lane(), None, ear
        )
        reactor.turn()
        assert not transport.established and ear.log == []
        server.accept()[0].close()
        turn_until(reactor, lambda: "connected" in ear.log)  # by the SYN's repetition, after 1 s


def test_one_that_is_closed_before_it_was_told_of_hears_nothing(reactor):
    lane, ear = reactor.add_lane(), Ear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = reactor.connect(Endpoint(address="127.0.0.1", port=server.getsockname()[1]), -1, lane, None, ear)
        transport.close()
        reactor.turn()
        assert ear.log == []
