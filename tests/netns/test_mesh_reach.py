"""What a namespace's entries reach from within a pod: nothing of the node, and nothing of other namespaces."""

import socket

from tests.answering import answering
from tests.netns.mesh import PORT

ADDRESS = "192.0.2.77"

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: e, namespace: tenant}}
spec:
  hosts: [e.example]
  addresses: ['{address}']
  ports: [{{number: {port}, name: {name}, protocol: {protocol}}}]
  resolution: STATIC
  endpoints: [{{address: '{endpoint}'{ports}}}]
"""


def entry(address: str, endpoint: str, port: int = 80, to: int = 0, protocol: str = "HTTP") -> str:
    ports = f", ports: {{p: {to}}}" if to else ""
    return ENTRY.format(address=address, port=port, name="p", protocol=protocol, endpoint=endpoint, ports=ports)


def test_a_pod_reaches_no_unix_socket_of_the_node(mesh, pod, tmp_path):
    path = tmp_path / "runtime.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    path.chmod(0o600)
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0nodemesh-shim")
    with answering(server, "node") as asked, answering(abstract, "node") as asked_too:
        for place in (f"unix://{path}", f"unix:///proc/1/root{path}", f"unix://{tmp_path}/../{tmp_path.name}/runtime.sock",
                      "unix://@nodemesh-shim"):  # fmt: skip
            mesh.apply(entry(ADDRESS, place))
            (answer,) = pod.request(f"http://{ADDRESS}/")
            assert answer.status == 503, place
        assert not asked and not asked_too


def test_loopback_in_an_endpoint_is_the_pods_own(mesh, pod):
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with answering(server, "node") as asked:
        for loopback in ("127.0.0.1", "::1", "127.0.0.2"):
            mesh.apply(entry(ADDRESS, loopback, to=port))
            (answer,) = pod.request(f"http://{ADDRESS}/")
            assert answer.status in (0, 503), loopback  # refused at connect() where the kernel has balanced it
        assert not asked
    serve = (
        f"import http.server as h\nclass A(h.BaseHTTPRequestHandler):\n def do_GET(self):\n  self.send_response(218)\n"
        f"  self.send_header('content-length', '0')\n  self.end_headers()\n"
        f"h.HTTPServer(('127.0.0.1', {port}), A).serve_forever()"
    )
    pod.popen(["python3", "-c", serve])
    pod.wait_listening(port)
    mesh.apply(entry(ADDRESS, "127.0.0.1", to=port))
    (answer,) = pod.request(f"http://{ADDRESS}/")
    assert answer.status == 218


def test_no_entry_takes_another_namespaces_pods(mesh, pod):
    thief = mesh.server("thief")
    owner = mesh.lab.pods["default/web-v1"]
    service = mesh.lab.services["default/web"].addresses[0]
    for address in (owner.ip, service, "0.0.0.0/0", f"{owner.ip}/32"):
        mesh.apply(entry(address, thief.ip, PORT, PORT, "TCP"))
        for dialled in (owner.ip, service):
            answers = pod.request(f"http://{dialled}:{PORT}/", count=4)
            assert {answer.json()["service"] for answer in answers} == {"web"}, (address, dialled)
    mesh.agent.wait_for(lambda: mesh.agent.get("/status")["config"]["claims"], "the claim to be named")
