import socket

import pytest

from nodemesh.proxy.addresses import ADDRESSES, host_of, show


@pytest.mark.parametrize(
    ("address", "port", "family", "sockaddr", "text"),
    [
        ("10.0.0.1", 80, socket.AF_INET, ("10.0.0.1", 80), "10.0.0.1:80"),
        ("fd00::1", 80, socket.AF_INET6, ("fd00::1", 80), "[fd00::1]:80"),
        ("unix:///run/app.sock", 0, socket.AF_UNIX, "/run/app.sock", "unix:///run/app.sock"),
    ],
)
def test_an_endpoints_address_for_connect_and_for_the_log(address, port, family, sockaddr, text):
    found = ADDRESSES[address, port]
    assert (found.family, found.sockaddr, found.text) == (family, sockaddr, text)
    assert ADDRESSES[address, port] is found


def test_what_a_socket_says_of_itself():
    assert show(("10.0.0.1", 80)) == "10.0.0.1:80"
    assert show(("fd00::1", 80, 0, 0)) == "[fd00::1]:80"
    assert show("/run/app.sock") == "/run/app.sock"


def test_the_host_of_a_peer_has_no_brackets_whoever_asks():
    assert [host_of(name) for name in ("10.0.0.1:80", "[fd00::1]:80", "")] == ["10.0.0.1", "fd00::1", ""]
