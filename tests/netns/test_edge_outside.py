"""Services outside the mesh, as pods reach them: entries, time limits, TLS that the proxy adds, names, refusals."""

import json
import sys
import time
from pathlib import Path

import pytest
from tests.netns.mesh import MESH

from nodemesh.lab.certificates import Authority

#: Addresses that no interface has: only the mesh leads anywhere from them.
FOO, WIKIPEDIA, SHOP, BOOKINFO, MONGO = (f"203.0.113.{number}" for number in range(10, 15))

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: ['{host}']
  addresses: [{address}]
  ports: [{ports}]
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{{address: {endpoint}}}]
"""


def entry(name, host, address, ports, endpoint):
    return ENTRY.format(name=name, host=host, address=address, ports=ports, endpoint=endpoint)


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def outside(mesh, authority, tmp_path):
    """A host that is not in the mesh; its certificates are beside it."""
    pair = authority.issue("shop.example", "www.bookinfo.com")
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    pod = mesh.lab.pod("outside", namespace="outside", annotations={MESH: "disabled"})
    pod.popen([sys.executable, Path(__file__).with_name("outside.py"), "outside", tmp_path])
    for port in (80, 443, 8443, 3306, 5555):
        pod.wait_listening(port)
    mesh.settle()
    return pod


def curl(pod, url, address, *options):
    """Status and body that curl gets with the URL's host at this address."""
    scheme, _, host = url.partition("://")
    host, _, port = host.partition("/")[0].partition(":")
    port = port or {"http": "80", "https": "443"}[scheme]
    done = pod.run(
        ["curl", "-sS", "-m", "15", "-w", "\n%{http_code}", "--resolve", f"{host}:{port}:{address}", *options, url]
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body or done.stderr


LIMITED = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{host}]
  http: [{{timeout: {timeout}, route: [{{destination: {{host: {host}}}}}]}}]
"""


def test_time_limits_hold_for_hosts_outside(mesh, pod, outside):
    text = ""
    for name, host, address, timeout in (
        ("foo", "foo.com", FOO, "3s"),
        ("wiki", "wikipedia.org", WIKIPEDIA, "5s"),
    ):
        text += entry(name, host, address, "{number: 80, name: http, protocol: HTTP}", outside.ip)
        text += LIMITED.format(name=name, host=host, timeout=timeout)
    mesh.apply(text)
    for host, address, limit in (("foo.com", FOO, 3.0), ("wikipedia.org", WIKIPEDIA, 5.0)):
        assert curl(pod, f"http://{host}/delay/0.1", address)[0] == 200
        began = time.monotonic()
        assert curl(pod, f"http://{host}/delay/10", address) == (504, "upstream request timeout")
        assert limit <= time.monotonic() - began < limit + 1.5


ORIGINATED = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.example
  trafficPolicy: {tls: TLS}
"""


def test_tls_is_added_on_the_way_out(mesh, pod, outside, authority, tmp_path):
    ports = "{number: 80, name: http, protocol: HTTP, targetPort: 443}"
    simple = ORIGINATED.replace("TLS}", f"{{mode: SIMPLE, caCertificates: {tmp_path}/ca.pem}}}}")
    mesh.apply(entry("shop", "shop.example", SHOP, ports, outside.ip) + simple)
    status, body = curl(pod, "http://shop.example/a", SHOP)
    told = json.loads(body)
    assert (status, told["tls"], told["client"], told["path"]) == (200, "TLSv1.3", [], "/a")
    assert told["peer"] == pod.ip, "the source address stays the pod's"
    (tmp_path / "ca.pem").write_bytes(Authority("other").certificate)
    mesh.agent.wait_for(
        lambda: b"certificate verify failed" in curl(pod, "http://shop.example/a", SHOP, "-H", "Connection: close")[1]
        .encode() or _forget(mesh, outside), "the other authority to be followed", 15
    )  # fmt: skip


def _forget(mesh, outside):
    """Idle upstream connections are kept, certificates or not: only new ones show what is in force."""
    outside.run(["ss", "-K", "sport", "=", "443"])
    return False


def test_mutual_tls_with_a_secret(mesh, pod, outside, authority):
    pair = authority.issue("client.example")
    parts = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
    data = {name: value.decode() for name, value in parts.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop"}, "stringData": data}
    ports = "{number: 80, name: http, protocol: HTTP, targetPort: 8443}"
    mutual = ORIGINATED.replace("TLS}", "{mode: MUTUAL, credentialName: shop}}")
    shop = entry("shop", "shop.example", SHOP, ports, outside.ip)
    mesh.apply(shop + mutual)
    status, body = curl(pod, "http://shop.example/a", SHOP)
    assert status == 503 and "there is no Secret default/shop" in body
    mesh.apply(shop + mutual + "\n---\n" + json.dumps(secret))
    status, body = curl(pod, "http://shop.example/a", SHOP)
    assert status == 200 and json.loads(body)["client"] == ["client.example"]
    pages = [mesh.agent.get(page) for page in ("/status", "/services", "/endpoints", "/routes")]
    assert "PRIVATE KEY" not in repr(pages) + mesh.agent.log.read_text()


BY_NAME = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bookinfo, namespace: default}
spec:
  hosts: ['*.bookinfo.com']
  tls:
  - match: [{port: 443, sniHosts: [www.bookinfo.com]}]
    route: [{destination: {host: '*.bookinfo.com'}}]
  - match: [{port: 443, sniHosts: ['*.bookinfo.com']}]
    route: [{destination: {host: nowhere.example}}]
