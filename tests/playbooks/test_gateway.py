"""Conversations at a gateway: servers by name, certificates of clients, what is told of them, plain ports."""

import ssl

import pytest

from nodemesh.lab.certificates import Authority
from nodemesh.proxy.tls.materials import Materials
from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import OK, split
from .http2_peer import Http2Peer
from .mesh import SERVICE
from .tls_peer import TlsPeer, client_context, server_context, settle

RULES = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
SERVERS
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ['*']
  gateways: [gateway]
  http: [{route: [{destination: {host: reviews, port: {number: 80}}}]}]
  tls:
  - match: [{port: 443, sniHosts: ['*.pass.example']}]
    route: [{destination: {host: reviews, port: {number: 81}}}]
  tcp:
  - match: [{port: 27018}]
    route: [{destination: {host: reviews, port: {number: 81}}}]
"""

TLS = "  - {{port: {{number: 443, name: {0}, protocol: {1}}}, hosts: ['{2}'], tls: {3}}}\n"
A = TLS.format("a", "HTTPS", "a.example", "{mode: SIMPLE, credentialName: a}")
B = TLS.format("b", "HTTPS", "*.b.example", "{mode: SIMPLE, credentialName: b}")
PASS = TLS.format("pass", "TLS", "*.pass.example", "{mode: PASSTHROUGH}")
MUTUAL = TLS.format("m", "HTTPS", "a.example", "{mode: MUTUAL, credentialName: a}")
OPTIONAL = TLS.format("m", "HTTPS", "a.example", "{mode: OPTIONAL_MUTUAL, credentialName: a}")
PLAIN = "  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}\n"
REDIRECT = "  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}\n"
RAW = "  - {port: {number: 27018, name: mongo, protocol: TCP}, hosts: ['*']}\n"

LABELS = {"istio": "ingressgateway"}


@pytest.fixture(scope="module")
def authority():
    return Authority()


def get(host: str, *lines: bytes) -> bytes:
    return b"\r\n".join((b"GET /status HTTP/1.1", b"Host: " + host.encode(), *lines, b"", b""))


def gateway(authority, *servers: str) -> World:
    world = World(SERVICE + RULES.replace("SERVERS", "".join(servers)))
    world.server = world.serve("10.1.0.1", 9080)
    give(world, authority)
    return world


def give(world, authority) -> None:
    a, b = authority.issue("a.example"), authority.issue("x.b.example")
    secrets = {
        "istio-system/a": {"tls.crt": a.certificate, "tls.key": a.key},
        "istio-system/a-cacert": {"cacert": authority.certificate},
        "istio-system/b": {"cert": b.certificate, "key": b.key},
    }
    world.proxy.shared.certificates.replace(Materials({}, secrets))


def dial(world, authority, name, pair=None, **limits) -> TlsPeer:
    context = client_context(authority.certificate, pair)
    for limit, value in limits.items():
        setattr(context, limit, value)
    client = TlsPeer(world.arrive(443, LABELS), context, name=name)
    settle(world, client)
    return client


def served(world, client: TlsPeer, request: bytes) -> dict[bytes, bytes]:
    """Send a request through; the headers that the upstream got."""
    client.send(request)
    world.run()
    upstream = world.server.accept()
    _, headers, _ = split(upstream.take())
    upstream.send(OK)
    settle(world, client)
    assert client.take().endswith(b"hi")
    return headers


def test_the_name_chooses_the_certificate(authority):
    world = gateway(authority, A, B)
    for name in ("a.example", "x.b.example"):
        client = dial(world, authority, name)
        assert client.ready and (client.connection.getpeercert() or {})["subjectAltName"] == (("DNS", name),)
        headers = served(world, client, get(name))
        assert headers[b"x-forwarded-proto"] == b"https"
        assert world.records[-1].sni == name
        world.server._taken = len(world.server.connections) - 1


def test_a_certificate_that_is_gone_serves_on(authority):
    world = gateway(authority, A)
    assert dial(world, authority, "a.example").ready
    world.proxy.shared.certificates.replace(Materials())
    assert dial(world, authority, "a.example").ready, "control may have started anew and know nothing yet"


def test_generic_keys_count_before_those_of_the_tls_type_and_the_authority_that_stands_apart_before_all(authority):
    world = gateway(authority, MUTUAL)
    new, old, other = authority.issue("a.example"), authority.issue("a.example"), Authority("other")
    secret = {"cert": new.certificate, "key": new.key, "tls.crt": old.certificate, "tls.key": old.key,
              "cacert": other.certificate}  # fmt: skip
    apart = {"cacert": authority.certificate}
    world.proxy.shared.certificates.replace(Materials({}, {"istio-system/a": secret, "istio-system/a-cacert": apart}))
    client = dial(world, authority, "a.example", authority.issue("client.example"))
    served(world, client, get("a.example"))
    shown = client.connection.getpeercert(True)
    assert shown == ssl.PEM_cert_to_DER_cert(new.certificate.decode())


@pytest.mark.parametrize("name", ["c.example", None])
def test_a_name_that_nobody_has_closes(authority, name):
    world = gateway(authority, A, B)
    peer = world.arrive(443, LABELS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    TlsPeer(peer, context, name=name).step()
    world.run()
    assert peer.reset_seen and world.records[0].reasons == (Reason.HOST_NOT_FOUND,)
    assert world.proxy.pods[1].budget.connections == 0


def test_what_passes_through_is_not_opened(authority):
    world = gateway(authority, A, PASS)
    behind = world.serve("10.1.0.1", 9081)
    client = TlsPeer(world.arrive(443, LABELS), client_context(authority.certificate), name="x.pass.example")
    client.step()
    world.run()
    upstream = TlsPeer(behind.accept(), server_context(authority.issue("x.pass.example")), server=True)
    settle(world, upstream, client)
    client.send(b"secret")
    settle(world, upstream)
    assert upstream.take() == b"secret"


def test_a_client_without_certificate_gets_nothing(authority):
    world = gateway(authority, MUTUAL)
    with pytest.raises(ssl.SSLError, match="(?i)certificate.required"):
        client = dial(world, authority, "a.example")
        client.send(get("a.example"))
        settle(world, client)
    assert not world.server.connections
    assert "peer did not return a certificate" in world.records[0].termination


@pytest.mark.parametrize("place", ["istio-system/a", "istio-system/a-cacert", "configmap://shop/ca"])
def test_a_revoked_certificate_is_refused_wherever_the_list_stands(authority, place):
    named = place == "configmap://shop/ca"
    more = f"credentialName: a, caCertCredentialName: '{place}'" if named else "credentialName: a"
    world = gateway(authority, MUTUAL.replace("credentialName: a", more))
    good, bad = authority.issue("good.example"), authority.issue("bad.example")
    secrets = {key: dict(held) for key, held in world.proxy.shared.certificates.materials.secrets.items()}
    if named:
        secrets[place] = secrets.pop("istio-system/a-cacert")
    secrets[place]["ca.crl"] = authority.revoked("bad.example")
    world.proxy.shared.certificates.replace(Materials({}, secrets))
    served(world, dial(world, authority, "a.example", good), get("a.example"))
    with pytest.raises(ssl.SSLError, match="(?i)certificate.revoked"):
        client = dial(world, authority, "a.example", bad)
        client.send(get("a.example"))
        settle(world, client)


def test_files_take_their_authority_from_a_secret_where_one_is_named(authority):
    files = "serverCertificate: /a.pem, privateKey: /a.key, caCertificates: /other.pem, caCertCredentialName: clients"
    world = gateway(authority, MUTUAL.replace("credentialName: a", files))
    pair, secrets = authority.issue("a.example"), dict(world.proxy.shared.certificates.materials.secrets)
    held = {"/a.pem": pair.certificate, "/a.key": pair.key, "/other.pem": Authority("other").certificate}
    secrets["istio-system/clients"] = {"ca.crt": authority.certificate}
    world.proxy.shared.certificates.replace(Materials(held, secrets))
    headers = served(world, dial(world, authority, "a.example", authority.issue("client.example")), get("a.example"))
    assert b'Subject="CN=client.example"' in headers[b"x-forwarded-client-cert"]


def test_who_asks_for_no_certificate_needs_no_authority(authority):
    world = gateway(authority, A.replace("credentialName: a", "credentialName: a, caCertCredentialName: nobodys"))
    assert served(world, dial(world, authority, "a.example"), get("a.example"))[b"x-forwarded-proto"] == b"https"


@pytest.mark.parametrize("servers", [MUTUAL, OPTIONAL])
def test_a_clients_certificate_is_told(authority, servers):
    world = gateway(authority, servers)
    client = dial(world, authority, "a.example", authority.issue("client.example", "spiffe://client"))
    headers = served(world, client, get("a.example", b"X-Forwarded-Client-Cert: forged"))
    told = headers[b"x-forwarded-client-cert"]
    assert told.startswith(b"Hash=") and b';Cert="-----BEGIN%20CERTIFICATE-----%0A' in told
    assert told.endswith(b';Subject="CN=client.example";URI=spiffe://client;DNS=client.example')


def test_an_optional_certificate_may_be_missing(authority):
    world = gateway(authority, OPTIONAL)
    client = dial(world, authority, "a.example")
    assert b"x-forwarded-client-cert" not in served(world, client, get("a.example", b"X-Forwarded-Client-Cert: forged"))


def test_a_strangers_certificate_is_refused(authority):
    world = gateway(authority, OPTIONAL)
    with pytest.raises(ssl.SSLError, match="(?i)unknown.ca"):
        client = dial(world, authority, "a.example", Authority("stranger").issue("client.example"))
        client.send(get("a.example"))
        settle(world, client)
    assert not world.server.connections


@pytest.mark.parametrize(
    ("settings", "limits", "fits"),
    [
        ("", {"maximum_version": ssl.TLSVersion.TLSv1_2}, True),
        (", minProtocolVersion: TLSV1_3", {"maximum_version": ssl.TLSVersion.TLSv1_2}, False),
        (", maxProtocolVersion: TLSV1_2", {"minimum_version": ssl.TLSVersion.TLSv1_3}, False),
        (", cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]", {"maximum_version": ssl.TLSVersion.TLSv1_2}, True),
        (", cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]", {"maximum_version": ssl.TLSVersion.TLSv1_2}, False),
    ],
)
def test_versions_and_ciphers(authority, settings, limits, fits):
    world = gateway(authority, A.replace("credentialName: a", "credentialName: a" + settings))
    if fits:
        assert dial(world, authority, "a.example", **limits).ready
    else:
        with pytest.raises(ssl.SSLError):
            dial(world, authority, "a.example", **limits)


def test_certificates_are_replaced_under_open_connections(authority):
    world = gateway(authority, A)
    client = dial(world, authority, "a.example")
    first = (client.connection.getpeercert() or {})["serialNumber"]
    give(world, authority)
    assert served(world, client, get("a.example"))
    assert (dial(world, authority, "a.example").connection.getpeercert() or {})["serialNumber"] != first


def test_no_client_of_a_plain_port_is_believed_whatever_its_address(authority):
    world = gateway(authority, PLAIN)
    forged = (
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-Proto: https",
        b"X-Request-Id: mine",
        b"X-Envoy-Max-Retries: 9",
    )
    seen = []
    for remote in ("203.0.113.9:4000", "10.0.0.7:4000"):
        peer = world.arrive(80, LABELS, remote)
        peer.send(get("any.example", *forged))
        world.run()
        upstream = world.server.connections[0]
        seen.append(split(upstream.take())[1])
        upstream.send(OK)
        world.run()
        assert split(peer.take())[1][b"server"] == b"istio-envoy"
    for headers, address in zip(seen, (b"203.0.113.9", b"10.0.0.7"), strict=True):
        assert headers[b"x-forwarded-for"] == b"1.2.3.4," + address
        assert headers[b"x-forwarded-proto"] == b"http"
        assert headers[b"x-request-id"] != b"mine"
        assert headers[b"x-envoy-external-address"] == address
        assert not {b"x-envoy-internal", b"x-envoy-max-retries"} & headers.keys()


def test_plain_http_is_sent_to_https(authority):
    world = gateway(authority, REDIRECT)
    peer = world.arrive(80, LABELS)
    peer.send(get("any.example:80"))
    world.run()
    start, headers, _ = split(peer.take())
    assert start.startswith(b"HTTP/1.1 301") and headers[b"location"] == b"https://any.example/status"


@pytest.mark.parametrize("scheme", [b"https", b"HTTPS", b"javascript"])
def test_a_client_s_word_is_no_tls(authority, scheme):
    asked = [(b":method", b"GET"), (b":scheme", scheme), (b":authority", b"reviews"), (b":path", b"/")]
    world = gateway(authority, REDIRECT)
    client = Http2Peer(world, world.arrive(80, LABELS), client=True)
    client.codec.send_headers(1, asked, end_stream=True)
    client.turn()
    assert client.head(1)[b":status"] == b"301" and not world.server.connections
    world = gateway(authority, PLAIN)
    client = Http2Peer(world, world.arrive(80, LABELS), client=True)
    client.codec.send_headers(1, asked, end_stream=True)
    client.turn()
    _, headers, _ = split(world.server.accept().take())
    assert headers[b"x-forwarded-proto"] == b"http"


def test_opaque_ports_and_ports_that_nobody_has(authority):
    world = gateway(authority, RAW)
    behind = world.serve("10.1.0.1", 9081)
    peer = world.arrive(27018, LABELS)
    peer.send(b"\x01\x02")
    world.run()
    assert behind.accept().take() == b"\x01\x02"
    assert world.arrive(8443, LABELS).reset_seen
    assert world.records[-1].reasons == (Reason.ROUTE_NOT_FOUND,)


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01\x02\x00\x01", b"\x16"])
def test_a_handshake_that_does_not_come(authority, data):
    world = gateway(authority, A)
    peer = world.arrive(443, LABELS)
    peer.send(data)
    world.advance(14.0)
    assert not peer.closed
    world.advance(2.0)
    assert peer.reset_seen and world.proxy.pods[1].budget.connections == 0


def test_no_tls_on_a_port_for_tls(authority):
    world = gateway(authority, A)
    peer = world.arrive(443, LABELS)
    peer.send(get("a.example"))
    world.run()
    assert peer.reset_seen and world.records[0].termination == "no TLS on a port for TLS"


def test_a_gateway_that_is_gone_is_given_up_with_a_connection_that_said_nothing(authority):
    world = gateway(authority, A)
    peer = world.arrive(443, LABELS)
    world.run()
    world.proxy.remove_pod(1)
    assert world.network.dropped_lanes == [] and not world.proxy.idle
    peer.end()
    world.run()
    assert world.network.dropped_lanes == [1] and world.proxy.idle


def test_large_bodies_go_at_the_slower_sides_pace(authority):
    world = gateway(authority, A)
    client = dial(world, authority, "a.example")
    body = bytes(range(256)) * 8000
    client.peer.window = 3000
    client.send(b"GET /status HTTP/1.1\r\nHost: a.example\r\n\r\n")
    world.run()
    upstream = world.server.accept()
    upstream.take()
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), 16384):
        upstream.send(body[start : start + 16384])
    world.run()
    held = world.proxy.pods[1].connections
    assert len(held) == 1 and client.peer.transport.pending < 40_000
    got = b""
    for _ in range(5000):
        client.step()
        got += client.take()
        world.advance(0.002)
        if len(got) >= len(body):
            break
    assert got.partition(b"\r\n\r\n")[2] == body

    client.peer.window = 1 << 30
    upstream.window = 3000
    client.send(b"POST /status HTTP/1.1\r\nHost: a.example\r\ncontent-length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), 16384):
        client.send(body[start : start + 16384])
    world.run()
    second = world.server.connections[-1]
    assert second.transport.pending < 300_000
    got = b""
    for _ in range(5000):
        got += second.take()
        world.advance(0.002)
        if len(got) >= len(body):
            break
    assert got.partition(b"\r\n\r\n")[2] == body
