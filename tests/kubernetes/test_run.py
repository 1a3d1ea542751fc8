"""`nodemesh run --kubernetes` from outside: real processes, a test API server, curl."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from tests.apiserver.running import Running, kubeconfig, running
from tests.clusters import NODE, endpoint_slice, pod, service, virtual_service
from tests.unit.cli.mesh import Mesh, Upstream, until

V1, V2 = (
    {"route": [{"destination": {"host": "reviews", "subset": version}}], "retries": {"attempts": 0}}
    for version in ("v1", "v2")
)
SUBSETS = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "reviews", "namespace": "default"},
    "spec": {
        "host": "reviews",
        "subsets": [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")],
    },
}


@pytest.fixture
def upstreams():
    found = Upstream("v1"), Upstream("v2")
    yield found
    for upstream in found:
        upstream.close()


@pytest.fixture
def server():
    with running() as made:
        yield made


def slices(*upstreams: Upstream) -> list[dict]:
    """A slice for each upstream, since their ports differ."""
    found = []
    for upstream in upstreams:
        piece = endpoint_slice("reviews", (f"reviews-{upstream.name}", "127.0.0.1"))
        piece["metadata"]["name"] = f"reviews-{upstream.name}"
        piece["ports"] = [{"name": "http", "port": upstream.port}]
        found.append(piece)
    return found


def fill(server: Running, *upstreams: Upstream) -> None:
    objects = [service("reviews", 9080), *slices(*upstreams), SUBSETS, virtual_service("reviews", http=[V1])]
    objects += [pod(f"reviews-{upstream.name}", version=upstream.name) for upstream in upstreams]
    server.call(lambda api: api.apply(*objects))


def mesh(tmp_path: Path, server: Running, *options: str, user: dict | None = None) -> Mesh:
    (tmp_path / "config").mkdir(exist_ok=True)
    config = kubeconfig(tmp_path / "kubeconfig", server.url, user)
    return Mesh(tmp_path / "config", "--kubeconfig", str(config), "--node", NODE, *options)


def test_rules_of_the_cluster_apply_and_follow(tmp_path, server, upstreams):
    fill(server, *upstreams)
    with mesh(tmp_path, server) as agent:
        assert agent.curl("/") == (200, "v1")  # by the label of a remote pod
        server.call(lambda api: api.apply(virtual_service("reviews", http=[V2])))
        until(lambda: agent.curl("/") == (200, "v2"))
        server.call(lambda api: api.apply(virtual_service("reviews", httpp=[V1])))
        until(lambda: agent.api("/status")["config"]["error"])
        assert "httpp" in agent.api("/status")["config"]["error"]
        assert agent.curl("/") == (200, "v2")
        assert agent.metric("nodemesh_refused_objects", kind="VirtualService", namespace="default") == 1
        until(lambda: server.call(lambda api: [event["regarding"]["name"] for event in api.objects("Event")]))
        rows = {row["name"]: row for row in agent.api("/status")["cluster"]["resources"]}
        assert rows["virtualservices"]["phase"] == "watching" and rows["services"]["objects"] == 1


def test_an_annotation_has_a_candidate_tried_until_it_goes(tmp_path, server, upstreams):
    """As `kubectl annotate` writes it: the object's spec stays what it is, and in force."""
    fill(server, *upstreams)
    live = virtual_service("reviews", http=[V1])
    annotated = virtual_service("reviews", http=[V1])
    spec = json.dumps({**live["spec"], "http": [V2]})
    annotated["metadata"]["annotations"] = {"nodemesh.io/candidate": spec}
    with mesh(tmp_path, server) as agent:
        server.call(lambda api: api.apply(annotated))
        until(lambda: agent.api("/shadow")["on"])
        assert [agent.curl("/") for _ in range(3)] == [(200, "v1")] * 3
        shadow = agent.api("/shadow?explain=1")
        assert (shadow["objects"], shadow["differing"]) == (["VirtualService default/reviews"], 3)
        assert shadow["rows"][0]["candidate"]["to"] == "reviews v2"
        assert agent.metric("nodemesh_shadow_differing_total") == 3
        broken = virtual_service("reviews", http=[V1])
        broken["metadata"]["annotations"] = {"nodemesh.io/candidate": spec.replace("route", "rout")}
        server.call(lambda api: api.apply(broken))
        until(lambda: not agent.api("/shadow")["on"])
        until(lambda: "bad-candidate" in [row["code"] for row in agent.api("/config/problems")])
        server.call(lambda api: api.apply(live))
        until(lambda: "bad-candidate" not in [row["code"] for row in agent.api("/config/problems")], 60)
        assert agent.curl("/") == (200, "v1")


