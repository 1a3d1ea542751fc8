"""gRPC-Web through the running agent: calls as browsers make them, over HTTP/1.1, to a pod of grpcio."""

import base64
import subprocess

from tests.unit.cli.grpc_service import GrpcPod, path
from tests.unit.cli.mesh import Mesh, cluster

AUTHORITY = "reviews:9080"


def web_call(mesh: Mesh, body: bytes, content_type: str, tmp_path) -> tuple[bytes, str]:
    """A call as a browser makes it, over HTTP/1.1: the answer's body and content-type."""
    message = tmp_path / "message"
    message.write_bytes(body)
    done = subprocess.run(
        ["curl", "-sS", "-m", "10", "-w", "%{stderr}%{content_type}", "-H", f"content-type: {content_type}",
         "-H", "x-grpc-web: 1", "-H", f"host: {AUTHORITY}", "--data-binary", f"@{message}",
         f"http://127.0.0.1:{mesh.exposed[AUTHORITY]}{path('Unary')}"],
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr.decode()


def test_a_browser_calls_by_grpc_web(tmp_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "config"
    folder.mkdir()
    pod = GrpcPod("v1")
    (folder / "mesh.yaml").write_text(cluster(pod, port_name="grpc-web"))
    message = b"\0\0\0\0\2hi"
    with Mesh(folder) as mesh:
        answer, content_type = web_call(mesh, message, "application/grpc-web+proto", tmp_path)
        assert content_type == "application/grpc-web+proto"
        assert answer.startswith(b"\0\0\0\0\5v1:hi\x80") and b"grpc-status:0\r\n" in answer[10:]
        text, content_type = web_call(mesh, base64.b64encode(message), "application/grpc-web-text+proto", tmp_path)
        assert content_type == "application/grpc-web-text+proto"
        pieces = [base64.b64decode(text[at : at + 4]) for at in range(0, len(text), 4)]  # each may end in padding
        assert b"".join(pieces).startswith(b"\0\0\0\0\5v1:hi\x80")
    pod.close()
