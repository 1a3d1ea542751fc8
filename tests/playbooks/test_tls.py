"""Conversations over TLS that the proxy originates: names, certificates, resumption, ends."""

import gc
import ssl

import pytest

from nodemesh.lab.certificates import Authority
from nodemesh.proxy.tcp.relay import Side
from nodemesh.proxy.tls.materials import Materials
from nodemesh.reasons import Reason

from .http1_peer import OK, ask
from .tls_peer import TlsPeer, server_context, settle
from .tls_shop import GET, SIMPLE, answer, shop

CONFIG_MAP = "configmap://default/ca"


def test_requests_go_out_over_tls_with_the_host_as_server_name(authority):
    world = shop(SIMPLE, authority)
    context = server_context(authority.issue("shop.example"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    asked = []
    context.sni_callback = lambda connection, name, _: asked.append(name)
    client = ask(world, GET)
    upstream = answer(world, context)
    assert asked == ["shop.example"] and upstream.connection.selected_alpn_protocol() == "http/1.1"
    assert upstream.take().startswith(b"GET /a HTTP/1.1\r\nhost: shop.example")
    upstream.send(OK)
    world.run()
    assert client.take().endswith(b"hi")
    client.send(GET)
    settle(world, upstream)
    assert upstream.take().startswith(b"GET /a"), "the connection is kept"
    assert world.server.waiting == 0


@pytest.mark.parametrize(
    ("tls", "names", "error"),
    [
        (SIMPLE, ("other.example",), "the certificate is for other.example, not for shop.example"),
        (SIMPLE, ("*.example",), "not for shop.example"),
        # A certificate's `*` is one label (RFC 2818 section 3.1), where a route's host has one for many.
        (
            "{mode: SIMPLE, caCertificates: /ca.pem, subjectAltNames: [a.b.shop.example]}",
            ("*.shop.example",),
            "a.b.shop.example",
        ),
        (
            "{mode: SIMPLE, caCertificates: /ca.pem, subjectAltNames: [spiffe://shop]}",
            ("shop.example",),
            "spiffe://shop",
        ),
        ("{mode: SIMPLE, caCertificates: /missing.pem}", ("shop.example",), "the file /missing.pem cannot be read"),
        ("{mode: SIMPLE, credentialName: shop}", ("shop.example",), "there is no Secret default/shop"),
        (f"{{mode: SIMPLE, credentialName: '{CONFIG_MAP}'}}", ("shop.example",), "there is no ConfigMap default/ca"),
    ],
)
def test_whom_the_certificate_is_not_for_gets_no_request(authority, tls, names, error):
    world = shop(tls, authority)
    client = ask(world, GET)
    if world.server.connections:
        upstream = TlsPeer(world.server.accept(), server_context(authority.issue(*names)), server=True)
        settle(world, upstream)
        assert upstream.take() == b""
    for _ in range(3):  # retries
        world.advance(0.5)
        while world.server.waiting:
            settle(world, TlsPeer(world.server.accept(), server_context(authority.issue(*names)), server=True))
    reply = client.take()
    assert reply.startswith(b"HTTP/1.1 503") and error.encode() in reply and b"TLS_error: " in reply
    assert Reason.UPSTREAM_CONNECTION_FAILURE in world.records[-1].reasons
    assert error in world.records[-1].transport_failure


@pytest.mark.parametrize(
    ("tls", "names"),
    [
        ("{mode: SIMPLE, caCertificates: /ca.pem, sni: other.example}", ("third.example",)),
        ("{mode: SIMPLE, caCertificates: /ca.pem, subjectAltNames: [spiffe://shop]}", ("x", "spiffe://shop")),
        ("{mode: SIMPLE, caCertificates: /ca.pem, subjectAltNames: ['10.9.0.1']}", ("x", "10.9.0.1")),
        ("{mode: SIMPLE, caCertificates: /ca.pem, subjectAltNames: [a.b.example]}", ("*.b.example",)),
        ("{mode: SIMPLE, insecureSkipVerify: true}", ("x",)),
    ],
)
def test_names_that_do(authority, tls, names):
    world = shop(tls, authority)
    ask(world, GET)
    assert answer(world, server_context(authority.issue(*names))).take().startswith(b"GET /a")


def test_another_authority_is_not_trusted(authority):
    world = shop(SIMPLE, Authority("other"))
    client = ask(world, GET)
    context = server_context(authority.issue("shop.example"))
    for _ in range(4):
        with pytest.raises(ssl.SSLError, match="(?i)unknown.ca"):
            answer(world, context)
        world.advance(0.5)
        if not world.server.waiting:
            break
    assert b"certificate verify failed: unable to get local issuer certificate" in client.take()


def test_mutual_shows_our_certificate_and_follows_its_replacement(authority):
    first, second = authority.issue("client-1"), authority.issue("client-2")
    tls = "{mode: MUTUAL, caCertificates: /ca.pem, clientCertificate: /c.pem, privateKey: /k.pem}"
    world = shop(tls, authority, c=first.certificate, k=first.key)
    context = server_context(authority.issue("shop.example"), authority.certificate)

    def seen() -> str:
        client = ask(world, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        upstream = answer(world, context)
        upstream.send(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        world.run()
        assert client.take().endswith(b"hi")
        return (upstream.connection.getpeercert() or {})["subject"][0][0][1]

    assert seen() == "client-1"
    files = {"/ca.pem": authority.certificate, "/c.pem": second.certificate, "/k.pem": first.key}
    world.proxy.shared.certificates.replace(Materials(files))
    assert seen() == "client-1", "half a replacement is none"
    world.proxy.shared.certificates.replace(Materials({**files, "/k.pem": second.key}))
    assert seen() == "client-2"


def test_a_credential_is_a_secret(authority):
    pair = authority.issue("client")
    world = shop("{mode: MUTUAL, credentialName: shop}", authority)
    secret = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
    world.proxy.shared.certificates.replace(Materials({}, {"default/shop": secret}))
    ask(world, GET)
    upstream = answer(world, server_context(authority.issue("shop.example"), authority.certificate))
    assert upstream.take().startswith(b"GET /a")
    assert b"PRIVATE" not in repr(world.proxy.shared.certificates.materials).encode()


@pytest.mark.parametrize("name", ["ca", CONFIG_MAP])
def test_the_authority_alone_of_a_secret_or_config_map(authority, name):
    world = shop(f"{{mode: SIMPLE, credentialName: '{name}'}}", authority)
    key = name if name == CONFIG_MAP else "default/ca"
    world.proxy.shared.certificates.replace(Materials({}, {key: {}}))
    client = ask(world, GET)
    world.advance(1)
    assert b"has no authority" in client.take(), "the system's authorities are no substitute"
    world.proxy.shared.certificates.replace(Materials({}, {key: {"ca.crt": authority.certificate}}))
    ask(world, GET)
    assert answer(world, server_context(authority.issue("shop.example"))).take().startswith(b"GET /a")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(authority, version):
    world = shop(SIMPLE, authority)
    context = server_context(authority.issue("shop.example"))
    context.maximum_version = version
    reused = []
    for _ in range(2):
        ask(world, GET)
        upstream = answer(world, context)
        upstream.send(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        world.run()
        reused.append(upstream.connection.session_reused)
    assert reused == [False, True]


def test_plain_tcp_in_tls_out_and_half_closed_ends(authority):
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    assert upstream.take() == b"hello"
    client.end()
    settle(world, upstream)
    assert upstream.ended and not client.ended
    upstream.send(b"x" * 100_000)
    upstream.end()
    world.run()
    assert client.take() == b"x" * 100_000 and client.ended
    assert world.records[0].reasons == () and world.records[0].bytes_sent == 100_000


def test_a_relay_that_is_over_holds_no_connection(authority):
    """Its TLS connection points back at it: the two would wait for the garbage collector."""
    world = shop(SIMPLE, authority)

    def holding() -> int:
        return sum(isinstance(found, Side) and found.transport is not None for found in gc.get_objects())

    gc.collect()
    before = holding()
    client = ask(world, b"hello", 81)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    assert holding() == before + 2
    client.end()
    settle(world, upstream)
    upstream.end()
    world.run()
    assert client.ended and holding() == before


def test_a_slow_client_stops_the_upstream(authority):
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    client.window = 1000
    sent = bytes(range(256)) * 4000
    for start in range(0, len(sent), 8192):
        upstream.send(sent[start : start + 8192])
    world.run()
    assert client.transport.pending <= 16 * 1024
    got = b""
    while len(got) < len(sent):
        world.advance(0.002)
        got += client.take()
    assert got == sent


def test_a_client_that_ends_before_it_has_read_everything(authority):
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    client.window = 1000
    sent = bytes(range(256)) * 1000
    upstream.send(sent)  # comes at once, and is more than the client takes
    world.run()
    client.end()
    settle(world, upstream)
    assert upstream.ended
    upstream.end()
    got = b""
    for _ in range(len(sent) // 500):
        world.advance(0.002)
        got += client.take()
    assert got == sent and client.ended and world.records[0].reasons == ()


@pytest.mark.parametrize("told", [True, False])
def test_a_server_that_leaves_before_its_client_has_read_everything(authority, told):
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    client.window = 1000
    sent = bytes(range(256)) * 1000
    upstream.send(sent)
    if told:
        upstream.end()
    upstream.peer.end()
    got = b""
    for _ in range(len(sent) // 500):
        world.advance(0.002)
        got += client.take()
    assert got == sent and client.ended


def test_a_fin_is_told_after_what_was_held_back(authority):
    """A loop may bring the FIN before the timer that goes on with the text."""
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    side = next(iter(world.proxy.pods[1].connections)).other
    side.transport.pause()
    upstream.send(b"x" * 100_000)
    side.transport.lower.resume()
    world.run()
    side.transport.resume()
    side.transport.lower.handler.ended()
    world.advance(0.002)
    assert client.take() == b"x" * 100_000 and client.ended


def test_what_comes_before_a_broken_record_is_handed_on(authority):
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    upstream = answer(world, server_context(authority.issue("shop.example")))
    upstream.connection.write(b"x" * 100_000)
    upstream.peer.send(upstream.outgoing.read() + b"\x17\x03\x03\x00\x20" + bytes(32))
    world.run()
    assert client.take() == b"x" * 100_000 and client.reset_seen
    assert world.records[0].reasons == (Reason.UPSTREAM_REMOTE_RESET,)


def test_a_server_that_does_not_speak_tls(authority):
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    world.server.accept().send(b"220 mail.example ESMTP\r\n")
    world.run()
    assert client.reset_seen
    assert world.records[0].transport_failure == "TLS_error: wrong version number"


def test_a_handshake_has_the_connect_timeout(authority):
    world = shop(SIMPLE, authority)
    client = ask(world, b"hello", 81)
    world.advance(11.0)
    assert client.reset_seen and world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_TIMEOUT,)
