"""Two agents of a cluster roll a bad change out: only canaries are hurt, it is taken back, and a new leader goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests.apiserver.running import kubeconfig, running
from tests.clusters import virtual_service
from tests.netns.nodes import NodeAgent, until
from tests.netns.test_cluster import PORT, URL, Cluster

from nodemesh.config.rollout import ROLLOUT
from nodemesh.lab import Lab, LabPod, LabPort
from nodemesh.registry.staging import STATE
from nodemesh.routing.client import Client
from nodemesh.routing.rollouts import share_of
from nodemesh.routing.tables import StagedRollout

CLIENTS = [f"client-{number}" for number in range(6)]


def share(name: str) -> float:
    """A pod's place between 0 and 100 in rollouts of the rule."""
    rule = StagedRollout(id="", kind="VirtualService", key="default/web")
    return share_of(rule, Client(namespace="default", name=name))


#: Two of them are canaries, by a share that lies between.
PLACES = sorted(map(share, CLIENTS))
PERCENT = (PLACES[1] + PLACES[2]) / 2
CANARIES = [name for name in CLIENTS if share(name) < PERCENT]

PLAN = f"{{clients: {PERCENT:.4f}, hold: 10m, maxErrors: 10, minRequests: 20}}"
GOOD: list[dict[str, Any]] = [{"route": [{"destination": {"host": "web"}}], "timeout": "5s"}]
BAD = [{**GOOD[0], "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 100}}}}]


class Mesh:
    def __init__(self, cluster: Cluster, agents: dict[str, NodeAgent]) -> None:
        self.cluster = cluster
        self.agents = agents

    def apply(self, http: list[dict[str, Any]], plan: str = PLAN) -> None:
        made = virtual_service("web", http=http)
        made["metadata"]["annotations"] = {ROLLOUT: plan}
        self.cluster.server.call(lambda api: api.apply(made))

    def remove(self) -> None:
        self.cluster.server.call(lambda api: api.delete("VirtualService", "web"))

    def has_rule(self, name: str) -> bool:
        """Whether an agent has the rule for those that are no canaries."""
        (client,) = others()[:1]
        answer = self.agents[name].get(f"/explain?url=http://web:{PORT}/&as=default/{client}")
        return bool(answer["virtualService"])

    def staged(self) -> bool:
        """Whether the leader has said that all of it is in force."""
        maps = self.cluster.server.call(lambda api: api.objects("ConfigMap"))
        return any(
            '"complete"' in text for data in maps if data["metadata"]["name"] == STATE.name
            for text in data["data"].values()
        )  # fmt: skip

    def phases(self, name: str) -> list[str]:
        return [row["phase"] for row in self.agents[name].get("/status")["rollouts"]]

    def pod(self, name: str) -> LabPod:
        return self.cluster.lab.pods[f"default/{name}"]

    def statuses(self, names: list[str], count: int = 5) -> set[int]:
        return {answer.status for name in names for answer in self.pod(name).request(URL, count=count)}

    def leader(self) -> str:
        leases = self.cluster.server.call(lambda api: api.objects("Lease"))
        return str(leases[0]["spec"]["holderIdentity"]) if leases else ""

    def events(self) -> list[str]:
        return sorted(data["reason"] for data in self.cluster.server.call(lambda api: api.objects("Event")))


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with running() as server, Lab("staged") as lab:
        lab.namespace("default", {"nodemesh.io/mesh": "enabled"})
        cluster = Cluster(lab, server)
        lab.service("web", ports=[LabPort(PORT, name="http")], selector={"app": "web"})
        for name in CLIENTS:
            cluster.pod(name, "a", app="client")
        cluster.pod("web-v1", "b", app="web", version="v1")
        cluster.publish()
        config = kubeconfig(lab.folder / "kubeconfig", server.url)
        found = Mesh(cluster, {})
        found.apply(GOOD)
        for place, name in enumerate("ba"):  # the agent of node b leads
            found.agents[name] = NodeAgent(lab, name, config, 15480 + place)
            until(found.agents[name].ready, f"{found.agents[name].log} to say that it is ready")
            until(found.leader, "somebody to lead")
        assert found.leader() == "b"
        until(lambda: found.statuses(CLIENTS, 1) == {200}, "the clients to be served")
        yield found


def begin(mesh: Mesh) -> None:
    mesh.apply(BAD)
    until(lambda: mesh.phases("a") == mesh.phases("b") == ["canary"], "canaries to have the change")


def others() -> list[str]:
    return [name for name in CLIENTS if name not in CANARIES]


def test_a_bad_change_is_taken_back_and_only_canaries_were_hurt(mesh):
    assert len(CANARIES) == 2
    begin(mesh)
    until(lambda: mesh.statuses(CANARIES, 1) == {500}, "the change to reach the canaries")
    assert mesh.statuses(CANARIES, 30) <= {200, 500}, "60 requests: more than the guard asks for"
    hurt: set[int] = set()

    def taken_back() -> bool:
        hurt.update(mesh.statuses(others(), 1))
        return mesh.phases("a") == mesh.phases("b") == ["back"]

    until(taken_back, "the change to be taken back")
    until(lambda: mesh.statuses(CLIENTS, 1) == {200}, "all to have what was before")
    assert hurt == {200}
    assert mesh.events() == ["RolloutBegan", "RolloutTakenBack"]
    assert "rollout-back" in {row["code"] for row in mesh.agents["a"].get("/config/problems")}
    mesh.apply(GOOD)
    until(lambda: mesh.phases("a") == [], "the object to be mended")


def test_a_killed_leader_changes_nothing(mesh):
    begin(mesh)
    mesh.agents["b"].process.send_signal(signal.SIGKILL)
    mesh.agents["b"].process.wait(10)
    hurt: set[int] = set()

    def taken_back() -> bool:
        mesh.statuses(CANARIES, 5)
        hurt.update(mesh.statuses(others(), 1))
        return mesh.phases("a") == ["back"]

    until(taken_back, "the other agent to lead and to take the change back")
    assert mesh.leader() == "a" and hurt == {200}
    until(lambda: mesh.statuses(CLIENTS, 1) == {200}, "all to have what was before")
    assert mesh.events() == ["RolloutBegan", "RolloutTakenBack"]


def test_a_bad_object_that_is_new_hurts_canaries_alone_and_is_nobodys_then(mesh):
    mesh.apply(GOOD, "disabled")
    until(lambda: not mesh.staged(), "the leader to have forgotten it")
    mesh.remove()
    until(lambda: not mesh.has_rule("a") and not mesh.has_rule("b"), "it to be gone at once")
    begin(mesh)
    until(lambda: mesh.statuses(CANARIES, 1) == {500}, "the new object to reach the canaries")
    hurt: set[int] = set()

    def taken_back() -> bool:
        mesh.statuses(CANARIES, 5)
        hurt.update(mesh.statuses(others(), 1))
        return mesh.phases("a") == mesh.phases("b") == ["back"]

    until(taken_back, "the new object to be taken back")
    until(lambda: mesh.statuses(CLIENTS, 1) == {200}, "all to do without it")
    assert hurt == {200} and not mesh.has_rule("a")


def test_a_removal_reaches_canaries_first_and_is_undone_by_writing_the_object_again(mesh):
    answered: list[dict[str, Any]] = [{"directResponse": {"status": 203}}]
    mesh.apply(answered, "disabled")
    until(lambda: mesh.statuses(CLIENTS, 1) == {203}, "the rule to answer")
    until(lambda: not mesh.staged(), "the leader to have forgotten what was staged before")
    mesh.apply(answered)
    until(mesh.staged, "the leader to know that it is staged")
    mesh.remove()
    until(lambda: mesh.phases("a") == mesh.phases("b") == ["canary"], "canaries to be without it")
    until(lambda: mesh.statuses(CANARIES, 1) == {200}, "canaries to be answered by the service")
    assert mesh.statuses(others(), 2) == {203}
    mesh.apply(answered)
    until(lambda: mesh.phases("a") == mesh.phases("b") == [], "the object to be as it was")
    until(lambda: mesh.statuses(CLIENTS, 1) == {203}, "all to have it")
