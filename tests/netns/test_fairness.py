"""A pod whose bytes are dear to read, beside another one: what the workers do meanwhile is counted, not timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.bench import attack
from tests.netns.mesh import PORT

#: Milliseconds of a worker's CPU that may pass, in the median, while a request of the other pod is out: the request and
#: its answer take a fraction of one, turns without a budget hundreds.
MOST = 5.0

#: Asks again and again; for each request, how much CPU (ns) the busiest worker has had until the answer.
VISITOR = """
import json, socket, sys, time
stats, port, count = sys.argv[1].split(","), int(sys.argv[3]), int(sys.argv[4])
cpu = lambda: [int(open(stat).read().split()[0]) for stat in stats]
peer = socket.create_connection((sys.argv[2], port), timeout=60)
took, answers = [], 0
for _ in range(count):
    before = cpu()
    peer.sendall(b"GET / HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n")
    answer = b""
    while b"\\r\\n\\r\\n" not in answer or len(answer.partition(b"\\r\\n\\r\\n")[2]) < length:
        piece = peer.recv(65536)
        if not piece:
            break
        answer += piece
        head = answer.partition(b"\\r\\n\\r\\n")[0].lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\\r\\n")[0] or 0)
    answers += answer.startswith(b"HTTP/1.1 200")
    took.append(max(after - start for after, start in zip(cpu(), before)))
    time.sleep(0.005)
print(json.dumps([answers, sorted(took)[count // 2] / 1e6]))
"""


def workers(mesh) -> list[str]:
    return [f"/proc/{worker['pid']}/schedstat" for worker in mesh.agent.get("/status")["workers"]]


@pytest.mark.parametrize("name", list(attack.PATTERNS))
def test_another_pod_does_not_wait(mesh, pod, name):
    attacker = mesh.lab.pod("attacker", labels={"app": "attacker"})
    mesh.settle()
    address, _ = mesh.lab.services["default/web"].addresses
    root = str(Path(attack.__file__).parents[2])
    sending = attacker.popen(
        [sys.executable, "-m", "tests.bench.attack", str(PORT), name, "20", address],
        stdout=subprocess.DEVNULL,
        cwd=root,
    )
    try:
        visit = [sys.executable, "-c", VISITOR, ",".join(workers(mesh)), address, str(PORT), "60"]
        seen = pod.popen(visit, stdout=subprocess.PIPE, text=True)
        out, _ = seen.communicate(timeout=120)
    finally:
        sending.kill()
        sending.wait()
    answers, work = json.loads(out)
    assert answers == 60 and work <= MOST, f"{work:.1f} ms of a worker's time"
