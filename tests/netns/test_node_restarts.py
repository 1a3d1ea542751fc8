"""Restarts that nobody notices: ten pods send 200 requests a second while processes are killed, stopped, replaced.

Each request has a connection of its own, so every moment of an outage would show."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from tests.netns.test_node_run import process, until

from nodemesh.datapath.attach import attached
from nodemesh.datapath.hooks import HOOKS
from nodemesh.datapath.maps import LAYOUT
from nodemesh.datapath.pins import Pins
from nodemesh.lab import Lab, LabPod
from nodemesh.lab.agent import Agent
from nodemesh.lab.service import LabPort

PODS = 10
RATE = 20.0  # requests a second, of each pod

#: `/` at once, `/slow` after a second, `/long` in twenty pieces over two seconds; on port 81 bytes are echoed.
SERVER = """
import http.server, socketserver, threading, time
class Web(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    def log_message(self, *_): pass
    def do_GET(self):
        if self.path == '/slow':
            time.sleep(1)
        pieces = 20 if self.path == '/long' else 1
        self.send_response(200)
        self.send_header('content-length', str(1000 * pieces))
        self.end_headers()
        for number in range(pieces):
            self.wfile.write(b'x' * 1000)
            if pieces > 1:
                time.sleep(0.1)
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1000):
            self.request.sendall(data)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
threading.Thread(target=socketserver.ThreadingTCPServer(('0.0.0.0', 81), Echo).serve_forever, daemon=True).start()
Server(('0.0.0.0', 80), Web).serve_forever()
"""

#: Sends requests at the times that are due until its input ends; then tells how many there were, and what failed.
CLIENT = """
import http.client, json, select, sys, time
rate, path, failures, count, began = float(sys.argv[1]), '/', [], 0, time.monotonic()
while not select.select([sys.stdin], [], [], max(0.0, began + count / rate - time.monotonic()))[0]:
    connection = http.client.HTTPConnection('web', 80, timeout=5)
    sent = time.monotonic()
    count += 1
    try:
        connection.request('GET', path)
        answer = connection.getresponse()
        if answer.status != 200 or len(answer.read()) != 1000:
            failures.append([sent, str(answer.status)])
    except (OSError, http.client.HTTPException) as error:
        failures.append([sent, f'{type(error).__name__}: {error}'])
    connection.close()
json.dump({'count': count, 'failures': failures}, sys.stdout)
"""

#: Asks for `/slow` on many connections at once; tells its ports, then which of them got an answer.
SLOW = """
import http.client, json, sys
connections = [http.client.HTTPConnection('web', 80, timeout=9) for _ in range(int(sys.argv[1]))]
for connection in connections:
    connection.request('GET', '/slow')
ports = [connection.sock.getsockname()[1] for connection in connections]
print(json.dumps(ports), flush=True)
answered = []
for port, connection in zip(ports, connections):
    try:
        if connection.getresponse().status == 200:
            answered.append(port)
    except (OSError, http.client.HTTPException):
        pass
print(json.dumps(answered), flush=True)
"""

#: Holds one connection to the echo service; answers each line with what came back on it.
HOLD = """
import socket, sys
sock = socket.create_connection((sys.argv[1], 81), 5)
for line in sys.stdin:
    sock.sendall(line.encode())
    print(sock.recv(1000).decode(), end='', flush=True)
