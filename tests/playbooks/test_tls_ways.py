"""Which way leads out over TLS: what a change of rules does to connections, and addresses that no service has."""

import ssl

import pytest

from nodemesh.sim.world import World

from .http1_peer import OK, ask
from .tls_peer import TlsPeer, server_context, settle
from .tls_shop import ENTRY, GET, SIMPLE, answer, shop

PLAIN = "{mode: DISABLE}"
NAMED = "{mode: SIMPLE, caCertificates: /ca.pem, sni: shop.example}"
MUTUAL = "{mode: MUTUAL, caCertificates: /ca.pem, clientCertificate: /c.pem, privateKey: /k.pem, sni: shop.example}"


@pytest.mark.parametrize("before, after", [(PLAIN, NAMED), (NAMED, PLAIN), (NAMED, MUTUAL)])
@pytest.mark.parametrize("busy", [False, True])
def test_what_was_connected_by_other_rules_carries_nothing_from_now_on(authority, before, after, busy):
    """A request in plain text, or without our certificate, where the rules have asked for more by now."""
    mine = authority.issue("me")
    world = shop(before, authority, c=mine.certificate, k=mine.key)
    context = server_context(authority.issue("shop.example"), authority.certificate if after is MUTUAL else b"")
    context.verify_mode = ssl.CERT_OPTIONAL if after is MUTUAL else ssl.CERT_NONE
    client = ask(world, GET)
    old = world.server.accept()
    spoken = old if before is PLAIN else TlsPeer(old, context, server=True)
    settle(world, *([] if before is PLAIN else [spoken]))
    assert spoken.take().startswith(b"GET /a")
    if busy:
        world.configure(ENTRY.replace("TLS}", after + "}"))
    spoken.send(OK)
    world.run()
    assert client.take().endswith(b"hi"), "what was under way came to its end"
    if not busy:
        world.configure(ENTRY.replace("TLS}", after + "}"))
    client.send(GET)
    world.run()
    assert old.ended
    if after is PLAIN:
        assert world.server.accept().take().startswith(b"GET /a")
        return
    new = answer(world, context)
    assert new.take().startswith(b"GET /a")
    assert bool(new.connection.getpeercert(True)) is (after is MUTUAL)


def test_rules_that_change_nothing_of_the_way_there_keep_connections(authority):
    world = shop(NAMED, authority)
    client = ask(world, GET)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    upstream.send(OK)
    world.run()
    world.configure(ENTRY.replace("TLS}", NAMED + ", loadBalancer: {simple: RANDOM}}"))
    client.send(GET)
    settle(world, upstream)
    assert upstream.take().count(b"GET /a") == 2 and world.server.waiting == 0


DYNAMIC = """
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec:
  outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS, tls: {mode: SIMPLE, insecureSkipVerify: true}}
"""


def test_plain_http_to_nobodys_address_goes_out_over_tls_by_its_host_and_to_where_it_was_dialled(authority):
    """A Host is the pod's word: it names the server, and leads nowhere else, be it to a service or to the pod's own
    loopback."""
    world = World(ENTRY.replace("TLS}", SIMPLE + "}") + DYNAMIC)
    world.server = world.serve("203.0.113.9", 443)
    others = [world.serve(address, 443) for address in ("10.9.0.1", "127.0.0.1", "169.254.169.254")]
    for host in ("www.example:443", "127.0.0.1:443", "169.254.169.254"):
        asked = []
        context = server_context(authority.issue("www.example"))
        context.sni_callback = lambda connection, name, _, asked=asked: asked.append(name)
        client = world.connect("203.0.113.9", 443)
        client.send(b"GET /a HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host.encode())
        world.run()
        upstream = answer(world, context)
        assert upstream.take().startswith(b"GET /a HTTP/1.1\r\nhost: " + host.encode())
        assert asked == (["www.example"] if host.startswith("www") else [None]), "an address is no server name"
        upstream.send(OK)
        world.run()
        assert client.take().endswith(b"hi")
        assert world.records[-1].cluster.name == "AllowAnyDynamicDNSCluster"
    assert not any(other.connections for other in others)


def test_what_is_no_plain_http_passes_there_as_it_came(authority):
    world = World(ENTRY.replace("TLS}", SIMPLE + "}") + DYNAMIC)
    server = world.serve("203.0.113.9", 443)
    client = TlsPeer(world.connect("203.0.113.9", 443), ssl.create_default_context(), name="www.example")
    settle(world, client)
    assert server.accept().take()[:1] == b"\x16", "the client's own ClientHello"
