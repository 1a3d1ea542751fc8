"""Processes that hang (SIGSTOP) and their supervisor: real processes, curl."""

import os
import signal
import socket

import pytest
from tests.unit.cli.mesh import Mesh, alive, cluster, rules, until

TO_V1 = "- route: [{destination: {host: reviews, subset: v1}}]"


def replaced(mesh: Mesh, name: str, victim: int) -> bool:
    return mesh.children().get(name, victim) != victim and not alive(victim)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_hangs_is_replaced_and_its_clients_are_told(folder, v1, workers):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder, workers=workers) as mesh:
        assert mesh.curl() == (200, "v1")
        standing = [socket.create_connection(("127.0.0.1", mesh.exposed["reviews:9080"])) for _ in range(8)]
        for sock in standing:
            sock.settimeout(20)
            sock.sendall(b"GET / HTTP/1.1\r\nhost: reviews:9080\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        victim = mesh.children()["worker-0"]
        os.kill(victim, signal.SIGSTOP)
        for sock in standing:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: reviews:9080\r\n\r\n")
        assert mesh.curl() == (200, "v1")  # by the other worker, or by the successor out of the backlog
        ends = 0
        for sock in standing:
            try:
                ends += not sock.recv(4096).startswith(b"HTTP/1.1 200")
            except ConnectionResetError:
                ends += 1
            sock.close()
        assert ends <= 8 and (ends == 8 or workers == 2)
        until(lambda: replaced(mesh, "worker-0", victim))
        until(mesh.ready)
        assert "process hangs" in mesh.log() and "worker-0" in mesh.log()
        assert mesh.metric("nodemesh_process_restarts_total", process="worker-0") == 1


def test_control_that_hangs_is_replaced_while_the_workers_go_on(folder, v1):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder) as mesh:
        assert mesh.curl() == (200, "v1")
        children = mesh.children()
        os.kill(children["control"], signal.SIGSTOP)
        until(lambda: mesh.curl() == (200, "v1") and replaced(mesh, "control", children["control"]))
        until(mesh.ready)
        assert mesh.children()["worker-0"] == children["worker-0"]
        (folder / "mesh.yaml").write_text(cluster(v1) + rules("- directResponse: {status: 418}") + "# changed\n")
        until(lambda: mesh.curl().status == 418)


def test_nobody_is_replaced_where_there_is_no_limit(folder, v1):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder, "--worker-limit", "0", workers=2) as mesh:
        children = mesh.children()
        os.kill(children["worker-0"], signal.SIGSTOP)
        os.kill(children["control"], signal.SIGSTOP)  # which is replaced after it, so that the supervisor has looked
        until(lambda: replaced(mesh, "control", children["control"]))
        assert mesh.children()["worker-0"] == children["worker-0"]
        os.kill(children["worker-0"], signal.SIGCONT)
        until(mesh.ready)
