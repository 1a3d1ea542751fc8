"""Several nodes seen as one: agents that ask each other, and the commands that find them through the API server."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.apiserver.running import Running, kubeconfig, running
from tests.clusters import pod, service
from tests.kubernetes.test_run import slices
from tests.unit.cli.mesh import Mesh, Upstream, free_port, until

from nodemesh.cli.main import cli
from nodemesh.cli.output import CommandError
from nodemesh.node.child import environment

MANIFESTS = Path(__file__).parents[2] / "manifests" / "agent"
NAMESPACE = "nodemesh-system"
AGENT, VIEWER = "token-of-agents", "token-of-a-person"
#: Where the agents of the nodes are: one port, as a Service has it, at two addresses of the loopback.
NODES = {"node-a": "127.0.0.1", "node-b": "127.0.0.2"}


def documents(name: str) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all((MANIFESTS / name).read_text()) if item]


def slice_of_agents(port: int, nodes: dict[str, str]) -> dict[str, Any]:
    (service,) = documents("service.yaml")
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "agents",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": service["metadata"]["name"]},
        },
        "addressType": "IPv4",
        "ports": [{"name": service["spec"]["ports"][0]["name"], "port": port}],
        "endpoints": [
            {"addresses": [address], "nodeName": node, "conditions": {"ready": True}} for node, address in nodes.items()
        ],
    }


def agent_pod(node: str, port: int) -> dict[str, Any]:
    made = pod(f"agent-of-{node}", node=node)
    made["metadata"] |= {"namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "nodemesh-agent"}}
    made["spec"]["containers"][0]["ports"] = [{"name": "admin", "containerPort": port}]
    return made


class Cluster:
    """Two nodes with an agent each, at an API server that holds everybody to the rights of `manifests/agent`."""

    def __init__(self, server: Running, folder: Path, stack: ExitStack) -> None:
        self.server = server
        self.folder = folder
        self.port = free_port()
        self.upstream = Upstream("v1")
        stack.callback(self.upstream.close)
        person = {"kind": "ServiceAccount", "namespace": "default", "name": "person"}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "person", "namespace": NAMESPACE},
            "roleRef": {"kind": "Role", "name": "nodemesh-viewer"},
            "subjects": [person],
        }
        objects = [*documents("rbac.yaml"), *documents("service.yaml"), binding, service("reviews", 9080)]
        objects += [*slices(self.upstream), pod("reviews-v1", version="v1"), slice_of_agents(self.port, NODES)]
        server.call(lambda api: api.apply(*objects))
        server.call(lambda api: api.accounts.update({AGENT: f"{NAMESPACE}/nodemesh-agent", VIEWER: "default/person"}))
        self.agents = {node: stack.enter_context(self._agent(node)) for node in NODES}
        for node, agent in self.agents.items():
            port = int(agent.admin.partition(":")[2])
            server.call(lambda api, node=node, port=port: api.apply(agent_pod(node, port)))
            self.forward(node, port)
        self.kubeconfig = str(self._login("person", VIEWER))

    def forward(self, node: str, port: int) -> None:
        self.server.call(lambda api: api.forwards.update({(NAMESPACE, f"agent-of-{node}"): ("127.0.0.1", port)}))

    def _login(self, name: str, token: str) -> Path:
        return kubeconfig(self.folder / f"kubeconfig-{name}", self.server.url, {"token": token})

    def _agent(self, node: str) -> Mesh:
        folder = self.folder / node
        (folder / "config").mkdir(parents=True)
        (folder / "token").write_text(AGENT)
        return Mesh(
            folder / "config", "--kubeconfig", str(self._login(node, AGENT)), "--node", node,
            "--peers", f"{NODES[node]}:{self.port}", "--peers-token", str(folder / "token"),
        )  # fmt: skip

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(cli, [*arguments, "--kubeconfig", self.kubeconfig])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with running() as server, ExitStack() as stack:
        yield Cluster(server, tmp_path_factory.mktemp("peers"), stack)


def picture(agent: Mesh, query: str = "&mesh=1") -> dict[str, Any]:
    return agent.api(f"/graph?window=900{query}")


def test_either_agent_shows_what_both_have_seen(cluster):
    for agent in cluster.agents.values():
        until(
            lambda agent=agent: (
                picture(agent)["agents"] == sorted(NODES) or sorted(picture(agent)["agents"]) == sorted(NODES)
            )
        )
    for number, agent in enumerate(cluster.agents.values(), 2):
        for _ in range(number):
            assert agent.curl("/") == (200, "v1")
    for agent in cluster.agents.values():
        until(lambda agent=agent: [edge["requests"] for edge in picture(agent)["edges"]] == [5])
        assert picture(agent)["silent"] == []
    alone = [picture(agent, "")["edges"][0]["requests"] for agent in cluster.agents.values()]
    assert alone == [2, 3]
    rows = cluster.agents["node-a"].api("/decisions?mesh=1")
    assert sorted(row["node"] for row in rows) == ["node-a"] * 2 + ["node-b"] * 3


def test_commands_reach_agents_through_the_api_server(cluster):
    cluster.agents["node-a"].curl("/seen?by=all")
    done = cluster.run("status")
    assert done.exit_code == 0, (done.output, done.exception)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("NODE") and [line.split()[:2] for line in lines[1:]] == [
        ["node-a", "yes"],
        ["node-b", "yes"],
    ]
    done = cluster.run("status", "--node", "node-b")
    assert "node:                node-b" in done.stdout
    done = cluster.run("connections", "--path", "/seen")
    (line,) = [line for line in done.stdout.splitlines() if "GET reviews:9080/seen?…" in line]
    assert line.endswith("node-a")
    assert "GET reviews:9080/seen" not in cluster.run("connections", "--path", "/seen", "--node", "node-b").stdout
    assert "reviews.default.svc.cluster.local" in cluster.run("services").stdout
    assert "default/client" in cluster.run("top").stdout
    assert "outbound|9080||reviews" in cluster.run("explain", "GET", "http://reviews:9080/").stdout
    edges = json.loads(cluster.run("graph", "-o", "json").stdout)["edges"]
    assert sum(edge["requests"] for edge in edges) >= 1


def test_the_page_is_served_by_way_of_the_api_server(cluster):
    command = [sys.executable, "-m", "nodemesh", "ui", "--kubeconfig", cluster.kubeconfig, "--node", "node-b"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"nodemesh" in answer.read()
        with urllib.request.urlopen(f"{url}status", timeout=10) as answer:
            assert json.loads(answer.read())["node"] == "node-b"
        events = urllib.request.urlopen(f"{url}graph/live?window=60", timeout=10)
        assert events.readline().startswith(b"data: {")
    finally:
        process.terminate()
        process.wait(10)


def test_why_an_agent_cannot_be_reached_is_one_sentence(cluster):
    for arguments, said in (
        (("--node", "node-c"), "no agent runs on node node-c; "),
        (("--kubeconfig", str(cluster.folder / "none")), "there is no kubeconfig at"),
    ):
        done = CliRunner().invoke(cli, ["services", "--kubeconfig", cluster.kubeconfig, *arguments])
        assert isinstance(done.exception, CommandError) and said in str(done.exception)
    port = int(cluster.agents["node-b"].admin.partition(":")[2])
    cluster.server.call(lambda api: api.forwards.pop((NAMESPACE, "agent-of-node-b")))
    done = cluster.run("services", "--node", "node-b")
    assert isinstance(done.exception, CommandError) and "connection refused" in str(done.exception)
    cluster.forward("node-b", port)
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    (viewer,) = [item for item in documents("rbac.yaml") if item["metadata"]["name"] == "nodemesh-viewer"]
    rules = [{**rule, "verbs": [verb for verb in rule["verbs"] if verb != "create"]} for rule in viewer["rules"]]
    cluster.server.call(lambda api: api.apply({**viewer, **role, "rules": rules}))
    done = cluster.run("services")
    assert isinstance(done.exception, CommandError) and "bind the Role nodemesh-viewer" in str(done.exception)
    cluster.server.call(lambda api: api.apply(viewer))


@contextmanager
def asking(cluster: Cluster, source: str, node: str = "node-a") -> Iterator[ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection((NODES[node], cluster.port), 5, source_address=(source, 0))
    with context.wrap_socket(raw) as connection:
        yield connection


def answer(cluster: Cluster, token: str, path: str = "/flows") -> int:
    with asking(cluster, "127.0.0.1") as connection:
        field = f"Authorization: Bearer {token}\r\n" if token else ""
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{field}Connection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


def test_nobody_but_an_agent_is_told_anything(cluster):
    assert answer(cluster, AGENT) == 200
    for token in ("", "made-up", VIEWER):
        for path in ("/flows", "/decisions", "/pods", "/agent", "/metrics", "/"):
            assert answer(cluster, token, path) == 403
    assert answer(cluster, AGENT, "/connections") == 404
    with pytest.raises(OSError), asking(cluster, "127.0.0.3"):
        pass  # a tenant's pod: not even a handshake


def test_a_node_whose_agent_is_silent_is_named_and_holds_nobody_up(cluster):
    """One that listens and says nothing, one that is not there."""
    with socket.create_server(("127.0.0.4", cluster.port)):
        nodes = {**NODES, "node-mute": "127.0.0.4", "node-gone": "127.0.0.5"}
        cluster.server.call(lambda api: api.apply(slice_of_agents(cluster.port, nodes)))
        agent = cluster.agents["node-a"]
        until(lambda: len(picture(agent)["silent"]) == 2)
        found = picture(agent)
        why = {row["node"]: row["why"] for row in found["silent"]}
        assert why["node-mute"] == "no answer within 1 s" and "127.0.0.5" in why["node-gone"]
        assert found["edges"] and sorted(found["agents"]) == sorted(NODES)
        began = time.monotonic()
        with urllib.request.urlopen(f"http://{agent.admin}/decisions?mesh=1", timeout=5) as told:
            assert "node-mute: no answer" in told.headers["Nodemesh-Silent"] and json.loads(told.read())
        assert time.monotonic() - began < 4.0
        done = cluster.run("connections", "--node", "node-a")
        assert done.exit_code == 0 and "not heard" not in done.stderr
        done = cluster.run("connections")
        assert "not heard: node-" in done.stderr and "GET reviews" in done.stdout
        lines = {line.split()[0]: line for line in cluster.run("status").stdout.splitlines()}
        assert "no answer within 1 s" in lines["node-mute"] and " ? " in lines["node-gone"]
    cluster.server.call(lambda api: api.apply(slice_of_agents(cluster.port, NODES)))
    until(lambda: picture(agent)["silent"] == [])


def test_who_counts_as_an_agent_is_the_word_of_the_agents_own_namespace(cluster):
    """A ServiceEntry of a tenant for the same host, with the tenant's address, lets nobody in."""
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "tenant", "namespace": "default"},
        "spec": {
            "hosts": [f"nodemesh-agents.{NAMESPACE}.svc.cluster.local"],
            "ports": [{"number": 15002, "name": "tls-peers", "protocol": "TLS"}],
            "resolution": "STATIC",
            "endpoints": [{"address": "127.0.0.3", "ports": {"tls-peers": cluster.port}}],
        },
    }
    cluster.server.call(lambda api: api.apply(entry))
    agent = cluster.agents["node-a"]
    host = f"nodemesh-agents.{NAMESPACE}.svc.cluster.local"
    until(lambda: [row for row in agent.api("/services") if row["host"] == host and row["namespace"] == "default"])
    with pytest.raises(OSError), asking(cluster, "127.0.0.3"):
        pass
    assert sorted(picture(agent)["agents"]) == sorted(NODES) and picture(agent)["silent"] == []
    cluster.server.call(lambda api: api.delete("ServiceEntry", "tenant"))
