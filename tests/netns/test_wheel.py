"""The installed wheel as root, from a folder where no checkout is: it finds its programs and the distribution's BCC."""

import json
import os
import signal
import subprocess

import pytest
from tests.unit.cli.mesh import free_port
from tests.wheels import clean_environment, install


@pytest.fixture(scope="module")
def nodemesh(tmp_path_factory):
    return install(tmp_path_factory.mktemp("wheel")) / "nodemesh"


def test_doctor_loads_the_programs_and_makes_its_connection(nodemesh):
    done = subprocess.run(
        [nodemesh, "doctor", "--format", "json"],
        cwd="/",
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    findings = {one["name"]: one["verdict"] for one in json.loads(done.stdout)}
    assert findings["bcc"] == findings["self-test"] == "ok", done.stderr
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_the_demo_finds_its_yaml_and_its_pods_see_the_mesh(nodemesh):
    command = [nodemesh, "demo"]
    process = subprocess.Popen(
        command, cwd="/", env=clean_environment() | {"TERM": "dumb"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed, _ = process.communicate(timeout=170)
    assert process.returncode == 0, printed.decode()


def test_run_takes_connections_over(nodemesh, tmp_path):
    (tmp_path / "mesh.yaml").write_text("")
    admin = f"127.0.0.1:{free_port()}"
    options = [
        "--config",
        tmp_path,
        "--ebpf",
        "require",
        "--admin",
        admin,
        "--workers",
        "1",
        "--run-dir",
        tmp_path / "run",
    ]
    options += ["--bpffs", f"/sys/fs/bpf/nodemesh-wheel-{os.getpid()}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([nodemesh, "run", *options], cwd="/", env=clean_environment(), stderr=log)
    try:
        done = subprocess.run(
            [
                "curl",
                "-fsS",
                "--retry",
                "100",
                "--retry-all-errors",
                "--retry-max-time",
                "30",
                f"http://{admin}/readyz",
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert json.loads(done.stdout)["ready"], (tmp_path / "log").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert "Traceback" not in (tmp_path / "log").read_text()
