"""No connection goes without rules: agents replaced as by a DaemonSet with surge, and namespaces that fail closed."""

import os
import socket

from tests.clusters import virtual_service
from tests.netns.mesh import PORT, running_mesh
from tests.netns.nodes import NodeAgent, until
from tests.netns.rollouts import rollouts

from nodemesh.datapath.attach import attached
from nodemesh.datapath.maps import LAYOUT
from nodemesh.datapath.namespaces import netns_fd, open_listener
from nodemesh.datapath.pins import Pins
from nodemesh.lab import Lab
from nodemesh.node.bound import kept_here
from nodemesh.node.store import FdStore

MARK = {"headers": {"response": {"set": {"x-ruled": "yes"}}}, "route": [{"destination": {"host": "web"}}]}
WEB = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http: [{headers: {response: {set: {x-ruled: "yes"}}}, route: [{destination: {host: web}}]}]
"""


def test_every_connection_meets_the_rules_while_agents_replace_each_other():
    with rollouts("handover") as cluster:
        cluster.server.call(lambda api: api.apply(virtual_service("web", http=[MARK])))
        until(lambda: cluster.modes()["http"].startswith("proxy: VirtualService"), "the rule to be in force")
        old = cluster.agent
        with cluster.load(requests=200, connections=20, wanted="x-ruled: yes") as found:
            for number in (2, 3):
                new = NodeAgent(cluster.lab, "a", cluster.config, cluster.port, "--replace", name=f"a-{number}")
                until(lambda log=old.log: "waiting to be told to stop" in log.read_text(), "the old one to be replaced")
                until(new.ready, f"{new.log} to say that it is ready")
                assert old.process.poll() is None, "a DaemonSet would start it again"
                assert {row["without_rules"] for row in new.get("/pods") if row["enrolled"]} == {0.0}
                old.process.terminate()
                assert old.process.wait(20) == 0
                old = new
        assert (found["failed"], found["failures"]) == (0, [])
        assert found["done"]["requests"] > 0


def test_pods_of_a_namespace_that_fails_closed_are_refused_after_an_orderly_end():
    with running_mesh("closed") as mesh:
        lab = mesh.lab
        lab.namespace("strict", {"nodemesh.io/failure-policy": "closed"})
        lab.service("web", ports=[PORT], selector={"app": "web"})
        mesh.server("web", "v1")
        strict, free = lab.pod("client", namespace="strict"), lab.pod("client")
        mesh.settle()
        mesh.apply(WEB)
        url = f"http://{lab.services['default/web'].addresses[0]}:{PORT}/"
        answers = [pod.request(url)[0] for pod in (strict, free)]
        assert [answer.headers.get("x-ruled") for answer in answers] == ["yes", "yes"]
        assert mesh.agent.stop() == 0
        assert strict.request(url)[0].error.startswith("ConnectionRefusedError")
        assert free.request(url)[0].status == 200
        assert {one.pod for one in attached(Pins(lab.bpffs, LAYOUT))} == {strict.record.uid}
        mesh.agent.start()
        mesh.agent.wait_enrolled([strict, free])
        assert strict.request(url)[0].headers.get("x-ruled") == "yes"
        gaps = {f"{row['namespace']}/{row['name']}": row["without_rules"] for row in mesh.agent.get("/pods")}
        assert gaps["strict/client"] == 0.0, "it was refused, and never without rules"
        assert gaps["default/client"] > 0.0


def test_a_listener_of_another_network_namespace_is_of_no_use_here():
    """A DaemonSet's next pod has another one, and is asked at its own address."""
    with Lab("elsewhere") as lab:
        there = netns_fd(lab.pod("other").pid)
        store = FdStore()
        store.put("there", open_listener(there, "127.0.0.1", 0).detach())
        store.put("here", socket.create_server(("127.0.0.1", 0)).detach())
        os.close(there)
        assert [kept_here(store, name) for name in ("there", "here", "nowhere")] == [False, True, False]
        store.clear()
