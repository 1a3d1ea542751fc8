"""Several clusters, each with a test API server of its own: real processes, real kubeconfigs, curl."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.apiserver.running import Running, kubeconfig, running
from tests.clusters import NODE, endpoint_slice, service
from tests.unit.cli.mesh import Mesh, Upstream, until

from nodemesh.node.child import environment

REVIEWS = "reviews.default.svc.cluster.local"
SYSTEM = "nodemesh-system"


@pytest.fixture
def own() -> Iterator[Running]:
    with running() as made:
        yield made


@pytest.fixture
def west() -> Iterator[Running]:
    with running() as made:
        yield made


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    found = Upstream("here"), Upstream("west")
    yield found
    for upstream in found:
        upstream.close()


def fill(server: Running, name: str, upstream: Upstream | None, **fields: Any) -> None:
    """A service, with one endpoint if there is an upstream."""
    piece = endpoint_slice(name, *([(f"{name}-1", "127.0.0.1")] if upstream is not None else []))
    if upstream is not None:
        piece["ports"] = [{"name": "http", "port": upstream.port}]
    made = service(name, 9080)
    made["spec"] |= fields
    server.call(lambda api: api.apply(made, piece))


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def mesh_config(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "nodemesh.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "mesh"}, "spec": spec}


def secret(name: str, text: bytes, **labels: str) -> dict[str, Any]:
    """As `istioctl create-remote-secret --name NAME` writes it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"istio-remote-secret-{name}",
            "namespace": SYSTEM,
            "labels": {"istio/multiCluster": "true"} | labels,
            "annotations": {"networking.istio.io/cluster": name},
        },
        "data": {name: base64.b64encode(text).decode()},
    }


def access(tmp_path: Path, server: Running, **user: Any) -> bytes:
    return kubeconfig(tmp_path / "access", server.url, user).read_bytes()


def mesh(
    tmp_path: Path, own: Running, *options: str, expose: tuple[str, ...] = ("reviews:9080",), patience: float = 15.0
) -> Mesh:
    (tmp_path / "config").mkdir(exist_ok=True)
    config = kubeconfig(tmp_path / "kubeconfig", own.url)
    return Mesh(
        tmp_path / "config", "--kubeconfig", str(config), "--node", NODE, *options, expose=expose, patience=patience
    )


def answers(agent: Mesh) -> set[str]:
    return {agent.curl("/").body for _ in range(20)}  # chance leaves nobody out


def remotes(agent: Mesh) -> dict[str, tuple[str, str]]:
    """State and error by name."""
    return {row["name"]: (row["state"], row["error"]) for row in agent.api("/status")["cluster"]["remotes"]}


def told(agent: Mesh, *arguments: str) -> str:
    """What the command says."""
    command = [sys.executable, "-m", "nodemesh", *arguments, "--admin", agent.admin]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_service_of_two_clusters_is_one_and_the_lost_one_s_state_stays(tmp_path, own, west, upstreams):
    here, there = upstreams
    fill(own, "reviews", here)
    fill(west, "reviews", there)
    file = tmp_path / "west.kubeconfig"
    kubeconfig(file, west.url)
    options = ("--remote", f"west={file}", "--cluster", "east", "--state-dir", str(tmp_path / "state"))
    with mesh(tmp_path, own, *options) as agent:
        until(lambda: answers(agent) == {"here", "west"})
        rows = {row["cluster"]: row for row in agent.api("/endpoints") if row["service"] == REVIEWS}
        assert rows.keys() == {"east", "west"}
        assert remotes(agent) == {"west": ("synced", "")}
        assert agent.metric("nodemesh_remote_cluster_synced", cluster="west") == 1
        until(lambda: (tmp_path / "state" / "clusters" / "west.msgpack").exists())
        west.stop()
        until(lambda: remotes(agent)["west"][0] == "lost")
        assert answers(agent) == {"here", "west"}, "what was known of it serves on"
        os.kill(agent.children()["control"], signal.SIGKILL)
        until(lambda: agent.ready() and remotes(agent)["west"][0] == "from disk", 30)
        assert answers(agent) == {"here", "west"}, "also after a restart"
        west.start()
        west.call(lambda api: api.delete("EndpointSlice", "reviews-x1"))
        until(lambda: answers(agent) == {"here"}, 60)
        until(lambda: remotes(agent) == {"west": ("synced", "")}, 60)