"""

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http:
  - match: [{uri: {prefix: /teapot}}]
    directResponse: {status: 418, body: {string: teapot}}
  - route: [{destination: {host: web}}]
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("restarts") as made:
        server = made.pod("web", labels={"app": "web"})
        server.popen(["python3", "-c", SERVER])
        server.wait_listening(80)
        made.service("web", ports=[80], selector={"app": "web"})
        made.service("echo", ports=[LabPort(81, name="tcp")], selector={"app": "web"})
        for number in range(PODS):
            made.pod(f"client-{number}")
        yield made


@pytest.fixture(scope="module")
def shared_agent(lab: Lab) -> Agent:
    made = Agent(lab)
    made.apply(RULES, "rules")
    return made


@pytest.fixture
def agent(lab: Lab, shared_agent: Agent) -> Iterator[Agent]:
    shared_agent.start()
    shared_agent.wait_enrolled(lab.pods.values())
    yield shared_agent
    shared_agent.stop()


@pytest.fixture
def clients(lab: Lab) -> list[LabPod]:
    return [pod for pod in lab.pods.values() if pod.name.startswith("client")]


class Crowd:
    """All clients sending; `finish` ends it and gives back what failed, with the number of requests."""

    def __init__(self, pods: list[LabPod]) -> None:
        command = ["python3", "-c", CLIENT, str(RATE)]
        self._began = time.monotonic()
        self._processes = [pod.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for pod in pods]
        time.sleep(0.5)

    def finish(self) -> list[tuple[float, str]]:
        time.sleep(0.5)
        said = [json.loads(process.communicate(timeout=20)[0]) for process in self._processes]
        seconds = time.monotonic() - self._began
        assert sum(one["count"] for one in said) > 0.5 * RATE * PODS * seconds, "the crowd was too slow to tell"
        return [(sent, why) for one in said for sent, why in one["failures"]]


def meshed(pod: LabPod) -> bool:
    return pod.request("http://web/teapot")[0].status == 418


def hooks(lab: Lab) -> int:
    return len(attached(Pins(lab.bpffs, LAYOUT)))


def holders(worker: int, pod: LabPod) -> set[int]:
    """The client ports of the connections that a worker serves for a pod: its sockets' inodes, looked up in the pod's
    own table of connections."""
    inodes = set()
    for fd in os.listdir(f"/proc/{worker}/fd"):
        found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{worker}/fd/{fd}"))
        if found:
            inodes.add(found[1])
    ports = set()
    with open(f"/proc/{pod.pid}/net/tcp") as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] == "01" and fields[1].startswith("0200007F:"):  # at 127.0.0.2
                ports.add(int(fields[2].rpartition(":")[2], 16))
    return ports


def test_a_killed_worker_takes_its_own_connections_along_and_no_other(lab, agent, clients):
    """RC-10."""
    pod = clients[0]
    slow = pod.popen(["python3", "-c", SLOW, "30"], stdout=subprocess.PIPE, text=True)
    ports = set(json.loads(slow.stdout.readline()))
    workers = [row["pid"] for row in agent.get("/status")["workers"]]
    until(lambda: set().union(*(holders(worker, pod) for worker in workers)) == ports)
    mine = holders(workers[0], pod)
    assert 0 < len(mine) < len(ports), "both workers accept"
    os.kill(workers[0], signal.SIGKILL)
    assert set(json.loads(slow.stdout.readline())) == ports - mine
    slow.wait(10)


def test_a_killed_worker_under_load(lab, agent, clients):
    """RC-10: what it was serving at that moment fails, nothing before or after."""
    crowd = Crowd(clients)
    victim = process(agent, "worker")
    assert victim
    killed = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in [row["pid"] for row in agent.get("/status")["workers"]] and agent.ready())
    failures = crowd.finish()
    assert [why for sent, why in failures if not killed - 0.1 < sent < killed + 0.02] == []
    assert len(failures) <= PODS


def test_a_killed_control_under_load(lab, agent, clients):
    """RC-10, RC-13."""
    crowd = Crowd(clients)
    victim = process(agent, "control_process")
    assert victim
    os.kill(victim, signal.SIGKILL)
    until(lambda: process(agent, "control_process") not in (0, victim))
    until(agent.ready)
    assert crowd.finish() == []
    assert all(map(meshed, clients[:2]))


def test_a_restart_of_everything_under_load(lab, agent, clients):
    """RC-10, RC-11: in order, so that every request is finished by the agent that had begun it."""
    crowd = Crowd(clients)
    before = hooks(lab)
    assert before == len(lab.pods) * (len(HOOKS) + 1)
    assert agent.stop() == 0
    agent.start()
    agent.wait_enrolled(lab.pods.values())
    assert crowd.finish() == []
    assert hooks(lab) == before
    assert all(map(meshed, clients[:2]))


def test_everything_killed_under_load(lab, agent, clients):
    """RC-10: only what was under way at the kill may fail."""
    crowd = Crowd(clients)
    killed = time.monotonic()
    agent.kill()
    over = time.monotonic()
    agent.start()
    agent.wait_enrolled(lab.pods.values())
    failures = crowd.finish()
    assert [(sent - killed, why) for sent, why in failures if not killed - 0.1 < sent < over + 0.02] == []
    assert len(failures) <= 2 * PODS
    assert hooks(lab) == len(lab.pods) * (len(HOOKS) + 1)


def test_an_upgrade_under_load(lab, agent, clients):
    """RC-11, RC-12: two agents side by side; downloads are finished by the old one, connections in kernel mode stay."""
    held = clients[1].popen(
        ["python3", "-c", HOLD, lab.services["default/echo"].addresses[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = echo(held, "before")
    modes = {row["host"].partition(".")[0]: row["ports"][0]["mode"] for row in agent.get("/services")}
    assert (said, modes["echo"]) == ("before", "kernel")
    download = clients[0].popen(
        ["python3", "-c", "import urllib.request; print(len(urllib.request.urlopen('http://web/long').read()))"],
        stdout=subprocess.PIPE,
        text=True,
    )
    crowd = Crowd(clients)
    agent.upgrade()
    assert crowd.finish() == []
    assert download.communicate(timeout=10)[0] == "20000\n"
    assert echo(held, "after") == "after"
    held.kill()
    held.communicate()
    assert hooks(lab) == len(lab.pods) * (len(HOOKS) + 1)
    assert all(map(meshed, clients[:2]))


def echo(held: subprocess.Popen[str], word: str) -> str:
    assert held.stdin is not None and held.stdout is not None
    held.stdin.write(word + "\n")
    held.stdin.flush()
    return held.stdout.readline().strip()


def test_pods_start_whatever_becomes_of_the_agent(lab, agent):
    """RC-05, RC-18: nothing of ours has a say in a pod's start, and its very first connection works."""
    started = []
    for number in range(6):
        if number == 2:
            agent.kill()
        if number == 4:
            agent.start()
        pod = lab.pod(f"newcomer-{number}")
        started.append((pod, pod.request("http://web/")[0]))
    assert [answer.error or answer.status for _, answer in started] == [200] * 6
    agent.wait_enrolled([pod for pod, _ in started])
    assert all(meshed(pod) for pod, _ in started)
    for pod, _ in started:
        lab.delete(pod)
