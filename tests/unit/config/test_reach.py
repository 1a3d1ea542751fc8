"""Whatever an object can name of the agent's machine is listed; nothing of it is a tenant's unless allowed."""

import msgspec
import pytest
from tests.meshes import make

from nodemesh.config.load import load_text
from nodemesh.config.meta import Origin
from nodemesh.config.reach import EVERYWHERE, Reach, admitted, beneath, named, objections

TLS = {
    "mode": "MUTUAL",
    "clientCertificate": "/k/crt",
    "privateKey": "/k/key",
    "caCertificates": "/k/ca",
    "caCrl": "/k/crl",
}
FIELDS = {("clientCertificate", "/k/crt"), ("privateKey", "/k/key"), ("caCertificates", "/k/ca"), ("caCrl", "/k/crl")}
RULE = {
    "host": "a",
    "trafficPolicy": {"tls": TLS, "portLevelSettings": [{"port": {"number": 443}, "tls": TLS}]},
    "subsets": [
        {"name": "v", "trafficPolicy": {"tls": TLS, "portLevelSettings": [{"port": {"number": 1}, "tls": TLS}]}}
    ],
}
SERVER = {"mode": "MUTUAL", "serverCertificate": "/k/crt", "privateKey": "/k/key", "caCertificates": "/k/ca"}
GATEWAY = {
    "servers": [
        {"port": {"number": 1, "name": "a", "protocol": "HTTPS"}, "hosts": ["*"], "tls": SERVER},
        {
            "port": {"number": 2, "name": "b", "protocol": "HTTPS"}, "hosts": ["*"],
            "tls": {"mode": "SIMPLE", "tlsCertificates": [{"serverCertificate": "/k/c2", "privateKey": "/k/k2"}]},
        },
    ]
}  # fmt: skip
ENTRY = {"hosts": ["a"], "endpoints": [{"address": "10.0.0.1"}, {"address": "unix:///run/a.sock"}]}


def of_tenant(kind: str, spec: dict):
    return make(kind, "x", spec, origin=Origin.API_SERVER)


def test_every_place_that_names_a_file_or_socket_is_found():
    found = {(*place.field, place.place) for place in named(make("DestinationRule", "x", RULE))}
    policies = [("spec", "trafficPolicy"), ("spec", "subsets", 0, "trafficPolicy")]
    places = [(*path, *rest) for path in policies for rest in (("tls",), ("portLevelSettings", 0, "tls"))]
    assert found == {(*place, *field) for place in places for field in FIELDS}
    servers = {(place.field[2:], place.place) for place in named(make("Gateway", "x", GATEWAY))}
    assert servers == {
        ((0, "tls", "serverCertificate"), "/k/crt"), ((0, "tls", "privateKey"), "/k/key"),
        ((0, "tls", "caCertificates"), "/k/ca"),
        ((1, "tls", "tlsCertificates", 0, "serverCertificate"), "/k/c2"),
        ((1, "tls", "tlsCertificates", 0, "privateKey"), "/k/k2"),
    }  # fmt: skip
    (socket,) = named(make("ServiceEntry", "x", ENTRY))
    assert (socket.field, socket.place, socket.is_socket) == (("spec", "endpoints", 1, "address"), "/run/a.sock", True)
    (socket,) = named(make("WorkloadEntry", "x", {"address": "unix://@shim"}))
    assert (socket.field, socket.place) == (("spec", "address"), "@shim")
    assert not list(named(make("DestinationRule", "x", {"host": "a", "trafficPolicy": {"tls": {
        "mode": "SIMPLE", "caCertificates": "system"}}})))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "spec"),
    [("DestinationRule", RULE), ("Gateway", GATEWAY), ("ServiceEntry", ENTRY),
     ("WorkloadEntry", {"address": "unix:///run/a.sock"})],
)  # fmt: skip
def test_by_default_a_tenant_names_nothing_and_the_operator_anything(kind, spec):
    nothing = Reach(gateway=True)
    assert objections(of_tenant(kind, spec), nothing)
    assert not objections(of_tenant(kind, spec), EVERYWHERE)
    assert not objections(of_tenant(kind, spec), Reach(("/k", "/run"), True))
    assert not objections(make(kind, "x", spec), nothing)


@pytest.mark.parametrize(("kind", "spec"), [("DestinationRule", RULE), ("Gateway", GATEWAY)])
def test_what_secures_traffic_stays_and_names_nothing_that_can_be_read(kind, spec):
    found = admitted(of_tenant(kind, spec), None, Reach(("/other",), True))
    assert found is not None and {place.place[:14] for place in named(found)} == {"(not allowed) "}
    assert objections(found, Reach(("/other",), True))
    good = of_tenant(kind, {"host": "a"} if kind == "DestinationRule" else {})
    assert admitted(of_tenant(kind, spec), good, Reach(gateway=True)) is good
    assert admitted(of_tenant("ServiceEntry", ENTRY), of_tenant("ServiceEntry", ENTRY), Reach()) is None


def test_a_gateway_is_all_the_same_where_none_is_served():
    assert not objections(of_tenant("Gateway", GATEWAY), Reach())


@pytest.mark.parametrize(
    "place",
    ["/etc/key", "/k/../etc/key", "/k/./../etc/key", "k/ca", "./k/ca", "", "/", "/k", "/k/", "/kk/ca", "//k//..//x",
     "/proc/1/root/k/ca", "/proc/self/root/k/ca", "/k\0/ca", "/k/a\0", "@k/ca"],
)  # fmt: skip
def test_no_spelling_leads_out_of_a_folder(place):
    assert not beneath(place, "/k")


@pytest.mark.parametrize("place", ["/k/ca", "//k/ca", "/k//ca", "/./k/./ca", "/k/ca/"])
def test_every_spelling_of_what_lies_below_is_the_same(place):
    assert beneath(place, "/k") == beneath(place, "/k/") == "ca"


def test_a_finding_says_where_and_what_would_be_right():
    text = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mine, namespace: tenant}
spec:
  host: a
  trafficPolicy:
    tls:
      mode: SIMPLE
      caCertificates: /dev/ptmx
"""
    (item,) = load_text(text, "rule.yaml").objects
    item = msgspec.structs.replace(item, origin=Origin.API_SERVER)
    (problem,) = objections(item, Reach(("/certs",)))
    assert str(problem.location) == "rule.yaml:9:7" and problem.refused
    assert (problem.path, problem.code) == ("spec.trafficPolicy.tls.caCertificates", "out-of-reach")
    assert "/dev/ptmx" in problem.message and "/certs" in problem.message and "credentialName" in problem.message
