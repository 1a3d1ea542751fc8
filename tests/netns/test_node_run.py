"""The agent on a node with pods: real eBPF, real processes, killed in every way."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.netns.test_datapath_lifecycle import NONE, programs_at

from nodemesh.datapath.attach import attached
from nodemesh.datapath.maps import LAYOUT
from nodemesh.datapath.pins import Pins
from nodemesh.lab import Lab, LabPod
from nodemesh.lab.agent import Agent
from nodemesh.node.child import environment

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    def do_GET(self):
        body = (sys.argv[1] + ' ' + self.client_address[0]).encode()
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(('0.0.0.0', 80), Handler).serve_forever()
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


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("run") as made:
        server = made.pod("web-1", labels={"app": "web"}, ports={"http": 80})
        server.popen(["python3", "-c", SERVER, "web-1"])
        server.wait_listening(80)
        made.service("web", ports=[80], selector={"app": "web"})
        yield made


@pytest.fixture
def client(lab: Lab) -> LabPod:
    return lab.pod("client", labels={"app": "client"})


@pytest.fixture
def agent(lab: Lab, client: LabPod) -> Iterator[Agent]:
    made = Agent(lab)
    made.apply(RULES, "rules")
    made.start()
    made.wait_enrolled(lab.pods.values())
    yield made
    made.stop()


def test_requests_are_routed_and_keep_the_pods_address(lab, client, agent):
    assert client.request("http://web/teapot")[0].status == 418
    assert client.request("http://web/")[0].body == f"web-1 {client.ip}"


def process(agent: Agent, module: str) -> int:
    """The pid of the agent's process that runs this module; 0 if there is none just now: no pid to signal."""
    for pid in agent.pids():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"nodemesh.node.{module}".encode() in command:
            return pid
    return 0


