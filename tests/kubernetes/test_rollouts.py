"""Agents roll a change out together: one decides, all obey what stands in the API server, and a new leader goes on."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import yaml
from tests.apiserver.server import ApiServer
from tests.clusters import virtual_service

from nodemesh.config.rollout import ROLLOUT
from nodemesh.node.election import LEASE_SECONDS, Election
from nodemesh.node.rollouts import Rollouts
from nodemesh.registry.staging import STATE
from nodemesh.registry.store import CLUSTER, Store

MANIFESTS = Path(__file__).parents[2] / "manifests"

PLAN = "{clients: 50, hold: 10m, maxErrors: 10, minRequests: 20}"


def rule(subset: str, plan: str = PLAN, name: str = "web") -> dict:
    route = [{"route": [{"destination": {"host": "web", "subset": subset}}]}]
    made = virtual_service(name, http=route)
    return {**made, "metadata": {**made["metadata"], "annotations": {ROLLOUT: plan}}}


class Agent:
    """One node's, over the follower's registry; its clock and what its workers have counted are the test's."""

    def __init__(self, follower, name: str) -> None:
        self.api = follower.api
        self.follower = follower
        self.clock = 1000.0
        self.counts: dict[str, tuple[int, int]] = {}
        election = Election(self.api, name, "nodemesh-system", lambda: self.clock)
        self.rollouts = Rollouts(
            self.api, name, lambda: True, lambda: follower.store.staging, self._counted, election, random.random,
            lambda: self.clock,
        )  # fmt: skip

    async def _counted(self) -> dict[str, tuple[int, int]]:
        return self.counts

    async def look(self, after: float = 1.0) -> bool:
        self.clock += after
        await self.rollouts.report()
        return await self.rollouts.lead()


def subset(follower) -> str:
    return follower.snapshot.virtual_services["default/web"].spec.http[0].route[0].destination.subset


def phase(follower) -> list[str]:
    return [entry.phase.value for entry in follower.store.staging.entries.values()]


def events(follower) -> list[str]:
    return sorted(data["reason"] for data in follower.server.objects("Event"))


def notes(follower) -> list[str]:
    return sorted(data["note"] for data in follower.server.objects("Event"))


async def settle(follower, agent: Agent) -> None:
    """The cluster is known, and so is what is in force."""
    await follower.until(lambda: follower.batches)
    assert await agent.look()
    await follower.until(lambda: phase(follower) == ["complete"])


async def begun(follower, *agents: Agent) -> str:
    """A rollout from v1 to v2 is on; its id."""
    await settle(follower, agents[0])
    follower.server.apply(rule("v2"))
    await follower.until(lambda: follower.store.staging.planned and not settled(follower))
    assert subset(follower) == "v1" and not follower.snapshot.rollouts
    assert await agents[0].look()
    await follower.until(lambda: phase(follower) == ["canary"])
    assert subset(follower) == "v1"
    (name,) = follower.snapshot.rollouts
    return name


def settled(follower) -> bool:
    staging = follower.store.staging
    return all(
        key in staging.entries and staging.entries[key].digest == planned.digest
        for key, planned in staging.planned.items()
    )


def test_a_bad_change_is_taken_back_by_what_all_agents_counted(play):
    async def story(follower):
        one, two = Agent(follower, "a"), Agent(follower, "b")
        name = await begun(follower, one, two)
        one.counts, two.counts = {name: (15, 1)}, {name: (15, 1)}
        assert not await two.look() and await one.look()
        assert phase(follower) == ["canary"], "2 of 30 are 7 %"
        two.counts = {name: (25, 9)}
        assert not await two.look() and await one.look()
        await follower.until(lambda: phase(follower) == ["back"])
        assert subset(follower) == "v1" and not follower.snapshot.rollouts
        assert "rollout-back" in {problem.code for problem in follower.snapshot.problems}
        assert events(follower) == ["RolloutBegan", "RolloutTakenBack"]
        (told,) = [data for data in follower.server.objects("Event") if data["reason"] == "RolloutTakenBack"]
        assert told["type"] == "Warning" and "10 of 40 requests of canaries failed (25 %)" in told["note"]
        assert told["regarding"]["name"] == "web"

    play(story, cluster())


