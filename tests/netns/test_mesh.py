"""The whole in the lab: a pod that knows nothing of the mesh dials a service, and the rules decide who answers."""

import os
import signal
import threading

from tests.netns.mesh import MESH, PORT, running_mesh

URL = f"http://web:{PORT}/"

RULES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: default}
spec:
  host: web
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
    - {name: v3, labels: {version: v3}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http:
    - match: [{headers: {end-user: {exact: jason}}}]
      route: [{destination: {host: web, subset: v2}}]
    - route: [{destination: {host: web, subset: SUBSET}}]
"""


def versions(answers):
    assert [answer.error or answer.status for answer in answers if answer.status != 200] == []
    return {answer.json()["version"] for answer in answers}


def test_rules_decide_who_answers(mesh, pod):
    assert versions(pod.request(URL, count=20)) == {"v1", "v2"}
    mesh.apply(RULES.replace("SUBSET", "v1"))
    assert versions(pod.request(URL, count=20)) == {"v1"}
    assert versions(pod.request(URL, count=20, headers={"End-User": "jason"})) == {"v2"}
    mesh.agent.withdraw()
    assert versions(pod.request(URL, count=20)) == {"v1", "v2"}


def test_rules_hold_whichever_address_is_dialled(mesh, pod):
    mesh.apply(RULES.replace("SUBSET", "v1"))
    v4, v6 = mesh.lab.services["default/web"].addresses
    for host in (v4, f"[{v6}]", "web.default.svc.cluster.local"):
        assert versions(pod.request(f"http://{host}:{PORT}/", count=10)) == {"v1"}, host


def test_an_upstream_sees_the_clients_own_address(mesh, pod):
    mesh.apply(RULES.replace("SUBSET", "v1"))
    server = mesh.lab.pods["default/web-v1"]
    listener = "import socket\ns = socket.create_server(('', 7000))\nprint('up', flush=True)\nprint(s.accept()[1][0])"
    process = server.popen(["python3", "-c", listener], stdout=-1, text=True)
    assert process.stdout.readline() == "up\n"
    mesh.lab.service("tap", ports=[7000], selector={"app": "web", "version": "v1"})
    mesh.settle()
    pod.request("http://tap:7000/", timeout=2)
    assert process.communicate(timeout=10)[0].strip() == pod.ip


def test_pods_come_and_go_while_requests_flow(mesh, pod):
    mesh.apply(RULES.replace("SUBSET", "v3"))
    assert {answer.status for answer in pod.request(URL)} == {503}, "nobody stands behind v3 yet"
    server = mesh.server("web", "v3")
    mesh.settle()
    assert versions(pod.request(URL, count=5)) == {"v3"}
    client = mesh.lab.pod("newcomer")
    mesh.settle()
    assert versions(client.request(URL, count=5)) == {"v3"}, "a pod that comes later is in the mesh as well"
    mesh.lab.delete(server)
    mesh.settle()
    assert {answer.status for answer in pod.request(URL)} == {503}


def test_a_pod_that_opts_out_is_left_alone(mesh):
    mesh.apply(RULES.replace("SUBSET", "v1"))
    outsider = mesh.lab.pod("outsider", annotations={MESH: "disabled"})
    mesh.agent.wait_for(lambda: any(row["name"] == "outsider" for row in mesh.agent.get("/pods")), "the pod to be seen")
    assert versions(outsider.request(URL, count=10)) == {"v1", "v2"}
    mesh.lab.delete(outsider)


def test_a_killed_worker_costs_its_own_connections_and_no_others():
    with running_mesh("worker") as mesh:
        mesh.lab.service("web", ports=[PORT], selector={"app": "web"})
        for version in ("v1", "v2"):
            mesh.server("web", version)
        client = mesh.lab.pod("client")
        mesh.settle()
        mesh.apply(RULES.replace("SUBSET", "v1"))
        answers = []
        traffic = threading.Thread(target=lambda: answers.extend(client.request(URL, duration=2.0, timeout=5)))
        traffic.start()
        first = mesh.agent.get("/status")["workers"][0]["pid"]
        os.kill(first, signal.SIGKILL)
        traffic.join()
        mesh.agent.wait_for(mesh.agent.ready, "the worker to be replaced")
        failed = [answer for answer in answers if answer.status != 200]
        assert len(failed) <= 1, "requests come one at a time, so one connection at most was the worker's"
        assert versions(client.request(URL, count=10)) == {"v1"}
        assert first not in [worker["pid"] for worker in mesh.agent.get("/status")["workers"]]


def test_an_agent_that_is_told_to_stop_leaves_nothing_in_the_kernel():
    with running_mesh("stop") as mesh:
        mesh.lab.service("web", ports=[PORT], selector={"app": "web"})
        for version in ("v1", "v2"):
            mesh.server("web", version)
        client = mesh.lab.pod("client")
        mesh.settle()
        mesh.apply(RULES.replace("SUBSET", "v1"))
        assert versions(client.request(URL, count=10)) == {"v1"}
        assert attached(client) != []
        assert mesh.agent.stop() == 0
        assert attached(client) == [] and mesh.agent.pids() == []
        assert versions(client.request(URL, count=10)) == {"v1", "v2"}, "direct, without rules"


def attached(pod):
    """The programs at the pod's cgroup, as bpftool prints them."""
    shown = pod.run(["bpftool", "cgroup", "show", pod.cgroup.parent]).stdout
    return shown.splitlines()[1:]
