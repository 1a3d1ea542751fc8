"""Conversations by the Gateway API's routes: how their backends are spoken to, and who keeps the same one."""

import pytest
from tests.routes import gateway, made, route

from nodemesh.lab.certificates import Authority
from nodemesh.proxy.tls.materials import Materials

from .http1_peer import split
from .shop import CART, HTTP, LABELS, Shop, at_gateway, rule
from .tls_peer import TlsPeer, server_context, settle

# === calls


@pytest.mark.parametrize(("kind", "first"), [("GRPCRoute", b"PRI * HTTP/2.0"), ("HTTPRoute", b"POST /p.A/B HTTP/1.1")])
def test_backends_of_a_grpc_route_are_spoken_to_in_http2_whatever_their_ports_declare(kind, first):
    """Beside an HTTPRoute to the same port: each has connections of its own."""
    rules = "- backendRefs: [{name: cart, port: 80}]"
    other = "HTTPRoute" if kind == "GRPCRoute" else "GRPCRoute"
    text = route("r", rules, kind=kind, hosts="[a.example]") + route("s", rules, kind=other, hosts="[b.example]")
    shop = Shop(gateway(HTTP) + text)
    peer = shop.world.arrive(80, LABELS, namespace="shop")
    peer.send(b"POST /p.A/B HTTP/1.1\r\nHost: a.example\r\ncontent-length: 0\r\n\r\n")
    shop.world.run()
    assert shop.servers[CART].accept().take().startswith(first)


# === sessions

SPLIT = "{name: cart, port: 80, weight: 1}, {name: stock, port: 80, weight: 1}"


def session(text):
    return f"  sessionPersistence: {text}\n"


def test_a_session_stays_with_its_endpoint_whatever_the_weights():
    shop = at_gateway(rule(backends=SPLIT, more=session("{cookie: {name: s, path: /a}}")))
    _, fields, first = shop.ask()
    cookie = fields[b"set-cookie"].decode()
    assert cookie.startswith("s=") and "; Path=/a" in cookie and "Max-Age" not in cookie
    token = cookie.partition(";")[0]
    for _ in range(30):
        _, fields, name = shop.ask(lines=[f"cookie: a=b; {token}"])
        assert name == first and b"set-cookie" not in fields
    assert {shop.ask()[2] for _ in range(30)} == {"cart", "stock"}


def test_a_header_carries_a_session_as_well():
    shop = at_gateway(rule(backends=SPLIT, more=session("{type: Header, header: {name: X-Session}}")))
    _, fields, first = shop.ask()
    token = fields[b"x-session"].decode()
    assert {shop.ask(lines=[f"x-session: {token}"])[2] for _ in range(20)} == {first}


@pytest.mark.parametrize("token", ["", "x", "!!!!", "MTAuOS45Ljk6ODA4MEAx", "a" * 300])
def test_a_token_that_names_nobody_gets_another_endpoint_and_a_new_one(token):
    shop = at_gateway(rule(backends=SPLIT, more=session("{cookie: {name: s}}")))
    status, fields, name = shop.ask(lines=[f"cookie: s={token}"])
    assert status == 200 and name in ("cart", "stock") and fields[b"set-cookie"].startswith(b"s=")


def test_a_session_ends_with_its_time():
    wish = "{sessionName: s, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}"
    shop = at_gateway(rule(backends=SPLIT, more=session(wish)))
    cookie = shop.ask()[1][b"set-cookie"].decode()
    assert "Max-Age=3600" in cookie
    lines = [f"cookie: {cookie.partition(';')[0]}"]
    assert b"set-cookie" not in shop.ask(lines=lines)[1]
    shop.world.advance(3601)
    assert b"set-cookie" in shop.ask(lines=lines)[1]


# === TLS to backends

POLICY = """
targetRefs: [{group: '', kind: Service, name: cart}]
validation: {hostname: cart.example, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}
"""


@pytest.mark.parametrize(("name", "held"), [("cart.example", True), ("other.example", False)])
def test_a_gateway_speaks_tls_to_a_service_by_its_policy(name, held):
    authority = Authority()
    shop = Shop(gateway(HTTP) + route("r", rule()) + made("BackendTLSPolicy", "p", POLICY))
    secrets = {"configmap://shop/ca": {"ca.crt": authority.certificate}}
    shop.world.proxy.shared.certificates.replace(Materials({}, secrets))
    peer = shop.world.arrive(80, LABELS, namespace="shop")
    peer.send(b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n")
    shop.world.run()
    upstream = TlsPeer(shop.servers[CART].accept(), server_context(authority.issue(name)), server=True)
    settle(shop.world, upstream)
    if held:
        assert upstream.take().startswith(b"GET / HTTP/1.1\r\n")
        upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    else:
        assert upstream.take() == b""
    for _ in range(3):  # retries
        shop.world.advance(0.5)
        while shop.servers[CART].waiting:
            settle(shop.world, TlsPeer(shop.servers[CART].accept(), server_context(authority.issue(name)), server=True))
    assert split(peer.take())[0].split()[1] == (b"200" if held else b"503")


def test_a_gateway_shows_its_certificate_to_backends_with_a_policy():
    authority = Authority()
    pair = authority.issue("edge.example")
    client = "tls: {backend: {clientCertificateRef: {name: own}}}\n"
    shop = Shop(gateway(HTTP, more=client) + route("r", rule()) + made("BackendTLSPolicy", "p", POLICY))
    held = {
        "configmap://shop/ca": {"ca.crt": authority.certificate},
        "shop/own": {"tls.crt": pair.certificate, "tls.key": pair.key},
    }
    shop.world.proxy.shared.certificates.replace(Materials({}, held))
    shop.world.arrive(80, LABELS, namespace="shop").send(b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n")
    shop.world.run()
    context = server_context(authority.issue("cart.example"), authority.certificate)
    upstream = TlsPeer(shop.servers[CART].accept(), context, server=True)
    settle(shop.world, upstream)
    assert upstream.take().startswith(b"GET / HTTP/1.1\r\n")
    assert (upstream.connection.getpeercert() or {})["subject"][0][0][1] == "edge.example"
