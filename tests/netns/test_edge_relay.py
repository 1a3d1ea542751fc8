"""A gigabyte through the proxy to a slow reader: bit for bit, both halves closed in their time, memory level."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.netns.mesh import MESH
from tests.netns.test_edge_outside import MONGO, ORIGINATED, entry

SIZE = 1 << 30

SINK = """
import hashlib, socket, time
listener = socket.create_server(("", 7000))
sock = listener.accept()[0]
digest, size = hashlib.blake2b(), 0
while data := sock.recv(1 << 20):
    digest.update(data)
    size += len(data)
    if size >> 24 != (size - len(data)) >> 24:
        time.sleep(0.02)
sock.sendall(digest.hexdigest().encode())
sock.close()
"""

SOURCE = """
import hashlib, os, socket, sys
block = os.urandom(1 << 20)
digest = hashlib.blake2b()
with socket.create_connection((sys.argv[1], 7000), 60) as sock:
    for _ in range(int(sys.argv[2]) >> 20):
        sock.sendall(block)
        digest.update(block)
    sock.shutdown(socket.SHUT_WR)
    answer = b""
    while data := sock.recv(1000):
        answer += data
print(answer.decode() == digest.hexdigest())
"""


def memory(mesh) -> int:
    """Resident kilobytes of all workers."""
    pids = [worker["pid"] for worker in mesh.agent.get("/status")["workers"]]
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.fixture
def sink(mesh):
    pod = mesh.lab.pod("sink", namespace="outside", annotations={MESH: "disabled"})
    pod.popen([sys.executable, "-c", SINK], stdin=subprocess.DEVNULL)
    pod.wait_listening(7000)
    mesh.settle()
    return pod


def test_a_gigabyte_to_a_slow_reader(mesh, pod, sink):
    text = entry("sink", "sink.example", MONGO, "{number: 7000, name: tcp, protocol: TCP}", sink.ip)
    policy = ORIGINATED.replace("shop.example", "sink.example").replace("{tls: TLS}", "{outlierDetection: {}}")
    mesh.apply(text + policy)
    before = memory(mesh)
    assert pod.python(SOURCE, MONGO, str(SIZE), timeout=120) == "True\n"
    assert memory(mesh) - before < 8 * 1024, "kilobytes"
