"""What a gateway makes of a request from outside."""

import pytest
from tests.meshes import request

from nodemesh.config.meshconfig import MeshConfigSpec
from nodemesh.config.proxyconfig import ForwardClientCertDetails, Topology
from nodemesh.routing.client import Client
from nodemesh.routing.edge import Edge, is_refused


def edge(proxies=None, details=None):
    topology = Topology(num_trusted_proxies=proxies, forward_client_cert_details=details)
    return Edge(MeshConfigSpec(), Client(namespace="default", gateway=True, topology=topology))


def admitted(door, headers, peer=b"10.0.0.9", certificate=b"", scheme="http"):
    asked = request(headers=headers, scheme=scheme)
    shared = dict(asked.headers)
    before = asked.headers
    address, _ = door.admit(asked, peer, certificate)
    assert before == shared  # requests with the same fields share them
    return asked, address


@pytest.mark.parametrize("peer", [b"10.0.0.9", b"127.0.0.1", b"203.0.113.1", b"fc00::1"])
@pytest.mark.parametrize("forwarded", [{}, {"x-forwarded-for": "10.1.1.1"}])
def test_no_client_is_internal_whatever_its_address(peer, forwarded):
    said = {
        "x-envoy-max-retries": "20", "x-envoy-retry-on": "5xx", "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-internal": "true", "x-envoy-decorator-operation": "x", "x-envoy-ip-tags": "q", "x-request-id": "mine",
        "x-forwarded-client-cert": "By=me", "x-kept": "1",
    }  # fmt: skip
    asked, address = admitted(edge(), said | forwarded, peer)
    before = (forwarded["x-forwarded-for"] + ",").encode() if forwarded else b""
    assert address == peer
    assert asked.headers == {
        b"x-kept": b"1",
        b"x-forwarded-for": before + peer,
        b"x-forwarded-proto": b"http",
        b"x-envoy-external-address": peer,
    }


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        (1, "203.0.113.9", b"203.0.113.9"),
        (1, "1.1.1.1, 203.0.113.9", b"203.0.113.9"),
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.3", b"203.0.113.9"),
        (2, "203.0.113.9", b"10.0.0.9"),
        (1, "unknown", b"10.0.0.9"),
        (1, "2001:db8::1", b"2001:db8::1"),
        (0, "203.0.113.9", b"10.0.0.9"),
    ],
)
def test_trusted_proxies_name_the_client(proxies, forwarded, client):
    asked, address = admitted(edge(proxies), {"x-forwarded-for": forwarded})
    assert address == asked.headers[b"x-envoy-external-address"] == client
    assert asked.headers[b"x-forwarded-for"] == forwarded.encode() + b",10.0.0.9"


@pytest.mark.parametrize(
    ("proxies", "said", "scheme", "told"),
    [(1, "https", b"https", b"https"), (0, "https", b"http", b"http"), (1, "ftp", b"http", b"ftp")],
)
def test_the_scheme_is_what_trusted_proxies_say(proxies, said, scheme, told):
    asked, _ = admitted(edge(proxies), {"x-forwarded-proto": said})
    assert asked.scheme == scheme and asked.headers[b"x-forwarded-proto"] == told


@pytest.mark.parametrize(
    "name", ["x_forwarded_for", "x-forwarded_for", "x_envoy_max_retries", "x.request.id", "x_forwarded_proto"]
)
def test_other_spellings_of_what_the_gateway_says_are_not_passed(name):
    assert is_refused(name.encode())
    asked, _ = admitted(edge(1), {name: "1.2.3.4"})
    assert name.encode() not in asked.headers


@pytest.mark.parametrize("name", ["x_own", "x-forwarded-host", "user-agent"])
def test_other_fields_stay(name):
    assert not is_refused(name.encode())


@pytest.mark.parametrize(
    ("details", "own", "told"),
    [
        (None, b"Hash=1", b"Hash=1"),
        (None, b"", None),
        ("SANITIZE", b"Hash=1", None),
        ("FORWARD_ONLY", b"Hash=1", b"By=other"),
        ("FORWARD_ONLY", b"", None),
        ("APPEND_FORWARD", b"Hash=1", b"By=other,Hash=1"),
        ("APPEND_FORWARD", b"", None),
        ("SANITIZE_SET", b"Hash=1", b"Hash=1"),
        ("ALWAYS_FORWARD_ONLY", b"", b"By=other"),
        ("ALWAYS_FORWARD_ONLY", b"Hash=1", b"By=other"),
    ],
)
def test_what_is_said_of_client_certificates(details, own, told):
    door = edge(details=ForwardClientCertDetails(details) if details else None)
    asked, _ = admitted(door, {"x-forwarded-client-cert": "By=other"}, certificate=own)
    assert asked.headers.get(b"x-forwarded-client-cert") == told
