"""In the lab: pods ask under load, by eBPF, and a candidate's shadow counts what the simulator foretells."""

import json
import signal
import subprocess
import sys
from random import Random

from tests.netns.test_node_run import until

from nodemesh.lab import Lab
from nodemesh.lab.agent import Agent
from nodemesh.node.child import environment
from nodemesh.sim import Mesh as Simulated

RULES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: default}
spec:
  host: web
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http:
"""
LIVE = """
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: web, subset: v2}}]
  - route: [{destination: {host: web, subset: v1}}]
"""
CANDIDATE = """
  - match: [{uri: {prefix: /late}}]
    timeout: 3s
    route: [{destination: {host: web, subset: v1}}]
  - route: [{destination: {host: web, subset: v1}}]
"""

SERVER = "import http.server; http.server.ThreadingHTTPServer(('0.0.0.0', 80), http.server.SimpleHTTPRequestHandler)"

#: Asks for all that it is given, over eight connections at a time.
LOAD = """
import http.client, json, sys
from concurrent.futures import ThreadPoolExecutor
asked = json.loads(sys.argv[1])
def work(part):
    connection = http.client.HTTPConnection('web', 80, timeout=20)
    for path, user in part:
        connection.request('HEAD', path, headers={'end-user': user} if user else {})
        connection.getresponse().read()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, [asked[number::8] for number in range(8)]))
"""


def drawn(count: int) -> list[tuple[str, str]]:
    draw = Random(11)
    return [(draw.choice(["/", "/a", "/late?x=1"]), draw.choice(["", "jason", "mary"])) for _ in range(count)]


def foretold(text: str, candidate: str, asked: list[tuple[str, str]]):
    simulated = Simulated(text)
    shadow = simulated.shadow(candidate)
    for path, user in asked:
        simulated.send(f"HEAD http://web{path}", headers={"end-user": user} if user else {})
    return shadow.counts()


def test_under_load_in_pods_it_counts_what_the_simulator_foretells(tmp_path):
    candidate = tmp_path / "candidate.yaml"
    candidate.write_text(RULES + CANDIDATE)
    asked = drawn(400)
    with Lab("shadow") as lab:
        for version in ("v1", "v2"):
            pod = lab.pod(version, labels={"app": "web", "version": version})
            pod.popen(["python3", "-c", f"{SERVER}.serve_forever()"], stderr=subprocess.DEVNULL)
            pod.wait_listening(80)
        lab.service("web", ports=[80], selector={"app": "web"})
        client = lab.pod("client")
        agent = Agent(lab)
        agent.apply(RULES + LIVE, "rules")
        agent.start()
        agent.wait_enrolled(lab.pods.values())
        texts = [path.read_text() for path in sorted(lab.manifests_folder.glob("*.yaml"))]
        expected = foretold("\n---\n".join([*texts, RULES + LIVE]), RULES + CANDIDATE, asked)
        command = [sys.executable, "-m", "nodemesh", "shadow", str(candidate), "--admin", agent.admin, "-o", "json"]
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        until(lambda: agent.get("/shadow")["on"] or process.poll() is not None)
        client.python(LOAD, json.dumps(asked))
        until(lambda: agent.get("/shadow")["requests"] == len(asked))
        process.send_signal(signal.SIGINT)
        found = json.loads(process.communicate(timeout=20)[0])
    assert process.returncode == 3
    assert (found["requests"], found["differing"]) == (expected.requests, expected.differing)
    assert expected.requests == len(asked) and expected.differing > 100
    counts = sorted(row["count"] for row in found["rows"])
    assert counts == sorted(one.count for one in expected.disagreements)
