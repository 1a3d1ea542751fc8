"""Two nodes of one cluster: an agent each, which knows the other's pods from the API server alone, with no more
privileges than the DaemonSet gives."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.apiserver.running import Running, kubeconfig, running
from tests.clusters import virtual_service
from tests.netns.nodes import NodeAgent, until

from nodemesh.lab import Lab, LabPod, LabPort, bookinfo

PORT = 9080
URL = f"http://web:{PORT}/"

SUBSETS = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"host": "web", "subsets": [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]},
}


class Cluster:
    """The lab's pods on the nodes `a` and `b`, behind an API server."""

    def __init__(self, lab: Lab, server: Running) -> None:
        self.lab = lab
        self.server = server
        self._nodes: dict[str, str] = {}

    def pod(self, name: str, node: str, **labels: str) -> LabPod:
        made = self.lab.pod(name, labels=labels)
        self._nodes[name] = node
        if "version" in labels:
            arguments = [labels["app"], labels["version"], str(PORT)]
            made.popen([sys.executable, "-IS", bookinfo.__file__, *arguments], stdin=subprocess.DEVNULL)
            made.wait_listening(PORT)
        return made

    def publish(self) -> None:
        """Put the lab's objects on the server, each pod on its node, and the service's endpoints as slices."""
        objects = [data for data in yaml.safe_load_all(self.lab.manifests()) if data]
        objects = [data for data in objects if data["kind"] in ("Namespace", "Service", "Pod")]
        for data in objects:
            if data["kind"] == "Pod":
                data["spec"]["nodeName"] = self._nodes[data["metadata"]["name"]]
        pods = [data for data in objects if data["kind"] == "Pod" and "version" in data["metadata"]["labels"]]
        self.server.call(lambda api: api.apply(*objects, endpoints(pods)))


def endpoints(pods: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": PORT}],
        "endpoints": [
            {
                "addresses": [data["status"]["podIP"]],
                "conditions": {"ready": True},
                "nodeName": data["spec"]["nodeName"],
                "targetRef": {"kind": "Pod", "name": data["metadata"]["name"], "namespace": "default"},
            }
            for data in pods
        ],
    }


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Cluster, dict[str, NodeAgent]]]:
    with running() as server, Lab("cluster") as lab:
        lab.namespace("default", {"nodemesh.io/mesh": "enabled"})  # in a cluster, pods join by their label
        cluster = Cluster(lab, server)
        lab.service("web", ports=[LabPort(PORT, name="http")], selector={"app": "web"})
        cluster.pod("client", "a", app="client")
        cluster.pod("web-v1", "b", app="web", version="v1")
        cluster.pod("web-v2", "b", app="web", version="v2")
        cluster.publish()
        config = kubeconfig(lab.folder / "kubeconfig", server.url)
        agents = {name: NodeAgent(lab, name, config, 15400 + place) for place, name in enumerate("ab")}
        for agent in agents.values():
            until(agent.ready, f"{agent.log} to say that it is ready")
        yield cluster, agents


def versions(pod: LabPod, count: int = 10) -> set[str]:
    answers = pod.request(URL, count=count)
    assert [answer.error or answer.status for answer in answers if answer.status != 200] == []
    return {answer.json()["version"] for answer in answers}


def test_each_agent_enrols_the_pods_of_its_node(nodes):
    cluster, agents = nodes
    assert agents["a"].enrolled() == {"client"}
    assert agents["b"].enrolled() == {"web-v1", "web-v2"}


def test_a_pod_reaches_subsets_of_another_nodes_pods(nodes):
    cluster, agents = nodes
    client = cluster.lab.pods["default/client"]
    assert versions(client, 20) == {"v1", "v2"}
    for version in ("v2", "v1"):
        rule = [{"route": [{"destination": {"host": "web", "subset": version}}]}]
        cluster.server.call(lambda api, rule=rule: api.apply(SUBSETS, virtual_service("web", http=rule)))
        until(lambda version=version: versions(client, 4) == {version}, f"requests to reach {version}")
    cluster.server.call(lambda api: api.delete("VirtualService", "web"))
    until(lambda: versions(client, 10) == {"v1", "v2"}, "the rule to be gone")


def served(cluster: Cluster) -> list[dict[str, Any]]:
    """The pods behind `web`."""
    pods = cluster.server.call(lambda api: api.objects("Pod"))
    return [data for data in pods if "version" in data["metadata"]["labels"]]


def test_the_kernel_heeds_hints_for_nodes_and_zones(nodes):
    cluster, agents = nodes
    client = cluster.lab.pods["default/client"]
    (web,) = [row for row in agents["a"].get("/services") if row["host"].startswith("web.")]
    assert web["ports"][0]["mode"] == "kernel"
    zone = {"topology.kubernetes.io/zone": "east"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": zone}}
    hints = {"v1": {"forNodes": [{"name": "a"}], "forZones": [{"name": "west"}]},
             "v2": {"forNodes": [{"name": "b"}], "forZones": [{"name": "east"}]}}  # fmt: skip

    def hint(*kinds: str) -> None:
        piece = endpoints(served(cluster))
        for entry, version in zip(piece["endpoints"], ("v1", "v2"), strict=True):
            entry["hints"] = {kind: hints[version][kind] for kind in kinds}
        cluster.server.call(lambda api: api.apply(node, piece))

    for kinds, expected in [
        (("forNodes", "forZones"), {"v1"}), (("forZones",), {"v2"}), ((), {"v1", "v2"}),
    ]:  # fmt: skip
        hint(*kinds)
        until(lambda expected=expected: versions(client, 10) == expected, f"hints {kinds} to be heeded")


def test_local_traffic_stays_on_the_node_or_is_refused(nodes):
    cluster, agents = nodes
    client, neighbour = (cluster.lab.pods[f"default/{name}"] for name in ("client", "web-v1"))
    (web,) = [data for data in cluster.server.call(lambda api: api.objects("Service"))
              if data["metadata"]["name"] == "web"]  # fmt: skip
    local = {**web, "spec": {**web["spec"], "internalTrafficPolicy": "Local"}}
    cluster.server.call(lambda api: api.apply(local))
    until(
        lambda: all(answer.error for answer in client.request(URL, count=4)), "the other node's pods to be left alone"
    )
    assert versions(neighbour, 10) == {"v1", "v2"}
    cluster.server.call(lambda api: api.apply(web))
    until(lambda: not any(answer.error for answer in client.request(URL, count=4)), "all pods to be reached again")


def test_a_deleted_pod_of_another_node_gets_no_new_connection(nodes):
    cluster, agents = nodes
    client = cluster.lab.pods["default/client"]
    cluster.server.call(lambda api: api.delete("Pod", "web-v2"))
    remaining = [data for data in cluster.server.call(lambda api: api.objects("Pod"))
                 if data["metadata"]["name"] == "web-v1"]  # fmt: skip
    cluster.server.call(lambda api: api.apply(endpoints(remaining)))
    time.sleep(0.2)
    assert versions(client, 20) == {"v1"}