"""


def test_tls_goes_by_its_server_name(mesh, pod, outside, tmp_path):
    ports = "{number: 443, name: tls, protocol: TLS}"
    mesh.apply(entry("bookinfo", "*.bookinfo.com", BOOKINFO, ports, outside.ip) + BY_NAME)
    options = ("--cacert", str(tmp_path / "ca.pem"))
    assert curl(pod, "https://www.bookinfo.com/", BOOKINFO, *options)[0] == 200
    assert curl(pod, "https://other.bookinfo.com/", BOOKINFO, *options)[0] == 0


MOVED = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mongo, namespace: default}
spec:
  hosts: [mongo.prod]
  tcp:
  - match: [{port: 27017}]
    route: [{destination: {host: mongo.backup, port: {number: 5555}}}]
"""

TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as sock:
    sock.sendall(b"ping"); sock.shutdown(socket.SHUT_WR)
    print(sock.recv(100).decode())
"""


def test_mongo_is_sent_to_another_port(mesh, pod, outside):
    ports = "{number: 27017, name: mongo, protocol: MONGO}"
    text = entry("prod", "mongo.prod", MONGO, ports, "192.0.2.1")
    text += entry("backup", "mongo.backup", SHOP, "{number: 5555, name: tcp, protocol: TCP}", outside.ip)
    mesh.apply(text + MOVED)
    assert pod.python(TALK, MONGO, "27017") == "ping\n"


GREETED = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 3306), 5) as sock:
    greeting = sock.recv(100)
    print(time.monotonic() - began, greeting[5:].decode())
"""


@pytest.mark.parametrize("protocol", ["name: mysql, protocol: MYSQL", "name: any"])
def test_a_server_that_speaks_first_is_heard_at_once(mesh, pod, outside, protocol):
    text = entry("mysql", "mysql.example", MONGO, "{number: 3306, " + protocol + "}", outside.ip)
    policy = ORIGINATED.replace("shop.example", "mysql.example").replace("{tls: TLS}", "{outlierDetection: {}}")
    mesh.apply(text + policy)
    measured = [pod.python(GREETED, MONGO).split() for _ in range(5)]
    assert {greeting for _, greeting in measured} == {"8.0.36"}
    assert min(float(seconds) for seconds, _ in measured) < 0.02


MESH_CONFIG = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
"""

CLOSED = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as sock:
        sock.sendall(b"\\x01\\x02ping")
        print(sock.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


def test_registry_only_refuses_what_nobody_declared(mesh, pod, outside):
    assert curl(pod, "http://strange.example/", outside.ip)[0] == 200
    mesh.apply(MESH_CONFIG)
    assert curl(pod, "http://strange.example/", outside.ip)[0] == 502
    assert pod.python(CLOSED, outside.ip, "5555").strip() in ("b''", "ConnectionResetError")
    assert {answer.status for answer in pod.request("http://web:9080/", count=5)} == {200}
    declared = entry("shop", "shop.example", SHOP, "{number: 80, name: http, protocol: HTTP}", outside.ip)
    mesh.apply(MESH_CONFIG + declared)
    assert curl(pod, "http://shop.example/", SHOP)[0] == 200


SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow, namespace: default}
spec:
  workloadSelector: {labels: {app: narrow}}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress: [{hosts: ['./web.default.svc.cluster.local']}]
"""


def test_a_sidecar_narrows_what_one_pod_sees(mesh, pod, outside):
    narrow = mesh.lab.pod("narrow", labels={"app": "narrow"})
    mesh.settle()
    declared = entry("shop", "shop.example", SHOP, "{number: 80, name: http, protocol: HTTP}", outside.ip)
    mesh.apply(declared + "\n---\n" + SIDECAR)
    assert curl(pod, "http://shop.example/", SHOP)[0] == 200
    assert curl(narrow, "http://shop.example/", SHOP)[0] == 502
    assert {answer.status for answer in narrow.request("http://web:9080/", count=5)} == {200}
    assert curl(pod, "http://strange.example/", outside.ip)[0] == 200
    assert curl(narrow, "http://strange.example/", outside.ip)[0] == 502


WILD = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: default}
spec:
  hosts: ['*.wikipedia.org']
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 443, name: tls, protocol: TLS}
  location: MESH_EXTERNAL
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: wild, namespace: default}
spec:
  hosts: ['*.wikipedia.org']
  http:
  - match: [{uri: {prefix: /secret}}]
    directResponse: {status: 403}
  - route: [{destination: {host: '*.wikipedia.org'}}]
"""

OWN = """
import http.server, threading, urllib.request
server = http.server.HTTPServer(("127.0.0.1", 80), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(urllib.request.urlopen("http://127.0.0.1/proc/version").status)
"""


def test_wildcard_hosts_have_rules_at_whatever_address(mesh, pod, outside, tmp_path):
    mesh.apply(WILD)
    assert curl(pod, "http://en.wikipedia.org/wiki", outside.ip)[0] == 200
    assert curl(pod, "http://en.wikipedia.org/secret", outside.ip)[0] == 403
    assert curl(pod, "http://other.example/secret", outside.ip)[0] == 200
    assert pod.run(["sh", "-c", f"cd / && exec {sys.executable} -c '{OWN}'"]).stdout.strip() == "200"
