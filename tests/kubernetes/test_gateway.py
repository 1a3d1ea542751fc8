"""A gateway in a cluster: HTTPS to curl with certificates out of Secrets, within the rights of the manifests."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import threading
import time

import pytest
import yaml
from cryptography import x509
from tests.apiserver.running import kubeconfig, running
from tests.apiserver.server import ApiServer
from tests.clusters import NODE, endpoint_slice, pod, service, virtual_service
from tests.kubernetes.test_manifests import MANIFESTS
from tests.unit.cli.mesh import Answer, Mesh, Upstream, free_port, until

from nodemesh.lab.certificates import Authority, Pair

NAMESPACE = "nodemesh-system"
NAME = "web.example.com"
GONE, FAULTS = "gone", "nodemesh_certificate_faults"


def server_of(name: str, host: str, mode: str, credential: str) -> dict:
    port = {"number": 443, "name": name, "protocol": "HTTPS"}
    return {"port": port, "hosts": [host], "tls": {"mode": mode, "credentialName": credential}}


GATEWAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [
            server_of("web", NAME, "SIMPLE", "web"),
            server_of("mutual", "mutual.example.com", "MUTUAL", "mutual"),
            server_of("gone", "gone.example.com", "SIMPLE", GONE),
        ],
    },
}
ELSEWHERE = {
    **GATEWAY,
    "metadata": {"name": "other", "namespace": "default"},
    "spec": {"selector": {"istio": "other"}, "servers": [server_of("other", "*", "SIMPLE", "others")]},
}


def secret(name: str, kind: str = "kubernetes.io/tls", **data: bytes) -> dict:
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": kind, "data": encoded}


def serial_of(pair: Pair) -> int:
    return x509.load_pem_x509_certificate(pair.certificate).serial_number


def tls_secret(name: str, pair: Pair) -> dict:
    return secret(name, tls_crt=pair.certificate, tls_key=pair.key)


class Edge(Mesh):
    """The agent as a cluster's gateway."""

    def __init__(self, folder, server, authority: Authority) -> None:
        self.server, self.authority, self.port = server, authority, free_port()
        (folder / "config").mkdir()
        (folder / "ca.pem").write_bytes(authority.certificate)
        self.state = folder / "state"
        config = kubeconfig(folder / "kubeconfig", server.url, {"token": "gateway"})
        super().__init__(
            folder / "config", "--kubeconfig", str(config), "--node", NODE, "--as", f"{NAMESPACE}/gateway-1",
            "--gateway", "istio=ingressgateway", "--gateway-listen", f"443=127.0.0.1:{self.port}",
            "--state-dir", str(self.state), workers=2, expose=(),
        )  # fmt: skip

    def apply(self, *objects: dict) -> None:
        self.server.call(lambda api: api.apply(*objects))

    def get(self, host: str, *options: str) -> Answer:
        done = subprocess.run(
            ["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", "--cacert", str(self.folder.parent / "ca.pem"),
             "--connect-to", f"::127.0.0.1:{self.port}", *options, f"https://{host}/"],
            capture_output=True, text=True,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return Answer(int(status or 0), body or done.stderr)

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        return context.wrap_socket(plain, server_hostname=NAME)

    def serial(self) -> str:
        """The certificate's serial number, as openssl sees it."""
        with self.connect() as sock:
            return str((sock.getpeercert() or {})["serialNumber"])

    def certificates(self) -> dict[str, str]:
        """What /status says of each Secret that is used."""
        return {row["secrets"][0]: row["error"] for row in self.api("/status")["certificates"]}


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def edge(tmp_path_factory, authority):
    upstream = Upstream("v1")
    api = ApiServer()
    for path in ("agent/rbac.yaml", "gateway/rbac.yaml"):
        api.apply(*yaml.safe_load_all((MANIFESTS / path).read_text()))
    api.accounts["gateway"] = f"{NAMESPACE}/nodemesh-gateway"
    piece = endpoint_slice("reviews", ("reviews-1", "127.0.0.1"))
    piece["ports"] = [{"name": "http", "port": upstream.port}]
    rule = {
        "hosts": ["*.example.com"],
        "gateways": ["web"],
        "http": [{"route": [{"destination": {"host": "reviews"}}]}],
    }
    squatter = pod("squatter", istio="ingressgateway")
    api.apply(service("reviews"), piece, pod("reviews-1"), squatter, virtual_service("web", **rule), GATEWAY, ELSEWHERE)
    pair = authority.issue("mutual.example.com")
    api.apply(
        tls_secret("web", authority.issue(NAME)),
        secret("mutual", "Opaque", cert=pair.certificate, key=pair.key),
        secret("mutual-cacert", "Opaque", cacert=authority.certificate),
        tls_secret("others", authority.issue("other")),
    )
    with running(api) as server, Edge(tmp_path_factory.mktemp("edge"), server, authority) as edge:
        yield edge
    upstream.close()


def asked_for(edge) -> set[str]:
    """The names of the Secrets that were asked for, and what was asked without a name."""
    return edge.server.call(
        lambda api: {row.query.get("fieldSelector", "") for row in api.asked if row.path.endswith("secrets")}
    )


def test_ready_means_that_certificates_are_there(edge):
    assert edge.get(NAME) == (200, "v1")


def test_clients_are_checked_by_the_authority_that_stands_apart(edge, authority, tmp_path):
    assert edge.get("mutual.example.com").status == 0
    pair = authority.issue("client.example.com")
    (tmp_path / "client.pem").write_bytes(pair.certificate + pair.key)
    assert edge.get("mutual.example.com", "--cert", str(tmp_path / "client.pem")) == (200, "v1")


def test_no_secret_is_asked_for_that_no_server_of_this_gateway_names(edge):
    names = {f"metadata.name={name}" for name in ("web", "mutual", "mutual-cacert", GONE)}
    assert asked_for(edge) == names


def test_a_missing_secret_is_told_with_its_gateway_and_served_once_it_is_there(edge, authority):
    until(lambda: edge.certificates()[f"{NAMESPACE}/{GONE}"] == f"there is no Secret {NAMESPACE}/{GONE}")
    place = {"kind": "Gateway", "field": "spec.servers[2].tls.credentialName"}
    assert edge.metric(FAULTS, **place) == 1 == edge.metric(FAULTS)
    until(lambda: f"no Secret {NAMESPACE}/{GONE}" in edge.log())
    assert edge.get("gone.example.com").status == 0 and edge.get(NAME).status == 200
    edge.apply(tls_secret(GONE, authority.issue("gone.example.com")))
    until(lambda: edge.get("gone.example.com") == (200, "v1"))
    assert edge.metric(FAULTS) == 0
    assert edge.log().count("certificates not usable") == 1


def test_secrets_replaced_under_load_fail_no_request_and_drop_no_connection(edge, authority):
    seen, failed, done = set(), [], threading.Event()

    def ask(sock: ssl.SSLSocket) -> None:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\nv1"):
            data = sock.recv(4096)
            if not data:
                raise OSError(f"closed after {answer!r}")
            answer += data
        if not answer.startswith(b"HTTP/1.1 200"):
            raise OSError(answer)

    def load() -> None:
        while not done.is_set():
            try:
                with edge.connect() as sock:
                    seen.add(int((sock.getpeercert() or {})["serialNumber"], 16))
                    ask(sock)
            except OSError as error:
                failed.append(error)

    clients = [threading.Thread(target=load) for _ in range(2)]
    with edge.connect() as kept:
        ask(kept)
        for client in clients:
            client.start()
        for _ in range(30):
            pair = authority.issue(NAME)
            edge.apply(tls_secret("web", pair))
            time.sleep(0.02)
            ask(kept)
        until(lambda: serial_of(pair) in seen)
        done.set()
        for client in clients:
            client.join()
        ask(kept)
    assert not failed and len(seen) > 5


def test_openssl_sees_the_new_certificate(edge, authority):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-servername", NAME, "-showcerts"]

    def shown() -> str:
        return subprocess.run(command, input="", capture_output=True, text=True, timeout=20).stdout

    old, new = authority.issue(NAME), authority.issue(NAME)
    for pair in (old, new):
        edge.apply(tls_secret("web", pair))
        until(lambda pair=pair: pair.certificate.decode() in shown())
    assert old.certificate.decode() not in shown()


def test_what_is_deleted_or_broken_serves_on(edge, authority):
    before = edge.serial()
    edge.server.call(lambda api: api.delete("Secret", "web", NAMESPACE))
    until(lambda: "serves on" in edge.certificates()[f"{NAMESPACE}/web"])
    assert edge.serial() == before
    one, other = authority.issue(NAME), authority.issue(NAME)
    edge.apply(tls_secret("web", Pair(one.certificate, other.key)))
    until(lambda: "mismatch" in edge.certificates()[f"{NAMESPACE}/web"])
    assert edge.serial() == before
    edge.apply(tls_secret("web", one))
    until(lambda: edge.serial() != before)
    assert edge.certificates()[f"{NAMESPACE}/web"] == ""


def test_no_key_shows_anywhere(edge):
    until(lambda: (edge.state / "cluster.msgpack").exists())
    pages = [edge.api(path) for path in ("/status", "/services", "/routes", "/endpoints")]
    shown = (repr(pages) + edge.log() + edge.stdout.read_text()).encode() + (
        edge.state / "cluster.msgpack"
    ).read_bytes()
    assert b"PRIVATE KEY" not in shown and b"Gateway" in shown
    assert base64.b64encode(b"-----BEGIN PRIVATE KEY")[:20] not in shown
