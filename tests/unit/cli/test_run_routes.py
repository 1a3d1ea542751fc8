"""`nodemesh run` by the Gateway API, from outside: ports that come and go with listeners, TLS, a consumer's routes."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from tests.routes import gateway, route
from tests.unit.cli.mesh import Answer, Mesh, Upstream, cluster, free_port, until

from nodemesh.lab.certificates import Authority

TO_REVIEWS = "- backendRefs: [{name: reviews, port: 9080}]"


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def upstream():
    upstream = Upstream("v1")
    yield upstream
    upstream.close()


class Edge(Mesh):
    """The agent as a Gateway's workload, with the ports that the Gateway asks for."""

    def __init__(self, folder: Path, upstream: Upstream, expose: tuple[str, ...] = ()) -> None:
        self.config = folder / "config"
        self.config.mkdir()
        self.base = cluster(upstream)
        super().__init__(
            self.config, "--gateway", "gateway.networking.k8s.io/gateway-name=edge", "--gateway-listen", "127.0.0.1",
            expose=expose,
        )  # fmt: skip

    def write(self, text: str) -> None:
        path = self.config / "mesh.yaml"
        path.with_suffix(".new").write_text(self.base + text)
        os.replace(path.with_suffix(".new"), path)

    def get(self, url: str, port: int, *options: str) -> Answer:
        """curl with the gateway in the place of every host."""
        connect = ["--connect-to", f"::127.0.0.1:{port}"]
        done = subprocess.run(
            ["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", *connect, *options, url],
            capture_output=True, text=True,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return Answer(int(status or 0), body or done.stderr)


def plain(port: int, name: str = "web") -> str:
    return f"{{name: {name}, port: {port}, protocol: HTTP}}"


def test_ports_come_and_go_with_the_listeners(tmp_path, upstream):
    first, second = free_port(), free_port()
    edge = Edge(tmp_path, upstream)
    text = route("r", TO_REVIEWS, namespace="default")
    edge.write(gateway(plain(first), namespace="default") + text)
    with edge:
        until(lambda: edge.get("http://any.example/", first) == (200, "v1"))
        assert edge.get("http://any.example/", second).status == 0
        edge.write(gateway(plain(first), plain(second, "more"), namespace="default") + text)
        until(lambda: edge.get("http://any.example/", second) == (200, "v1"))
        edge.write(gateway(plain(second, "more"), namespace="default") + text)
        until(lambda: edge.get("http://any.example/", first).status == 0)
        assert edge.get("http://any.example/", second) == (200, "v1")


ECHO = """
---
apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: default}}
spec: {{clusterIP: 10.96.7.7, ports: [{{name: udp, port: 53, protocol: UDP}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: echo, namespace: default, labels: {{kubernetes.io/service-name: echo}}}}
addressType: IPv4
ports: [{{name: udp, port: {port}, protocol: UDP}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""


def test_udp_listeners_come_and_go_beside_tcp_and_outlive_a_worker(tmp_path, upstream):
    port = free_port()
    edge = Edge(tmp_path, upstream)
    with datagrams() as there, datagrams() as client:
        echo = ECHO.format(port=there.getsockname()[1])
        echo += route("u", "- backendRefs: [{name: echo, port: 53}]", kind="UDPRoute", namespace="default")
        text = echo + route("r", TO_REVIEWS, namespace="default")
        udp = f"{{name: udp, port: {port}, protocol: UDP}}"

        def answered() -> bool:
            try:
                client.sendto(b"hello", ("127.0.0.1", port))
                data, gateway_end = there.recvfrom(100)
                there.sendto(data.upper(), gateway_end)
                return client.recv(100) == b"HELLO"
            except OSError:
                return False

        edge.write(gateway(plain(port), udp, namespace="default") + text)
        with edge:
            until(answered)
            assert edge.get("http://any.example/", port) == (200, "v1")
            (worker,) = edge.api("/status")["workers"]
            os.kill(worker["pid"], signal.SIGKILL)
            until(answered)
            edge.write(gateway(plain(port), namespace="default") + text)
            until(lambda: not answered())
            assert edge.get("http://any.example/", port) == (200, "v1")


def datagrams() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.5)
    return sock


def test_a_port_that_is_taken_is_told_and_spares_the_others(tmp_path, upstream):
    taken, port = upstream.port, free_port()
    edge = Edge(tmp_path, upstream)
    edge.write(
        gateway(plain(taken), plain(port, "more"), namespace="default") + route("r", TO_REVIEWS, namespace="default")
    )
    with edge:
        until(lambda: edge.get("http://any.example/", port) == (200, "v1"))
        assert "a gateway's port cannot be had" in edge.log()


def secret(name: str, authority: Authority, host: str) -> str:
    pair = authority.issue(host)
    parts = {"tls.crt": pair.certificate, "tls.key": pair.key}
    data = "\n".join(
        f"  {key}: |\n    " + value.decode().strip().replace("\n", "\n    ") for key, value in parts.items()
    )
    return f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\nstringData:\n{data}\n"


def test_tls_ends_by_the_server_name_and_misdirected_requests_are_told(tmp_path, upstream, authority):
    port = free_port()
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    trust = ("--cacert", str(tmp_path / "ca.pem"))
    listener = (
        "{{name: {0}, hostname: {0}.example, port: {1}, protocol: HTTPS, tls: {{certificateRefs: [{{name: {0}}}]}}}}"
    )
    text = gateway(listener.format("a", port), listener.format("b", port), namespace="default")
    text += route("r", TO_REVIEWS, namespace="default")
    edge = Edge(tmp_path, upstream)
    edge.write(text + secret("a", authority, "a.example") + secret("b", authority, "b.example"))
    with edge:
        until(lambda: edge.get("https://a.example/", port, *trust) == (200, "v1"))
        assert edge.get("https://b.example/", port, *trust) == (200, "v1")
        assert edge.get("https://c.example/", port, *trust).status == 0
        assert edge.get("https://a.example/", port, *trust, "-H", "host: b.example").status == 421
        assert edge.get("https://a.example/", port, *trust, "-H", "host: c.example").status == 404


def test_http2_at_a_listener_is_routed_and_misdirected_requests_are_told(tmp_path, upstream, authority):
    """Browsers send requests for several hosts on one connection if its certificate is for all (RFC 9113 9.1.1)."""
    secure, plain_port = free_port(), free_port()
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    h2 = ("--cacert", str(tmp_path / "ca.pem"), "--http2", "-w", "\n%{http_version}\n%{http_code}")
    listener = "{{name: {0}, hostname: '{1}', port: {2}, protocol: HTTPS, tls: {{certificateRefs: [{{name: pair}}]}}}}"
    text = gateway(
        listener.format("a", "a.shop.example", secure), listener.format("rest", "*.shop.example", secure),
        plain(plain_port),
        namespace="default",
    )  # fmt: skip
    edge = Edge(tmp_path, upstream)
    edge.write(text + route("r", TO_REVIEWS, namespace="default") + secret("pair", authority, "*.shop.example"))
    with edge:
        until(lambda: edge.get("https://a.shop.example/", secure, *h2) == (200, "v1\n2"))
        assert edge.get("https://b.shop.example/", secure, *h2) == (200, "v1\n2")
        assert edge.get("https://b.shop.example/", secure, *h2, "-H", "host: c.shop.example") == (200, "v1\n2")
        assert edge.get("https://b.shop.example/", secure, *h2, "-H", "host: a.shop.example").status == 421
        assert edge.get("https://a.shop.example/", secure, *h2, "-H", "host: b.shop.example").status == 421
        prior = ("--http2-prior-knowledge", "-w", "\n%{http_version}\n%{http_code}")
        assert edge.get("http://any.example/", plain_port, *prior) == (200, "v1\n2")


def test_routes_of_the_mesh_are_carried_out_for_exposed_services(tmp_path, upstream):
    parents = "[{group: '', kind: Service, name: reviews}]"
    rules = "- matches: [{path: {value: /in}}]\n  backendRefs: [{name: reviews, port: 9080}]\n"
    rules += "- matches: [{path: {value: /away}}]\n"
    rules += "  filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example, statusCode: 307}}]"
    edge = Edge(tmp_path, upstream, expose=("reviews:9080",))
    edge.write(route("r", rules, parents=parents, namespace="default"))
    with edge:
        until(lambda: edge.curl("/in/side") == (200, "v1"))
        assert edge.curl("/inside").status == 404 and edge.curl("/away").status == 307
        (service,) = [row for row in edge.api("/services") if row["host"].startswith("reviews")]
        assert service["ports"][0]["mode"] == "proxy" and "HTTPRoute default/r" in service["ports"][0]["mode_reason"]
