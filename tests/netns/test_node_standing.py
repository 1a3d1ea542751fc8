"""Connections in kernel mode that stand are counted by the metrics as they go on, and their bytes once, whatever dies
meanwhile."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.netns.mesh import running_mesh
from tests.netns.test_node_run import process

from nodemesh.lab.service import LabPort

#: Answers each line with as many bytes as it says.
ANSWER = """
import socketserver
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(bytes(int(line)))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
Server(('', 81), Answer).serve_forever()
"""

#: Holds a connection; for each line asks for so many bytes on it, and tells when they have come.
ASK = """
import socket, sys
sock = socket.create_connection((sys.argv[1], 81))
for line in sys.stdin:
    sock.sendall(line.encode())
    left = int(line)
    while left:
        left -= len(sock.recv(left))
    print('done', flush=True)
"""


@pytest.fixture(scope="module")
def held():
    """The mesh, the service's address, and what makes a connection of the client's that is asked by lines."""
    with running_mesh("standing") as mesh:
        server = mesh.lab.pod("server", labels={"app": "server"})
        server.popen([sys.executable, "-c", ANSWER], stdin=subprocess.DEVNULL)
        server.wait_listening(81)
        service = mesh.lab.service("raw", ports=[LabPort(81, name="tcp")], selector={"app": "server"})
        client = mesh.lab.pod("client", labels={"app": "client"})
        mesh.settle()
        modes = {row["host"].partition(".")[0]: row["ports"][0]["mode"] for row in mesh.agent.get("/services")}
        assert modes["raw"] == "kernel"

        def connect():
            command = [sys.executable, "-c", ASK, service.addresses[0]]
            return client.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        yield mesh, connect


def ask(connection, size):
    connection.stdin.write(f"{size}\n")
    connection.stdin.flush()
    assert connection.stdout.readline() == "done\n"
    return len(f"{size}\n")


def counted(agent):
    """Connections opened and closed, and bytes to and from the client, of the service."""
    page = urllib.request.urlopen(f"http://{agent.admin}/metrics", timeout=10).read().decode()
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.labels.get("destination_service_name") == "raw" and sample.labels["reporter"] == "source":
                found[sample.name] = found.get(sample.name, 0) + int(sample.value)
    names = ("connections_opened", "connections_closed", "sent_bytes", "received_bytes")
    return tuple(found.get(f"istio_tcp_{name}_total", 0) for name in names)


def test_bytes_show_while_the_connection_stands_and_count_once(held):
    mesh, connect = held
    connection = connect()
    asked = ask(connection, 1_000_000)
    mesh.agent.wait_for(lambda: counted(mesh.agent) == (1, 0, 1_000_000, asked), "the first bytes", 30.0)
    asked += ask(connection, 500)
    mesh.agent.wait_for(lambda: counted(mesh.agent) == (1, 0, 1_000_500, asked), "the next", 30.0)
    (shown,) = (row for row in mesh.agent.get("/services") if row["host"].startswith("raw."))
    (endpoint,) = shown["ports"][0]["kernel_endpoints"]
    assert (endpoint["opened"], endpoint["closed"], endpoint["received"], endpoint["sent"]) == (1, 0, 1_000_500, asked)
    asked += ask(connection, 7)
    connection.communicate()
    mesh.agent.wait_for(lambda: counted(mesh.agent) == (1, 1, 1_000_507, asked), "the last", 30.0)


def test_a_control_process_that_is_killed_makes_nothing_count_twice(held):
    mesh, connect = held
    opened, closed, sent, received = counted(mesh.agent)
    connection = connect()
    asked = ask(connection, 1_000_000)
    mesh.agent.wait_for(
        lambda: counted(mesh.agent) == (opened + 1, closed, sent + 1_000_000, received + asked), "the bytes", 30.0
    )
    victim = process(mesh.agent, "control_process")
    os.kill(victim, signal.SIGKILL)
    mesh.agent.wait_for(lambda: process(mesh.agent, "control_process") not in (0, victim), "another control", 30.0)
    mesh.agent.wait_for(mesh.agent.ready, "it to be ready", 30.0)
    second = connect()  # when this one's bytes show, the new process has looked at the first one
    asked += ask(second, 300)
    mesh.agent.wait_for(lambda: counted(mesh.agent)[0] == opened + 2, "the second connection", 30.0)
    mesh.agent.wait_for(lambda: counted(mesh.agent)[2] >= sent + 1_000_300, "its bytes", 30.0)
    assert counted(mesh.agent) == (opened + 2, closed, sent + 1_000_300, received + asked)
    asked += ask(connection, 200)
    for one in (connection, second):
        one.communicate()
    mesh.agent.wait_for(lambda: counted(mesh.agent)[1] == closed + 2, "both ends", 30.0)
    mesh.agent.wait_for(
        lambda: counted(mesh.agent)[2:] == (sent + 1_000_500, received + asked), "all that they carried", 30.0
    )
