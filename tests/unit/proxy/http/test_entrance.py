import pytest

from nodemesh.proxy.http.entrance import authority_of, entrances


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("127.0.0.1:8080", {b"127.0.0.1:8080", b"localhost:8080"}),
        ("127.0.0.1:80", {b"127.0.0.1:80", b"127.0.0.1", b"localhost:80", b"localhost"}),
        ("[::1]:8080", {b"[::1]:8080", b"localhost:8080"}),
        ("10.0.0.1:8080", {b"10.0.0.1:8080"}),
        ("", set()),
    ],
)
def test_the_hosts_that_mean_a_plain_listener(address, hosts):
    assert set(entrances(address)) == hosts


@pytest.mark.parametrize(
    ("host", "port", "authority"),
    [("reviews", 9080, b"reviews:9080"), ("reviews", 80, b"reviews"), ("fd00::1", 9080, b"[fd00::1]:9080")],
)
def test_the_host_of_who_dials_the_destination_itself(host, port, authority):
    assert authority_of(host, port) == authority