class Load:
    """Requests from a pod in the background while something is done to the agent."""

    def __init__(self, pod: LabPod, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._answers = self._pool.submit(pod.request, "http://web/", duration=seconds, concurrency=4, timeout=5.0)

    def failures(self) -> list[str]:
        """Everything but a 200, once the time is over."""
        answers = self._answers.result()
        self._pool.shutdown()
        assert len(answers) > 100
        return [answer.error or str(answer.status) for answer in answers if answer.status != 200]


def test_a_pod_that_comes_later_works_from_its_first_request_and_is_enrolled(lab, agent):
    """RC-04, RC-18."""
    late = lab.pod("late")
    assert late.request("http://web/")[0].status == 200
    agent.wait_enrolled([late])
    assert late.request("http://web/teapot")[0].status == 418


def test_a_pod_that_restarts_under_the_same_name_is_enrolled_anew(lab, client, agent):
    lab.delete(client)
    again = lab.pod("client", labels={"app": "client"})
    agent.wait_enrolled([again])
    until(lambda: again.request("http://web/teapot")[0].status == 418)
    assert {link.pod for link in attached(Pins(lab.bpffs, LAYOUT))} == {pod.record.uid for pod in lab.pods.values()}


def test_every_pod_is_listed_as_enrolled_or_exactly_why_not(lab, agent):
    """RC-26."""
    lab.pod("aloof", annotations={"nodemesh.io/mesh": "disabled"})
    rows = until(lambda: {row["name"]: row for row in agent.get("/pods")} if len(agent.get("/pods")) == 3 else None)
    assert rows["aloof"]["why_not"] == "the pod opts out (nodemesh.io/mesh: disabled)"
    assert [rows[name]["enrolled"] for name in ("aloof", "client", "web-1")] == [False, True, True]


def test_a_pod_that_cannot_be_served_is_named_and_stops_neither_the_node_nor_an_upgrade(lab, client, agent):
    """RC-25, RC-26."""
    ports = ",".join(map(str, range(1, 301)))
    lab.pod("tenant", annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": ports})
    until(lambda: "default/tenant" in {f"{row['namespace']}/{row['name']}" for row in agent.get("/pods")})
    agent.upgrade()
    assert agent.get("/readyz") == {"ready": True, "missing": []}
    (line,) = agent.get("/status")["pods_not_served"]
    assert line.startswith("default/tenant: the pod's annotations")
    with urllib.request.urlopen(f"http://{agent.admin}/metrics", timeout=10) as page:
        assert b'nodemesh_pod_not_served{name="tenant",namespace="default"} 1.0' in page.read()
    (answer,) = client.request("http://web/teapot")
    assert answer.status == 418


def test_control_killed_under_load_costs_no_request(client, agent):
    """RC-10, RC-13."""
    load = Load(client, 4.0)
    victim = process(agent, "control_process")
    assert victim
    time.sleep(0.5)
    os.kill(victim, signal.SIGKILL)
    until(lambda: process(agent, "control_process") not in (0, victim))
    until(agent.ready)
    assert load.failures() == []
    assert client.request("http://web/teapot")[0].status == 418


def test_all_killed_under_load_pods_reach_each_other_directly_and_the_next_agent_takes_over(lab, client, agent):
    """RC-10, RC-11: what was in flight may fail, nothing else."""
    load = Load(client, 6.0)
    time.sleep(0.5)
    agent.kill()
    killed = time.monotonic()
    until(lambda: client.request("http://web/")[0].status == 200, 5.0)
    assert time.monotonic() - killed < 2.0
    assert client.request("http://web/teapot")[0].status == 200  # nobody is there to make tea
    links = len(attached(Pins(lab.bpffs, LAYOUT)))
    agent.start()
    agent.wait_enrolled(lab.pods.values())
    assert client.request("http://web/teapot")[0].status == 418
    assert len(attached(Pins(lab.bpffs, LAYOUT))) == links
    assert len(load.failures()) <= 4  # one per connection that was open at the kill


def test_an_orderly_end_leaves_nothing_and_costs_no_request(lab, client, agent):
    load = Load(client, 3.0)
    time.sleep(0.5)
    assert agent.stop() == 0
    assert agent.pids() == []
    assert not lab.bpffs.exists()
    assert not (lab.folder / "run").exists()
    assert client.request("http://web/")[0].status == 200
    assert load.failures() == []
    agent.start()


def test_a_namespace_opts_out_and_in_again_live(lab, client, agent):
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {nodemesh.io/mesh: disabled}}\n"
    manifests = lab.manifests_folder
    before = {path: path.read_text() for path in manifests.glob("*.yaml")}
    for path, text in before.items():
        documents = [part for part in text.split("\n---\n") if "kind: Namespace" not in part]
        path.write_text("\n---\n".join([namespace, *documents]))
    until(lambda: not any(row["enrolled"] for row in agent.get("/pods")))
    assert client.request("http://web/teapot")[0].status == 200
    for path, text in before.items():
        path.write_text(text)
    agent.wait_enrolled([client])
    assert client.request("http://web/teapot")[0].status == 418


def test_a_service_without_rules_is_balanced_by_the_kernel_and_counted(lab, client, agent):
    agent.withdraw("rules")
    (port,) = agent.get("/services")[0]["ports"]
    assert port["mode"] == "kernel", port
    assert client.request("http://web/", count=5)[-1].status == 200

    def counted() -> bool:
        edges = agent.get("/graph")["edges"]
        return any(edge["protocol"] == "tcp" and edge["requests"] == 5 and edge["sent"] > 0 for edge in edges)

    until(counted)
    with urllib.request.urlopen(f"http://{agent.admin}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    assert 'nodemesh_kernel_events_total{hook="connect4",reason="balanced"}' in page


def test_an_upgrade_under_load_costs_no_request_and_hooks_stay_single(lab, client, agent):
    """RC-11, RC-12."""
    links = attached(Pins(lab.bpffs, LAYOUT))
    before = set(agent.pids())
    load = Load(client, 5.0)
    time.sleep(0.5)
    with agent.log.open("ab") as log:
        command = [sys.executable, "-m", "nodemesh", *agent.arguments, "--replace"]
        successor = agent._place.popen(command, env=environment(), stdout=log, stderr=log)
    try:
        until(lambda: not before & set(agent.pids()))
        until(agent.ready)
        assert load.failures() == []
        assert client.request("http://web/teapot")[0].status == 418
        assert len(attached(Pins(lab.bpffs, LAYOUT))) == len(links)
    finally:
        successor.terminate()
        successor.wait(20)
    assert not lab.bpffs.exists()
    agent.start()  # for the fixture to stop


def test_annotations_include_and_exclude_live(lab, client, agent):
    """traffic.sidecar.istio.io/…, on a pod that runs on."""
    manifests = {path: path.read_text() for path in lab.manifests_folder.glob("*.yaml")}
    annotations = "  annotations:\n    traffic.sidecar.istio.io/{}: '{}'\n"

    def annotate(name: str, value: str) -> None:
        for path, text in manifests.items():
            changed = text.replace("  name: client\n", "  name: client\n" + annotations.format(name, value))
            path.write_text(changed)

    def status() -> int:
        return client.request("http://web/teapot")[0].status

    def capture() -> Any:
        return next(row["capture"] for row in agent.get("/pods") if row["name"] == "client")

    vip = lab.services["default/web"].addresses[0]
    for name, value in (
        ("excludeOutboundPorts", "80"),
        ("excludeOutboundIPRanges", f"{vip}/32"),
        ("includeOutboundIPRanges", "192.0.2.0/24"),
    ):
        assert status() == 418
        annotate(name, value)
        until(lambda: status() == 200)
        assert capture() == {name: value}
        answer = agent.get("/explain?url=http://web/teapot&as=default/client")
        assert (answer["outcome"], answer["mode"]) == ("passthrough", "pass")
        assert name in answer["modeReason"]
        for path, text in manifests.items():
            path.write_text(text)
        until(lambda: status() == 418)
    assert agent.get("/explain?url=http://web/teapot&as=default/client")["outcome"] == "direct_response"


@pytest.mark.parametrize("address", ["web", "{vip}", "{pod}", "127.0.0.1"])
def test_a_pod_reaches_itself(lab, client, agent, address):
    """RC-03: through the proxy by its service's name and address, and by itself."""
    (server,) = (pod for pod in lab.pods.values() if pod.name == "web-1")
    host = address.format(vip=lab.services["default/web"].addresses[0], pod=server.ip)
    source = {"127.0.0.1": "127.0.0.1"}.get(host, server.ip)
    assert server.request(f"http://{host}/", headers={"host": "web"})[0].body == f"web-1 {source}"
    meshed = address in ("web", "{vip}")
    assert server.request(f"http://{host}/teapot", headers={"host": "web"})[0].status == (418 if meshed else 200)


def test_each_service_fails_open_or_closed_as_it_says(lab, client, agent):
    lab.service(
        "strict", ports=[80], selector={"app": "web"},
        annotations={"nodemesh.io/l7": "always", "nodemesh.io/failure-policy": "closed"},
    )  # fmt: skip
    until(lambda: {row["host"].partition(".")[0] for row in agent.get("/services")} == {"web", "strict"})
    assert client.request("http://strict/")[0].status == 200
    agent.kill()
    assert client.request("http://strict/")[0].error.startswith("ConnectionRefusedError")
    assert client.request("http://web/")[0].status == 200
    agent.start()
    assert client.request("http://strict/")[0].status == 200


def test_uninstall_is_refused_while_an_agent_runs_and_leaves_nothing_after_one_that_was_killed(lab, client, agent):
    """RC-11."""

    def uninstall() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nodemesh", "uninstall", "--run-dir", lab.folder / "run", "--bpffs", lab.bpffs]
        return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)

    refused = uninstall()
    assert refused.returncode == 1 and "runs" in refused.stderr
    assert client.request("http://web/teapot")[0].status == 418
    agent.kill()
    assert attached(Pins(lab.bpffs, LAYOUT)) != []
    done = uninstall()
    assert done.returncode == 0 and "detached the hooks of pod" in done.stdout, done.stderr
    assert not lab.bpffs.exists()
    assert not (lab.folder / "run").exists()
    assert [programs_at(pod.cgroup.parent) for pod in lab.pods.values()] == [NONE, NONE]
    assert client.request("http://web/teapot")[0].status == 200
    assert uninstall().stdout == "nothing of nodemesh is here\n"
