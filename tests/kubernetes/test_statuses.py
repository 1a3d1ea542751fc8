"""What becomes of Istio's objects is written into their status, by one agent, within its rights."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import yaml
from tests.apiserver.running import kubeconfig, running
from tests.apiserver.server import ApiServer
from tests.clusters import NODE, virtual_service
from tests.kubernetes.test_election import Agent
from tests.kubernetes.test_manifests import MANIFESTS
from tests.unit.cli.mesh import Mesh, until

from nodemesh.config.problems import Problem, Severity
from nodemesh.node import reconciler
from nodemesh.node.election import LEASE_SECONDS, RENEW_SECONDS
from nodemesh.node.managed_gateways import ManagedGateways
from nodemesh.node.routestatuses import RouteStatuses
from nodemesh.node.statuses import StatusWriter
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.sources.api import ApiError

MESH = {
    "apiVersion": "nodemesh.io/v1alpha1",
    "kind": "MeshConfig",
    "metadata": {"name": "mesh"},
    "spec": {"enableStatus": True},
}


class Writer(StatusWriter):
    def __init__(self, follower, name: str = "node-a", chance: float = 0.0) -> None:
        self.agent = Agent(follower, name)
        super().__init__(
            follower.api, follower.source.verdicts, lambda: follower.snapshot.mesh.enable_status,
            self.agent.election, lambda: chance, pace=0.0,
        )  # fmt: skip


def guarded(*folders: str) -> ApiServer:
    """A server that lets its clients do what the manifests allow; tests speak to it as an agent."""
    api = ApiServer()
    for path in ("agent/rbac.yaml", *(f"{folder}/rbac.yaml" for folder in folders)):
        api.apply(*yaml.safe_load_all((MANIFESTS / path).read_text()))
    api.accounts[""] = "nodemesh-system/nodemesh-agent"
    api.apply(virtual_service("bad", htpp=[]), virtual_service("good"), MESH)
    return api


def status(follower, name: str) -> dict:
    (found,) = [item for item in follower.server.objects("VirtualService") if item["metadata"]["name"] == name]
    return found.get("status", {})


def condition(follower, name: str) -> dict:
    (found,) = [item for item in status(follower, name)["conditions"] if item["type"] == "Reconciled"]
    return found


def writes(follower) -> int:
    return sum(row.method == "PUT" and row.path.endswith("/status") for row in follower.server.asked)


async def known(follower) -> None:
    await follower.until(lambda: follower.snapshot.mesh.enable_status and len(list(follower.source.verdicts())) == 3)


def test_both_kinds_of_news_in_istios_form(play):
    async def story(follower):
        await known(follower)
        assert await Writer(follower).write()
        good, bad = condition(follower, "good"), condition(follower, "bad")
        assert (good["status"], good["reason"], good["message"]) == ("True", "Accepted", "in force")
        assert (bad["status"], bad["reason"]) == ("False", "Refused") and "htpp" in bad["message"]
        assert set(good) == {"type", "status", "reason", "message", "lastProbeTime", "lastTransitionTime"}
        assert (
            status(follower, "good")["validationMessages"] == [] and status(follower, "good")["observedGeneration"] == 1
        )
        (told,) = status(follower, "bad")["validationMessages"]
        assert (told["type"]["code"], told["level"]) == ("IST0106", "ERROR")

    play(story, guarded("overlays/status"))


def test_what_waits_for_its_rollout_is_not_said_to_be_in_force(play):
    async def story(follower):
        await known(follower)
        key = ObjectKey("VirtualService", "default", "good", "networking.istio.io")
        problem = Problem(code="rollout-back", message="the change was taken back: because", severity=Severity.WARNING)
        follower.source.held_back = {key: problem}
        writer = Writer(follower)
        assert await writer.write()
        good = condition(follower, "good")
        assert (good["status"], good["reason"], good["message"]) == ("False", "Staged", problem.message)
        assert status(follower, "good")["validationMessages"] == [], "nothing is wrong with it"
        follower.source.held_back = {}
        assert await writer.write() and condition(follower, "good")["reason"] == "Accepted"

    play(story, guarded("overlays/status"))


def test_nothing_is_written_twice_by_nobody(play):
    async def story(follower):
        await known(follower)
        writer = Writer(follower)
        assert await writer.write()
        first = writes(follower)
        revision = follower.server.etcd.revision
        assert first == 3 and await writer.write() and writes(follower) == first
        another = Writer(follower, "node-b")
        assert not await another.write()
        another.agent.clock += LEASE_SECONDS
        assert await another.write() and writes(follower) == first, "what stands there is right"
        written = {item["metadata"]["resourceVersion"] for item in follower.server.objects("VirtualService")}
        assert max(map(int, written)) <= revision

    play(story, guarded("overlays/status"))


def test_a_changed_object_is_told_anew_and_when_it_turned(play):
    async def story(follower):
        await known(follower)
        writer = Writer(follower)
        assert await writer.write()
        before = condition(follower, "bad")
        writer.agent.clock += RENEW_SECONDS
        follower.server.apply(virtual_service("bad", htppp=[]))
        await follower.until(lambda: "htppp" in repr(follower.source.refusals()))
        assert await writer.write()
        still = condition(follower, "bad")
        assert "htppp" in still["message"] and status(follower, "bad")["observedGeneration"] == 2
        assert still["lastTransitionTime"] == before["lastTransitionTime"]
        follower.server.apply(virtual_service("bad"))
        await follower.until(lambda: not follower.source.refusals())
        assert await writer.write()
        assert condition(follower, "bad")["status"] == "True" and status(follower, "bad")["validationMessages"] == []

    play(story, guarded("overlays/status"))


def test_what_others_have_written_stays(play):
    async def story(follower):
        await known(follower)
        other = {"type": "Ready", "status": "True"}
        analysis = {"type": {"code": "IST0101"}, "level": "ERROR"}
        path = "/apis/networking.istio.io/v1/namespaces/default/virtualservices/bad"
        (bad, _) = follower.server.objects("VirtualService")
        given = {"conditions": [other], "validationMessages": [analysis], "addresses": [{"value": "240.0.0.1"}]}
        target = follower.server.kinds.target(f"{path}/status")
        follower.server._stored(target, {**bad, "status": given})
        assert await Writer(follower).write()
        found = status(follower, "bad")
        assert other in found["conditions"] and analysis in found["validationMessages"]
        assert found["addresses"] == given["addresses"] and condition(follower, "bad")["status"] == "False"

    play(story, guarded("overlays/status"))


def test_a_conflict_is_tried_again(play):
    async def story(follower):
        await known(follower)
        follower.server.faults.refuse("bad/status", 409, times=2)
        assert await Writer(follower).write()
        assert condition(follower, "bad")["status"] == "False" and writes(follower) == 5

    play(story, guarded("overlays/status"))


def test_without_the_overlay_nothing_is_written(play):
    async def story(follower):
        await known(follower)
        with pytest.raises(ApiError, match="is forbidden"):
            await Writer(follower).write()
        assert writes(follower) == 0

    play(story, guarded())


class Alone(Exception):
    """Ends a duty that runs for good."""


async def run_until(writer, done, monkeypatch) -> float:
    """Let the writer run by its own clock until something is done; how many seconds that took."""
    began = writer.agent.clock
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if done():
            raise Alone
        writer.agent.clock += seconds
        assert writer.agent.clock - began < 300
        await pause(0)

    with monkeypatch.context() as patched:
        patched.setattr(reconciler, "asyncio", SimpleNamespace(sleep=sleep))
        with pytest.raises(Alone):
            await writer.run()
    return writer.agent.clock - began


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_right_that_was_missing_is_used_within_ten_seconds(play, monkeypatch, chance):
    async def story(follower):
        await known(follower)
        follower.server.faults.refuse("virtualservices", 403, times=1)
        writer = Writer(follower, chance=chance)
        (refusal,) = follower.server.faults.refusals
        await run_until(writer, lambda: not refusal.times, monkeypatch)
        assert not status(follower, "good") and not status(follower, "bad")
        assert await run_until(writer, lambda: status(follower, "bad"), monkeypatch) < 10

    play(story, guarded("overlays/status"))


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_new_leader_writes_within_half_a_minute(play, monkeypatch, chance):
    """However long it waits between its looks; the one before dies right after it has renewed its Lease."""

    async def story(follower):
        await known(follower)
        first, second = Agent(follower, "a"), Writer(follower, "b", chance)
        assert await first.holds() and not await second.write()
        assert await first.holds(RENEW_SECONDS)
        assert await run_until(second, lambda: writes(follower), monkeypatch) < 30

    play(story, guarded("overlays/status"))


@pytest.mark.parametrize("kind", [StatusWriter, RouteStatuses, ManagedGateways])
def test_no_duty_waits_longer(kind):
    assert LEASE_SECONDS + 2 * 1.5 * (kind.pause + kind.interval) < 30
    assert kind.pause + 1.5 * kind.interval < 10


def test_an_agent_writes_while_the_mesh_asks_for_it(tmp_path):
    (tmp_path / "config").mkdir()
    api = guarded("overlays/status")
    api.accounts = {"agent": api.accounts[""]}
    api.delete("MeshConfig", "mesh", "")
    with running(api) as server:
        config = kubeconfig(tmp_path / "kubeconfig", server.url, {"token": "agent"})
        with Mesh(tmp_path / "config", "--kubeconfig", str(config), "--node", NODE):

            def said() -> dict:
                found = server.call(lambda api: api.objects("VirtualService"))
                return {item["metadata"]["name"]: item.get("status", {}).get("conditions") for item in found}

            until(lambda: server.call(lambda api: api.objects("Event")))
            assert not any(said().values()), "off by default"
            server.call(lambda api: api.apply(MESH))
            until(lambda: all(said().values()))
            assert said()["bad"][0]["status"] == "False" and said()["good"][0]["status"] == "True"