def test_secrets_add_change_and_remove_clusters_live(tmp_path, own, west, upstreams):
    here, there = upstreams
    fill(own, "reviews", here)
    fill(west, "reviews", there)
    text = access(tmp_path, west)
    with mesh(tmp_path, own, "--remote-secrets", "--state-dir", str(tmp_path / "state")) as agent:
        assert answers(agent) == {"here"} and remotes(agent) == {}
        own.call(lambda api: api.apply(secret("unlabelled", text, **{"istio/multiCluster": "false"})))
        own.call(lambda api: api.apply(secret("west", text)))
        until(lambda: answers(agent) == {"here", "west"})
        assert remotes(agent) == {"west": ("synced", "")}
        west.call(lambda api: setattr(api.faults, "token", "first"))
        own.call(lambda api: api.apply(secret("west", access(tmp_path, west, token="first"))))
        west.call(lambda api: (api.cut(), api.delete("EndpointSlice", "reviews-x1")))
        until(lambda: answers(agent) == {"here"}, 30)
        fill(west, "reviews", there)
        until(lambda: answers(agent) == {"here", "west"}, 30)
        own.call(lambda api: api.delete("Secret", "istio-remote-secret-west", SYSTEM))
        until(lambda: answers(agent) == {"here"} and remotes(agent) == {})
        assert not list((tmp_path / "state" / "clusters").glob("*.msgpack"))


def test_a_node_that_boots_without_any_api_server_knows_every_cluster(tmp_path, own, west, upstreams):
    here, there = upstreams
    fill(own, "reviews", here)
    fill(west, "reviews", there)
    own.call(lambda api: api.apply(secret("west", access(tmp_path, west))))
    state = tmp_path / "state"
    options = ("--remote-secrets", "--state-dir", str(state))
    with mesh(tmp_path, own, *options) as agent:
        until(lambda: answers(agent) == {"here", "west"})
        until(lambda: (state / "cluster.msgpack").exists() and (state / "clusters" / "west.msgpack").exists())
    own.stop()
    west.stop()
    with mesh(tmp_path, own, *options, patience=40) as agent:
        assert answers(agent) == {"here", "west"} and remotes(agent)["west"] == ("from disk", "")
        own.call(lambda api: api.delete("Secret", "istio-remote-secret-west", SYSTEM))
        own.start()
        until(lambda: "west" not in remotes(agent) and not list((state / "clusters").glob("*.msgpack")), 60)
        until(lambda: answers(agent) == {"here"})
    assert b"server" not in (state / "cluster.msgpack").read_bytes(), "kubeconfigs are not kept"


def test_a_secret_runs_no_program_and_reads_no_file(tmp_path, own, west, upstreams):
    """And where it is refused, what it said before stays in force."""
    here, there = upstreams
    fill(own, "reviews", here)
    fill(west, "reviews", there)
    proof = tmp_path / "it-ran"
    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable,
                       "args": ["-c", f"open({str(proof)!r}, 'w')"], "interactiveMode": "Never"}}  # fmt: skip
    with mesh(tmp_path, own, "--remote-secrets") as agent:
        own.call(lambda api: api.apply(secret("west", access(tmp_path, west))))
        until(lambda: answers(agent) == {"here", "west"})
        own.call(lambda api: api.apply(secret("west", access(tmp_path, west, **plugin))))
        until(lambda: any("exec is not accepted" in row["error"] for row in agent.api("/status")["cluster"]["remotes"]))
        own.call(lambda api: api.apply(secret("reader", access(tmp_path, west, tokenFile="/etc/passwd"))))
        until(lambda: "tokenFile is not accepted" in remotes(agent).get("reader", ("", ""))[1])
        assert answers(agent) == {"here", "west"} and not proof.exists()
        assert "REFUSED" in told(agent, "status").upper()