def test_a_good_change_is_everybodys_after_its_time(play):
    async def story(follower):
        one = Agent(follower, "a")
        name = await begun(follower, one)
        one.counts = {name: (1000, 3)}
        assert await one.look(5.0) and phase(follower) == ["canary"]
        (entry,) = follower.store.staging.entries.values()
        one.rollouts._now = lambda: datetime.fromtimestamp(entry.since + 601, UTC)
        assert await one.look(5.0)
        await follower.until(lambda: phase(follower) == ["complete"] and subset(follower) == "v2")
        assert events(follower) == ["RolloutBegan", "RolloutComplete"] and not follower.snapshot.problems

    play(story, cluster())


def test_the_leaders_death_changes_nothing(play):
    """Its successor finds the rollout, what was before, and what was counted: all in the API server."""

    async def story(follower):
        one, two = Agent(follower, "a"), Agent(follower, "b")
        name = await begun(follower, one, two)
        one.counts = {name: (30, 30)}
        await one.rollouts.report()  # and dies before it decides
        assert not await two.look() and not await two.look(LEASE_SECONDS - 2)
        assert phase(follower) == ["canary"]
        assert await two.look(3.0)
        await follower.until(lambda: phase(follower) == ["back"])
        assert subset(follower) == "v1" and events(follower) == ["RolloutBegan", "RolloutTakenBack"]

    play(story, cluster())


def test_a_fresh_node_obeys_what_stands_there(play):
    async def story(follower):
        one = Agent(follower, "a")
        name = await begun(follower, one)
        one.counts = {name: (30, 30)}
        assert await one.look()
        await follower.until(lambda: phase(follower) == ["back"])
        fresh = Store()
        snapshot = fresh.apply("cluster", follower.store._held["cluster"].values())
        assert snapshot.virtual_services["default/web"].spec.http[0].route[0].destination.subset == "v1"

    play(story, cluster())


def served(follower) -> dict[str, str]:
    """The subset of each rule that is in force for those that are no canaries."""
    return {
        name: item.spec.http[0].route[0].destination.subset for name, item in follower.snapshot.virtual_services.items()
    }


def test_a_bad_new_object_reaches_canaries_alone_and_is_taken_back(play):
    """The API server has it; the nodes go on without it until its author changes it."""

    async def story(follower):
        one = Agent(follower, "a")
        await settle(follower, one)
        follower.server.apply(rule("v2", name="fresh"))
        await follower.until(lambda: not settled(follower))
        assert served(follower) == {"default/web": "v1"} and not follower.snapshot.rollouts
        assert await one.look()
        await follower.until(lambda: follower.snapshot.rollouts)
        (name,) = follower.snapshot.rollouts
        assert served(follower) == {"default/web": "v1"}
        one.counts = {name: (30, 30)}
        assert await one.look(5.0)
        await follower.until(lambda: not follower.snapshot.rollouts)
        assert served(follower) == {"default/web": "v1"}
        assert {item["metadata"]["name"] for item in follower.server.objects("VirtualService")} == {"web", "fresh"}
        assert notes(follower) == [
            "30 of 30 requests of canaries failed (100 %), more than 10 %; no client has the new object",
            "canaries have the new object: 50 % of the clients for 10 min",
        ]
        follower.server.apply(rule("v3", name="fresh"))
        await follower.until(lambda: not settled(follower))
        assert await one.look()
        await follower.until(lambda: follower.snapshot.rollouts)
        assert served(follower) == {"default/web": "v1"}, "mended, it reaches canaries first as well"
        follower.server.apply(rule("v3", "disabled", name="fresh"))
        await follower.until(lambda: served(follower) == {"default/web": "v1", "default/fresh": "v3"})

    play(story, cluster())


