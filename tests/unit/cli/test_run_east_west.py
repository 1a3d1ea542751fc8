"""`nodemesh run` as an east-west gateway: mutual TLS between curl and openssl passes it by the cluster in the server
name, as between clients and servers that have Istio's sidecars."""

import socket
import subprocess

import pytest
from tests.unit.cli.mesh import Answer, Mesh, free_port, until

from nodemesh.lab.certificates import Authority

RULES = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross-network, namespace: default}
spec:
  selector: {istio: eastwestgateway}
  servers:
  - {port: {number: 15443, name: tls, protocol: TLS}, hosts: ['*.local'], tls: {mode: AUTO_PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ledger, namespace: default}
spec:
  hosts: [ledger.mesh.local]
  location: MESH_INTERNAL
  ports: [{number: 9443, name: tls, protocol: TLS}]
  resolution: STATIC
  endpoints:
  - {address: 127.0.0.1, ports: {tls: V1}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {tls: V2}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ledger, namespace: default}
spec:
  host: ledger.mesh.local
  trafficPolicy: {tls: {mode: SIMPLE, caCertificates: system}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""

HOST = "ledger.mesh.local"
NAMES = [f"outbound_.9443_.{subset}_.{HOST}" for subset in ("", "v1", "v2", "v3")]
ALL, V1, V2, V3 = NAMES


class EastWest(Mesh):
    def __init__(self, folder, upstreams):
        self.port = free_port()
        self.certificates = folder
        config = folder / "config"
        config.mkdir()
        text = RULES
        for version, port in upstreams.items():
            text = text.replace(version.upper(), str(port))
        (config / "mesh.yaml").write_text(text)
        options = ("--gateway", "istio=eastwestgateway", "--gateway-listen", f"15443=127.0.0.1:{self.port}")
        super().__init__(config, *options, expose=())

    def get(self, name: str, *options: str) -> Answer:
        done = subprocess.run(
            ["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", "--cacert", str(self.certificates / "ca.pem"),
             "--connect-to", f"::127.0.0.1:{self.port}", *options, f"https://{name}/who.txt"],
            capture_output=True, text=True,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return Answer(int(status or 0), body or done.stderr)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """In front of one openssl for each version, which wants its clients' certificates and serves a file."""
    folder = tmp_path_factory.mktemp("east-west")
    authority = Authority()
    (folder / "ca.pem").write_bytes(authority.certificate)
    client = authority.issue("client")
    (folder / "client.pem").write_bytes(client.certificate + client.key)
    ports, servers = {}, []
    try:
        for version in ("v1", "v2"):
            pair = authority.issue(version, *NAMES)
            (folder / version).mkdir()
            (folder / version / "server.pem").write_bytes(pair.certificate + pair.key)
            (folder / version / "who.txt").write_text(f"HTTP/1.0 200 OK\r\n\r\n{version}")
            ports[version] = free_port()
            command = ["openssl", "s_server", "-accept", f"127.0.0.1:{ports[version]}", "-cert", "server.pem", "-HTTP",
                       "-quiet", "-Verify", "1", "-verify_return_error", "-CAfile", "../ca.pem"]  # fmt: skip
            servers.append(
                subprocess.Popen(command, cwd=folder / version, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            until(lambda port=ports[version]: listens(port))
        with EastWest(folder, ports) as mesh:
            yield mesh
    finally:
        for server in servers:
            server.kill()
            server.wait()


def listens(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_the_server_name_leads_to_the_subset_and_the_clients_certificate_arrives(gateway):
    shown = ("--cert", str(gateway.certificates / "client.pem"))
    assert gateway.get(V1, *shown).body.strip() == "v1"
    assert gateway.get(V2, *shown).body.strip() == "v2"
    assert {gateway.get(ALL, *shown).body.strip() for _ in range(20)} == {"v1", "v2"}
    assert gateway.get(V1).status == 0, "which clients it takes is the server's to say"


def test_other_names_are_closed(gateway):
    for name in (V3, HOST, f"outbound_.9444_.v1_.{HOST}", "outbound_.9443_._.other.mesh.local"):
        answer = gateway.get(name)
        assert answer.status == 0 and ("reset" in answer.body or "SSL_ERROR_SYSCALL" in answer.body), answer


def test_openssl_sees_the_servers_own_certificate(gateway):
    for name, shown in ((V1, "v1"), (V2, "v2")):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-servername", name,
             "-nameopt", "RFC2253", "-CAfile", str(gateway.certificates / "ca.pem"),
             "-cert", str(gateway.certificates / "client.pem")],
            input="", capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert f"subject=CN={shown}" in done.stdout and "Verify return code: 0 (ok)" in done.stdout, done.stderr


def test_it_is_counted_under_its_service(gateway):
    def counted() -> float:
        return gateway.metric("istio_tcp_connections_opened_total", destination_service=HOST)

    before = counted()
    gateway.get(V1)
    assert until(lambda: counted() > before)
