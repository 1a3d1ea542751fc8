"""What a namespace's author names of the node's files and sockets, through an API server: nothing of it answers."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.answering import answering
from tests.apiserver.running import Running
from tests.clusters import NODE, pod
from tests.kubernetes.test_credentials import NAME, OUTSIDE, meshed
from tests.unit.cli.mesh import Mesh, free_port, until

from nodemesh.lab.certificates import Authority

VERSION = "networking.istio.io/v1"


def entry(address: str, **ports: int) -> dict:
    endpoint = {"address": address, "ports": ports} if ports else {"address": address}
    spec = {
        "hosts": [OUTSIDE],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [endpoint],
    }
    return {
        "apiVersion": VERSION,
        "kind": "ServiceEntry",
        "metadata": {"name": "e", "namespace": "default"},
        "spec": spec,
    }


def rule(name: str = "r", host: str = OUTSIDE, **tls: object) -> dict:
    spec = {"host": host, "trafficPolicy": {"tls": tls}}
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": VERSION, "kind": "DestinationRule", "metadata": meta, "spec": spec}


def mesh_config(**spec: object) -> dict:
    return {"apiVersion": "nodemesh.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "mesh"}, "spec": spec}


def apply(server: Running, *objects: dict) -> None:
    server.call(lambda api: api.apply(*objects))


def findings(mesh: Mesh) -> list[str]:
    return [row["path"] for row in mesh.api("/config/problems") if row["code"] == "out-of-reach"]


@pytest.fixture
def root_socket(tmp_path) -> Iterator[Path]:
    """A runtime's socket, root's alone."""
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "runtime.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    path.chmod(0o600)
    with answering(server, "root"):
        yield path


def test_no_spelling_of_a_sockets_place_reaches_it(tmp_path, root_socket):
    (tmp_path / "link.sock").symlink_to(root_socket)
    with meshed(tmp_path) as (server, mesh):
        for place in (
            str(root_socket), f"/{root_socket}", f"/proc/self/root{root_socket}",
            f"/proc/{os.getpid()}/root{root_socket}",
            f"{root_socket.parent}/../run/runtime.sock", f"{tmp_path}/link.sock",
        ):  # fmt: skip
            apply(server, entry(f"unix://{place}"))
            until(lambda place=place: any(place in row["message"] for row in mesh.api("/config/problems")))
            assert mesh.curl(name=NAME).body != "root"
            assert findings(mesh) == ["spec.endpoints[0].address"]
        apply(server, entry(f"unix://{root_socket}"), mesh_config(allowedFolders=[str(root_socket.parent)]))
        until(lambda: mesh.curl(name=NAME) == (200, "root"))
        assert not findings(mesh)
        apply(server, entry(f"unix://{root_socket.parent}/../link.sock"))
        until(lambda: findings(mesh))
        assert mesh.curl(name=NAME) == (200, "root")  # the old state


def test_a_refused_object_is_told_in_the_cluster(tmp_path, root_socket):
    with meshed(tmp_path) as (server, mesh):
        apply(server, entry(f"unix://{root_socket}"))
        (event,) = until(lambda: server.call(lambda api: api.objects("Event")))
        assert event["regarding"]["name"] == "e" and event["reason"] == "Refused" and "runtime.sock" in event["note"]


def test_devices_and_pipes_stop_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    spellings = [f"{'/' * (count + 1)}dev/zero" for count in range(50)]
    places = ["/dev/ptmx", str(tmp_path / "pipe"), str(tmp_path / "zero"), "/proc/kmsg", *spellings]
    rules = [
        rule(f"r{index}", f"h{index}.example", mode="SIMPLE", caCertificates=place)
        for index, place in enumerate(places)
    ]
    with meshed(tmp_path) as (server, mesh):
        before = memory(mesh)
        apply(server, *rules)
        until(lambda: len(findings(mesh)) == len(places))
        # where the operator allows the folders, it is the files themselves that are no certificates
        apply(server, mesh_config(allowedFolders=["/dev", "/proc", str(tmp_path)]))
        until(lambda: not findings(mesh))
        assert mesh.ready()
        assert memory(mesh) - before < 64 * 1024


def memory(mesh: Mesh) -> int:
    """KiB of all processes together."""
    found = 0
    for pid in mesh.children().values():
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return found


def test_the_nodes_key_is_nobodys_client_certificate(tmp_path):
    authority = Authority()
    pair = authority.issue("kubelet")
    folder = tmp_path / "kubelet"
    folder.mkdir(mode=0o700)
    (folder / "crt").write_bytes(pair.certificate)
    (folder / "key").write_bytes(pair.key)
    port = free_port()
    tls: dict[str, Any] = {"mode": "MUTUAL", "insecureSkipVerify": True}
    client = pod("client", node=NODE, ip="10.9.0.1")
    bad = rule(**tls, clientCertificate=f"{folder}/crt", privateKey=f"/proc/self/root{folder}/key")
    with meshed(tmp_path, client, entry("127.0.0.1", http=port), bad) as (_, mesh):
        assert sorted(findings(mesh)) == [
            "spec.trafficPolicy.tls.clientCertificate", "spec.trafficPolicy.tls.privateKey",
        ]  # fmt: skip
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(1)
            assert mesh.curl(name=NAME).status == 503, "neither the key nor plain text leaves the node"
            with pytest.raises(TimeoutError):
                listener.accept()