def test_a_deleted_pod_gets_no_new_request_after_200_ms(tmp_path, server, upstreams):
    fill(server, *upstreams)
    server.call(lambda api: api.delete("VirtualService", "reviews"))
    with mesh(tmp_path, server) as agent:
        until(lambda: {agent.curl("/").body for _ in range(4)} == {"v1", "v2"})
        server.call(lambda api: (api.delete("EndpointSlice", "reviews-v1"), api.delete("Pod", "reviews-v1")))
        time.sleep(0.2)
        assert {agent.curl("/") for _ in range(10)} == {(200, "v2")}


def test_an_outage_changes_nothing_and_what_happened_meanwhile_follows(tmp_path, server, upstreams):
    fill(server, *upstreams)
    with mesh(tmp_path, server) as agent:
        server.stop()
        assert agent.curl("/") == (200, "v1")
        until(lambda: any(row["error"] for row in agent.api("/status")["cluster"]["resources"]))
        server.call(lambda api: (api.apply(virtual_service("reviews", http=[V2])), api.etcd.compact()))
        assert agent.curl("/") == (200, "v1") and agent.ready()
        until(lambda: agent.api("/status")["cluster"]["lost_since"])
        assert agent.api("/status")["cluster"]["lost_why"]
        until(lambda: agent.metric("nodemesh_api_server_silent_seconds") > 3)
        server.start()
        until(lambda: agent.curl("/") == (200, "v2"), 60)
        until(lambda: "the API server answers again" in agent.log())
        assert agent.log().count("the API server does not answer; what is known serves on") == 1
        assert not agent.api("/status")["cluster"]["lost_since"]
        assert agent.metric("nodemesh_api_server_silent_seconds") < 60


def test_changes_make_nobody_unready(tmp_path, server, upstreams):
    """Tables on their way are no reason: who served before serves on."""
    fill(server, *upstreams)
    with mesh(tmp_path, server) as agent:
        until(lambda: agent.curl("/") == (200, "v1"))

        def moved(before: int) -> bool:
            assert agent.ready()
            return agent.api("/status")["tables"]["version"] != before

        for number in range(10):
            before = agent.api("/status")["tables"]["version"]
            rule = V1 if number % 2 else V2
            server.call(lambda api, rule=rule: api.apply(virtual_service("reviews", http=[rule])))
            until(lambda before=before: moved(before))
        assert "not ready" not in agent.log()


def test_control_finds_the_cluster_again_after_its_death(tmp_path, server, upstreams):
    fill(server, *upstreams)
    with mesh(tmp_path, server, "--state-dir", str(tmp_path / "state")) as agent:
        until(lambda: (tmp_path / "state" / "cluster.msgpack").exists())
        server.stop()
        os.kill(agent.children()["control"], signal.SIGKILL)
        until(lambda: agent.api("/status")["cluster"]["from_disk"] if agent.ready() else False, 30)
        assert agent.curl("/") == (200, "v1")


@pytest.mark.parametrize("expires", ["", "2026-01-01T00:00:00Z"])
def test_tokens_of_an_exec_plugin_are_renewed(tmp_path, server, upstreams, expires):
    """When they have expired, and when the server says that they have."""
    fill(server, *upstreams)
    token = tmp_path / "token"
    token.write_text("first")
    server.call(lambda api: setattr(api.faults, "token", "first"))
    version = "client.authentication.k8s.io/v1"
    plugin = f"""
import json
status = {{"token": open({str(token)!r}).read(), **({{"expirationTimestamp": {expires!r}}} if {expires!r} else {{}})}}
print(json.dumps({{"apiVersion": {version!r}, "kind": "ExecCredential", "status": status}}))
"""
    user = {
        "exec": {
            "apiVersion": version,
            "command": sys.executable,
            "args": ["-c", plugin],
            "interactiveMode": "Never",
        }
    }
    with mesh(tmp_path, server, user=user) as agent:
        assert agent.curl("/") == (200, "v1")
        token.write_text("second")
        server.call(lambda api: (setattr(api.faults, "token", "second"), api.cut()))
        server.call(lambda api: api.apply(virtual_service("reviews", http=[V2])))
        until(lambda: agent.curl("/") == (200, "v2"))


def test_a_missing_kubeconfig_is_told_at_once(tmp_path, server):
    (tmp_path / "config").mkdir()
    agent = Mesh(tmp_path / "config", "--kubeconfig", str(tmp_path / "none"))
    with pytest.raises(AssertionError):
        agent.__enter__()
    assert f"there is no kubeconfig at {tmp_path / 'none'}" in agent.log()
    assert json.dumps(agent.log()).count("\\n") == 1
