"""Unix sockets as upstreams: whose file system, which folders."""

import errno
import os
import socket
from contextlib import closing

import pytest

from nodemesh.proxy.addresses import Address
from nodemesh.proxy.io.dial import dial
from nodemesh.proxy.io.platform import Platform

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
