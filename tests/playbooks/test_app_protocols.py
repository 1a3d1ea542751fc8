"""Conversations with backends whose Service ports have Kubernetes' own appProtocols (GEP-1911)."""

import pytest
from tests.routes import SLICE, gateway, made, mesh_route, route

from nodemesh.lab.certificates import Authority
from nodemesh.proxy.http2.frames import PREFACE
from nodemesh.proxy.tls.materials import Materials
from nodemesh.sim.world import World

from .http1_peer import split
from .shop import HTTP, LABELS, rule
from .tls_peer import TlsPeer, server_context, settle

ADDRESS, PORT = "10.1.0.9", 8080
TO_CHAT = rule(backends="{name: chat, port: 80}")
UPGRADE = b"GET /chat HTTP/1.1\r\nHost: chat.shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
POLICY = """
targetRefs: [{group: "", kind: Service, name: chat}]
validation: {hostname: chat.example, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
"""


def world_of(protocol, text):
    """Beside the routes a Service `chat` whose port has that appProtocol, and no name that would say one."""
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: chat, namespace: shop}\n"
        f"spec: {{clusterIP: 10.96.0.9, ports: [{{name: http, port: 80, appProtocol: {protocol}}}]}}\n"
    )
    world = World(service + SLICE.format(name="chat", namespace="shop", address=ADDRESS) + text)
    return world, world.serve(ADDRESS, PORT)


def at_the_gateway(world):
    return world.arrive(80, LABELS, namespace="shop")


def in_the_mesh(world):
    return world.connect("10.96.0.9", 80, namespace="shop")


WAYS = pytest.mark.parametrize(
    ("text", "client"),
    [
        (gateway(HTTP) + route("r", TO_CHAT), at_the_gateway),
        (mesh_route("r", TO_CHAT, "{group: '', kind: Service, name: chat}"), in_the_mesh),
    ],
    ids=["gateway", "mesh"],
)


@WAYS
def test_h2c_is_spoken_to_in_http2_whatever_the_client_speaks(text, client):
    world, server = world_of("kubernetes.io/h2c", text)
    client(world).send(b"GET / HTTP/1.1\r\nHost: chat.shop\r\n\r\n")
    world.run()
    assert server.accept().take().startswith(PREFACE)


@WAYS
def test_ws_takes_the_upgrade_and_what_follows_goes_both_ways(text, client):
    world, server = world_of("kubernetes.io/ws", text)
    peer = client(world)
    peer.send(UPGRADE)
    world.run()
    upstream = server.accept()
    start, fields, _ = split(upstream.take())
    assert start == b"GET /chat HTTP/1.1" and fields[b"upgrade"] == b"websocket"
    upstream.send(SWITCHING + b"hello")
    world.run()
    start, _, rest = split(peer.take())
    assert start.startswith(b"HTTP/1.1 101") and rest == b"hello"
    peer.send(b"frame")
    world.run()
    assert upstream.take() == b"frame"


def test_wss_takes_the_upgrade_over_tls_where_a_policy_says_whom_to_trust():
    authority = Authority()
    text = gateway(HTTP) + route("r", TO_CHAT) + made("BackendTLSPolicy", "p", POLICY)
    world, server = world_of("kubernetes.io/wss", text)
    secrets = {"configmap://shop/ca": {"ca.crt": authority.certificate}}
    world.proxy.shared.certificates.replace(Materials({}, secrets))
    peer = at_the_gateway(world)
    peer.send(UPGRADE)
    world.run()
    upstream = TlsPeer(server.accept(), server_context(authority.issue("chat.example")), server=True)
    settle(world, upstream)
    assert split(upstream.take())[1][b"upgrade"] == b"websocket"
    upstream.send(SWITCHING + b"hello")
    settle(world, upstream)
    start, _, rest = split(peer.take())
    assert start.startswith(b"HTTP/1.1 101") and rest == b"hello"
    peer.send(b"frame")
    settle(world, upstream)
    assert upstream.take() == b"frame"
