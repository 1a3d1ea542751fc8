"""`nodemesh run --gateway` from outside: curl and openssl against real listeners."""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.cli.mesh import Answer, Mesh, Upstream, cluster, free_port, until

from nodemesh.lab.certificates import Authority

RULES = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [httpbin.example.com]}
  - port: {number: 443, name: one, protocol: HTTPS}
    hosts: [httpbin.example.com]
    tls: {mode: SIMPLE, serverCertificate: FOLDER/crt.pem, privateKey: FOLDER/key.pem}
  - port: {number: 443, name: two, protocol: HTTPS}
    hosts: ['*.bookinfo.com']
    tls: {mode: MUTUAL, credentialName: bookinfo}
  - port: {number: 443, name: three, protocol: TLS}
    hosts: [pass.example.com]
    tls: {mode: PASSTHROUGH}
  - {port: {number: 27017, name: mongo, protocol: TCP}, hosts: ['*']}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin, namespace: default}
spec:
  hosts: [httpbin.example.com, pass.example.com, '*.bookinfo.com']
  gateways: [gateway]
  http:
  - match: [{uri: {prefix: /status}}, {uri: {prefix: /delay}}]
    route: [{destination: {host: reviews, port: {number: 9080}}}]
  tls:
  - match: [{port: 443, sniHosts: [pass.example.com]}]
    route: [{destination: {host: behind.example}}]
  tcp:
  - match: [{port: 27017}]
    route: [{destination: {host: behind.example}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: behind, namespace: default}
spec:
  hosts: [behind.example]
  ports: [{number: 5555, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {tcp: BEHIND}}]
"""


@pytest.fixture(scope="module")
def authority():
    return Authority()


class Gateway(Mesh):
    """The agent as a gateway, with what stands behind it."""

    def __init__(self, folder: Path, authority: Authority, upstream: Upstream, behind: int) -> None:
        self.ports = {port: free_port() for port in (80, 443, 27017)}
        options = ["--gateway", "istio=ingressgateway"]
        for port, listen in self.ports.items():
            options += ["--gateway-listen", f"{port}=127.0.0.1:{listen}"]
        config = folder / "config"
        config.mkdir()
        self.authority, self.certificates = authority, folder
        (folder / "ca.pem").write_bytes(authority.certificate)
        self.replace_certificate()
        text = RULES.replace("FOLDER", str(folder)).replace("BEHIND", str(behind))
        (config / "mesh.yaml").write_text(cluster(upstream) + text)
        self.replace_secret()
        super().__init__(config, *options, workers=2, expose=())

    def replace_certificate(self) -> int:
        """The new one's serial number."""
        pair = self.authority.issue("httpbin.example.com")
        for name, content in (("crt", pair.certificate), ("key", pair.key)):
            put(self.certificates / f"{name}.pem", content)
        return x509.load_pem_x509_certificate(pair.certificate).serial_number

    def replace_secret(self) -> None:
        pair = self.authority.issue("*.bookinfo.com")
        parts = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": self.authority.certificate}
        data = "\n".join(
            f"  {name}: |\n    " + value.decode().strip().replace("\n", "\n    ") for name, value in parts.items()
        )
        head = "apiVersion: v1\nkind: Secret\nmetadata: {name: bookinfo, namespace: default}\nstringData:\n"
        put(self.certificates / "config" / "secret.yaml", f"{head}{data}\n".encode())

    def get(self, url: str, *options: str) -> Answer:
        """curl with the gateway in the place of every host."""
        connect = ["--connect-to", f"::127.0.0.1:{self.ports[443 if url.startswith('https') else 80]}"]
        done = subprocess.run(
            ["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", "--cacert", str(self.certificates / "ca.pem"),
             *connect, *options, url],
            capture_output=True, text=True,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return Answer(int(status or 0), body or done.stderr)


def put(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    os.replace(path.with_suffix(".new"), path)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, authority):
    upstream = Upstream("v1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = tmp_path_factory.mktemp("gateway")
    pair = authority.issue("pass.example.com")
    (folder / "pass.pem").write_bytes(pair.certificate + pair.key)
    context.load_cert_chain(folder / "pass.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        """Answers TLS with its own certificate, all else with a greeting."""
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                if sock.recv(1, socket.MSG_PEEK) == b"\x16":
                    with context.wrap_socket(sock, server_side=True) as secure:
                        secure.recv(1)
                        secure.sendall(b"behind")
                else:
                    sock.sendall(b"plain " + sock.recv(100))

    threading.Thread(target=serve, daemon=True).start()
    with Gateway(folder, authority, upstream, listener.getsockname()[1]) as gateway:
        yield gateway
    listener.close()
    upstream.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_some_paths_are_served_and_others_are_not(gateway, scheme):
    assert gateway.get(f"{scheme}://httpbin.example.com/status/200") == (200, "v1")
    assert gateway.get(f"{scheme}://httpbin.example.com/delay/1").status == 200
    assert gateway.get(f"{scheme}://httpbin.example.com/headers").status == 404


def test_plain_requests_for_other_hosts_find_nothing(gateway):
    assert gateway.get("http://other.example.com/status/200").status == 404


def test_a_name_that_nobody_has_is_closed(gateway):
    answer = gateway.get("https://other.example.com/status/200")
    assert answer.status == 0 and "reset" in answer.body


def test_wildcards_want_the_clients_certificate(gateway, authority, tmp_path):
    url = "https://www.bookinfo.com/status/200"
    assert gateway.get(url).status == 0
    pair = authority.issue("client.example.com")
    (tmp_path / "client.pem").write_bytes(pair.certificate + pair.key)
    assert gateway.get(url, "--cert", str(tmp_path / "client.pem")) == (200, "v1")


def test_openssl_sees_the_chosen_certificate(gateway):
    for name, shown in (("httpbin.example.com", "httpbin.example.com"), ("pass.example.com", "pass.example.com")):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.ports[443]}", "-servername", name,
             "-nameopt", "RFC2253", "-CAfile", str(gateway.certificates / "ca.pem"), "-verify_return_error"],
            input="\n", capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert f"subject=CN={shown}" in done.stdout and "Verify return code: 0 (ok)" in done.stdout, done.stderr


def test_opaque_ports_go_to_another_port(gateway):
    with socket.create_connection(("127.0.0.1", gateway.ports[27017]), 5) as sock:
        sock.sendall(b"hello")
        assert sock.recv(100) == b"plain hello"


def test_certificates_replaced_fifty_times_fail_no_request(gateway):
    seen: set[int] = set()
    failed: list[bytes | OSError] = []
    done = threading.Event()
    context = ssl.create_default_context(cadata=gateway.authority.certificate.decode())
    request = b"GET /status HTTP/1.1\r\nHost: httpbin.example.com\r\nConnection: close\r\n\r\n"

    def load() -> None:
        while not done.is_set():
            try:
                with (
                    socket.create_connection(("127.0.0.1", gateway.ports[443]), 5) as plain,
                    context.wrap_socket(plain, server_hostname="httpbin.example.com") as sock,
                ):
                    seen.add(int(str((sock.getpeercert() or {})["serialNumber"]), 16))
                    sock.sendall(request)
                    answer = b""
                    while data := sock.recv(4096):
                        answer += data
                    if not answer.endswith(b"v1"):
                        failed.append(answer)
            except OSError as error:
                failed.append(error)

    clients = [threading.Thread(target=load, daemon=True) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for _ in range(50):
            last = gateway.replace_certificate()
            time.sleep(0.02)
        until(lambda: last in seen)
    finally:
        done.set()
        for client in clients:
            client.join(10.0)
    assert not failed and len(seen) > 1


def test_a_replaced_secret_is_followed(gateway):
    def serial() -> str:
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.ports[443]}", "-servername", "a.bookinfo.com"],
            input="", capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        found = subprocess.run(
            ["openssl", "x509", "-noout", "-serial"], input=done.stdout, capture_output=True, text=True
        )
        return found.stdout

    before = serial()
    assert before.startswith("serial=")
    gateway.replace_secret()
    until(lambda: serial() not in (before, ""))


def test_no_key_shows_anywhere(gateway):
    pages = [gateway.api(path) for path in ("/status", "/services", "/routes")]
    assert "PRIVATE KEY" not in repr(pages) + gateway.log() + gateway.stdout.read_text()


def test_explain_answers_for_the_gateway(gateway):
    done = subprocess.run(
        [sys.executable, "-m", "nodemesh", "explain", "GET", "https://httpbin.example.com/headers", "--admin",
         gateway.admin, "--gateway", "istio=ingressgateway"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "agent"},
    )  # fmt: skip
    assert "=> no_rule 404" in done.stdout, done.stderr
