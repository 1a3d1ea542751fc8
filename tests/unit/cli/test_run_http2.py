"""HTTP/2 through the running agent, with the peers that people have: curl, nghttp, h2load, nghttpd and node."""

import json
import subprocess
from collections.abc import Iterator

import pytest
from tests.unit.cli.javascript import NODE
from tests.unit.cli.mesh import Mesh, Upstream, cluster, free_port, rules, until

NAME = "reviews:9080"


class Nghttpd:
    """A server of HTTP/2 alone, for the files of a folder."""

    def __init__(self, folder) -> None:
        self.name = "v2"
        self.port = free_port()
        command = ["nghttpd", "--no-tls", "--address=127.0.0.1", "-d", str(folder), "--trailer", "x-end: done"]
        self.process = subprocess.Popen([*command, str(self.port)], stdout=subprocess.DEVNULL)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def mesh_of(folder, upstream, port_name: str) -> Mesh:
    (folder / "config").mkdir()
    (folder / "config" / "mesh.yaml").write_text(cluster(upstream, port_name=port_name))
    return Mesh(folder / "config")


@pytest.fixture(scope="module")
def to_http1(tmp_path_factory) -> Iterator[Mesh]:
    upstream = Upstream("v1")
    folder = tmp_path_factory.mktemp("to-http1")
    (folder / "config").mkdir()
    (folder / "config" / "mesh.yaml").write_text(
        cluster(upstream) + rules("- route: [{destination: {host: reviews, subset: v1}}]")
    )
    with Mesh(folder / "config") as mesh:
        yield mesh
    upstream.close()


@pytest.fixture(scope="module")
def to_http2(tmp_path_factory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("to-http2")
    (folder / "files").mkdir()
    (folder / "files" / "index.html").write_text("hello from nghttpd")
    (folder / "files" / "large").write_bytes(bytes(3_000_000))
    upstream = Nghttpd(folder / "files")
    with mesh_of(folder, upstream, "http2") as mesh:
        until(lambda: mesh.curl("/index.html").status == 200)
        yield mesh
    upstream.close()


def url(mesh: Mesh, path: str) -> str:
    return f"http://127.0.0.1:{mesh.exposed[NAME]}{path}"


@pytest.mark.parametrize(
    ("option", "version"), [("--http2-prior-knowledge", "2"), ("--http2", "1.1"), ("--http1.1", "1.1")]
)
def test_curl_speaks_as_it_likes_on_one_port(to_http1, to_http2, option, version):
    """An offer of `Upgrade: h2c` is not taken up; what the pod speaks is another matter."""
    for mesh, path, body in ((to_http1, "/", "v1"), (to_http2, "/index.html", "hello from nghttpd")):
        answer = mesh.curl(path, option, "-w", "\n%{http_version}\n%{http_code}")
        assert (answer.status, answer.body) == (200, f"{body}\n{version}")


def test_curl_gets_a_large_body_whole(to_http2):
    for option in ("--http2-prior-knowledge", "--http1.1"):
        answer = to_http2.curl("/large", option, "-o", "/dev/null", "-w", "%{size_download}\n%{http_code}")
        assert (answer.status, answer.body) == (200, "3000000")


@pytest.mark.parametrize("count", [1, 20])
def test_nghttp(to_http1, to_http2, count):
    for mesh, path, body in ((to_http1, "/", "v1"), (to_http2, "/index.html", "hello from nghttpd")):
        done = subprocess.run(
            ["nghttp", "-m", str(count), "-H", f":authority: {NAME}", url(mesh, path)],
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, body * count)


def test_h2load_gets_every_answer(to_http1, to_http2):
    for mesh, path in ((to_http1, "/"), (to_http2, "/index.html")):
        done = subprocess.run(
            ["h2load", "-n", "600", "-c", "3", "-m", "16", "-H", f":authority: {NAME}", url(mesh, path)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert "600 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout


SCRIPT = """
const http2 = require('http2');
const client = http2.connect(process.argv[2], {});
client.on('error', (error) => { console.error(error); process.exit(1); });
let left = 20;
const answers = [];
for (let number = 0; number < 20; number++) {
  const stream = client.request({':path': '/index.html', ':authority': process.argv[3]});
  let body = '', status = 0, end = '';
  stream.on('response', (headers) => { status = headers[':status']; });
  stream.on('trailers', (headers) => { end = headers['x-end']; });
  stream.on('data', (chunk) => { body += chunk; });
  stream.on('end', () => {
    answers.push([status, body, end]);
    if (--left === 0) { console.log(JSON.stringify(answers)); client.close(); }
  });
  stream.end();
}
"""


def test_node_gets_bodies_and_trailers(to_http2, tmp_path):
    script = tmp_path / "client.js"
    script.write_text(SCRIPT)
    done = subprocess.run([NODE, str(script), url(to_http2, ""), NAME], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[200, "hello from nghttpd", "done"]] * 20


def test_the_log_and_the_metrics_name_what_the_client_spoke(to_http2):
    to_http2.curl("/index.html", "--http2-prior-knowledge", "-H", "x-request-id: spoke-2")
    assert until(lambda: to_http2.metric("istio_requests_total", request_protocol="http", response_code="200"))
    (port,) = next(row for row in to_http2.api("/services") if row["host"].startswith("reviews"))["ports"]
    assert (port["upstream_http"], port["http_reason"], port["mode"]) == ("http/2", "port_protocol", "proxy")
    assert "streams are balanced one by one" in port["mode_reason"]