def test_a_service_of_another_cluster_alone_is_known_by_its_name(tmp_path, own, west, upstreams):
    fill(west, "ratings", upstreams[1], clusterIP="10.96.0.77")
    fill(west, "taken", None, clusterIP="10.96.0.10")
    fill(own, "reviews", upstreams[0])  # has 10.96.0.10 here
    fill(west, "dns", upstreams[1], clusterIP="10.96.0.78")
    shared = service("dns", 9080)
    shared["metadata"]["namespace"] = "kube-system"
    west.call(lambda api: api.apply(shared))
    file = kubeconfig(tmp_path / "west.kubeconfig", west.url)
    with mesh(tmp_path, own, "--remote", f"west={file}", expose=("ratings.default:9080",)) as agent:
        until(lambda: agent.curl("/", name="ratings.default:9080") == (200, "west"))
        rows = {row["host"]: row for row in agent.api("/services")}
        assert rows["ratings.default.svc.cluster.local"]["addresses"] == ["10.96.0.77"]
        assert rows["taken.default.svc.cluster.local"]["addresses"] == [], "here that address is another service's"
        assert "dns.default.svc.cluster.local" in rows and "dns.kube-system.svc.cluster.local" not in rows


def test_another_network_is_reached_through_its_gateway(tmp_path, own, west, upstreams):
    here, gateway = upstreams
    own.call(lambda api: api.apply(namespace("istio-system", **{"topology.istio.io/network": "net-east"})))
    west.call(lambda api: api.apply(namespace("istio-system", **{"topology.istio.io/network": "net-west"})))
    fill(own, "reviews", here)
    west.call(lambda api: api.apply(service("reviews", 9080), endpoint_slice("reviews", *(
        (f"reviews-{number}", f"192.0.2.{number}") for number in range(1, 4)))))  # fmt: skip
    file = kubeconfig(tmp_path / "west.kubeconfig", west.url)
    with mesh(tmp_path, own, "--remote", f"west={file}") as agent:
        until(lambda: remotes(agent).get("west", ("",))[0] == "synced")
        until(lambda: "net-west" in agent.api("/status")["cluster"]["out_of_reach"])
        assert answers(agent) == {"here"}, "without a gateway what is there is left out"
        assert "networks.net-west.gateways" in told(agent, "status")
        ways = [{"address": "127.0.0.1", "port": gateway.port}]
        own.call(lambda api: api.apply(mesh_config(networks={"net-west": {"gateways": ways}})))
        until(lambda: answers(agent) == {"here", "west"})
        assert agent.api("/status")["cluster"]["out_of_reach"] == {}
        answer = json.loads(
            told(agent, "explain", "GET", "http://reviews:9080/", "--as", "default", "--format", "json")
        )
        assert [(row["address"], row["port"]) for row in answer["destinations"][0]["endpoints"]] == [
            ("127.0.0.1", here.port),
            ("127.0.0.1", gateway.port),
        ]


def test_localities_of_another_cluster_count(tmp_path, own, west, upstreams):
    """Failover by region: what is in the client's own comes first, whichever cluster it is of."""
    here, there = upstreams
    for server, region in ((own, "far"), (west, "near")):
        labels = {"topology.kubernetes.io/region": region}
        server.call(lambda api, labels=labels: api.apply(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-b", "labels": labels}}))  # fmt: skip
    client = yaml.safe_load("""
      apiVersion: v1
      kind: Pod
      metadata: {name: client, namespace: default, labels: {istio-locality: near}}
      spec: {nodeName: node-a, containers: []}
      status: {phase: Running, podIP: 10.2.0.1}
    """)
    rule = yaml.safe_load("""
      apiVersion: networking.istio.io/v1
      kind: DestinationRule
      metadata: {name: reviews, namespace: default}
      spec:
        host: reviews
        trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}
    """)
    own.call(lambda api: api.apply(client, rule))
    for server, upstream in ((own, here), (west, there)):
        fill(server, "reviews", upstream)
        piece = endpoint_slice("reviews", ("reviews-1", "127.0.0.1"))
        piece["ports"] = [{"name": "http", "port": upstream.port}]
        piece["endpoints"][0]["nodeName"] = "node-b"
        server.call(lambda api, piece=piece: api.apply(piece))
    file = kubeconfig(tmp_path / "west.kubeconfig", west.url)
    with mesh(tmp_path, own, "--remote", f"west={file}") as agent:
        assert until(lambda: answers(agent) == {"west"}), "the near region's alone"
        piece = {**piece, "endpoints": [{**piece["endpoints"][0], "conditions": {"ready": False}}]}
        west.call(lambda api: api.apply(piece))
        assert until(lambda: answers(agent) == {"here"}), "the far one, when the near one is not ready"