def test_a_bad_removal_reaches_canaries_alone_and_is_taken_back(play):
    async def story(follower):
        one = Agent(follower, "a")
        await settle(follower, one)
        follower.server.delete("VirtualService", "web")
        await follower.until(lambda: not settled(follower))
        assert served(follower) == {"default/web": "v1"} and not follower.snapshot.rollouts
        assert await one.look()
        await follower.until(lambda: follower.snapshot.rollouts)
        ((name, staged),) = follower.snapshot.rollouts.items()
        assert staged.item is None and served(follower) == {"default/web": "v1"}
        one.counts = {name: (30, 30)}
        assert await one.look(5.0)
        await follower.until(lambda: phase(follower) == ["back"])
        assert served(follower) == {"default/web": "v1"} and not follower.server.objects("VirtualService")
        assert notes(follower)[0].endswith("the object is in force for all clients, though it was removed")
        follower.server.apply(rule("v1"))
        await follower.until(lambda: not settled(follower))
        assert await one.look()
        await follower.until(lambda: phase(follower) == ["complete"])
        assert served(follower) == {"default/web": "v1"} and not follower.snapshot.problems

    play(story, cluster())


def test_a_good_removal_is_everybodys_after_its_time_whoever_leads(play):
    """A successor that has never seen the object goes on with what stands in the API server."""

    async def story(follower):
        one = Agent(follower, "a")
        await settle(follower, one)
        follower.server.delete("VirtualService", "web")
        await follower.until(lambda: not settled(follower))
        assert await one.look()
        await follower.until(lambda: follower.snapshot.rollouts)
        (entry,) = follower.store.staging.entries.values()
        held = follower.store._held[CLUSTER].values()
        follower.store = Store()  # an agent that has just been started
        follower.store.apply(CLUSTER, held)
        two = Agent(follower, "b")
        two.rollouts._now = lambda: datetime.fromtimestamp(entry.since + 5, UTC)
        assert not await two.look() and await two.look(LEASE_SECONDS + 1) and phase(follower) == ["canary"]
        two.rollouts._now = lambda: datetime.fromtimestamp(entry.since + 601, UTC)
        assert await two.look()
        await follower.until(lambda: phase(follower) == [])
        assert served(follower) == {} and not follower.snapshot.problems
        assert "no client has the object any more" in notes(follower)
        assert await two.look() and phase(follower) == []

    play(story, cluster())


def test_nothing_is_asked_or_written_where_nothing_is_staged(play):
    async def story(follower):
        one = Agent(follower, "a")
        await follower.until(lambda: follower.batches)
        before = sum(follower.server.requests.values())
        assert await one.look() and await one.look()
        assert sum(follower.server.requests.values()) == before

    play(story, cluster(rule("v1", "disabled")))


def test_agents_report_no_more_than_they_have_to_say(play):
    async def story(follower):
        one = Agent(follower, "a")
        name = await begun(follower, one)

        def written() -> int:
            return sum(count for (method, path), count in follower.server.requests.items()
                       if method == "PATCH" and "nodemesh-canaries-a" in path)  # fmt: skip

        for number in range(10):
            one.counts = {name: (number + 1, 0), "VirtualService/old@1": (5, 5)}
            one.clock += 1.0
            await one.rollouts.report()
        assert written() == 2, "every five seconds where nothing fails"
        one.counts = {name: (20, 1)}
        one.clock += 1.0
        await one.rollouts.report()
        await one.rollouts.report()
        assert written() == 3
        (report,) = [data for data in follower.server.objects("ConfigMap") if data["metadata"]["name"].endswith("-a")]
        assert json.loads(report["data"]["counts"]) == {name: [20, 1]}

    play(story, cluster())


def test_reports_that_make_no_sense_count_as_none(play):
    async def story(follower):
        one = Agent(follower, "a")
        name = await begun(follower, one)
        for number, text in enumerate(
            ["{", "[]", '{"x": "y"}', json.dumps({name: [5, 50]}), json.dumps({name: [-1, -2]})]
        ):
            follower.server.apply(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {
                        "name": f"bad-{number}",
                        "namespace": STATE.namespace,
                        "labels": {"nodemesh.io/canaries": "true"},
                    },
                    "data": {"counts": text},
                }
            )
        assert await one.look() and await one.look()
        await asyncio.sleep(0.1)
        assert phase(follower) == ["canary"]

    play(story, cluster())


def cluster(first: dict | None = None) -> ApiServer:
    """With the rights that the manifests give to agents, and no others."""
    api = ApiServer()
    api.apply(*yaml.safe_load_all((MANIFESTS / "agent/rbac.yaml").read_text()))
    api.accounts[""] = "nodemesh-system/nodemesh-agent"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}, first or rule("v1"))
    return api
