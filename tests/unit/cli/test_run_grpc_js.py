"""gRPC through the running agent with grpc-js, the client that JavaScript's users have."""

import json
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest
from tests.unit.cli.grpc_service import DETAIL, LATE, GrpcPod
from tests.unit.cli.javascript import NODE, NPM
from tests.unit.cli.mesh import Mesh, cluster, until

HERE = Path(__file__).parent / "grpc_js"
AUTHORITY = "reviews:9080"


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The client with its packages."""
    folder = tmp_path_factory.mktemp("grpc-js") / "client"
    shutil.copytree(HERE, folder)
    subprocess.run([*NPM, "ci", "--ignore-scripts"], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "client.js"


def test_every_kind_of_call(program, tmp_path):
    pods = [GrpcPod(name) for name in ("v1", "v2", "v3")]
    (tmp_path / "mesh.yaml").write_text(cluster(*pods, port_name="grpc"))
    try:
        with Mesh(tmp_path) as mesh:
            command = [NODE, str(program), f"127.0.0.1:{mesh.exposed[AUTHORITY]}", AUTHORITY]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            waited = until(lambda: [pod for pod in pods if pod.gone.is_set()])
    finally:
        for pod in pods:
            pod.close()
    seen = json.loads(done.stdout)
    assert {answer.partition(":")[2] for answer in seen["unary"]} == {"hi"}
    assert {answer.partition(":")[0] for answer in seen["unary"]} == {"v1", "v2", "v3"}
    assert seen["down"] == [str(number) for number in range(100)]
    assert seen["up"] == "300 300000"
    assert seen["both"] == ["ONE", "TWO", "THREE", 0]
    assert seen["fail"] == [grpc.StatusCode.FAILED_PRECONDITION.value[0], DETAIL]
    assert seen["late"][0] in [code.value[0] for code in LATE]
    assert seen["cancelled"][0] == grpc.StatusCode.CANCELLED.value[0]
    assert waited
