"""A pod that cannot be served is told to its owner, by its node's agent."""

from datetime import UTC, datetime

from tests.apiserver.server import ApiServer

from nodemesh.node.enrol import Failing
from nodemesh.node.pod_events import PAUSE, PodEvents
from nodemesh.registry.snapshot import Workload

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POD = Workload(name="tenant", namespace="default", uid="uid-1")


def test_what_stands_is_told_once_and_anew_when_it_changes_but_not_too_often(play):
    async def story(follower):
        failing, now = [], 0.0
        events = PodEvents(follower.api, lambda: failing, "node-a", lambda: now, lambda: NOON)

        async def told():
            await events.report()
            return [event["note"] for event in follower.server.objects("Event")]

        assert await told() == []
        failing = [Failing(POD, "one reason")]
        assert await told() == []  # it may have passed by the next look
        assert await told() == await told() == ["one reason"]
        (event,) = follower.server.objects("Event")
        assert (event["type"], event["reason"]) == ("Warning", "NotInMesh")
        assert event["regarding"] == {
            "apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "tenant", "uid": "uid-1",
        }  # fmt: skip
        failing = [Failing(POD, "another")]
        assert await told() == await told() == ["one reason"]
        now = PAUSE
        assert sorted(await told()) == ["another", "one reason"]
        failing = []
        assert len(await told()) == 2

    play(story, ApiServer())


def test_a_restarted_agent_says_the_same_under_the_same_name(play):
    async def story(follower):
        for _ in range(2):
            events = PodEvents(follower.api, lambda: [Failing(POD, "why")], "node-a", lambda: 0.0, lambda: NOON)
            await events.report()
            await events.report()
        assert len(follower.server.objects("Event")) == 1

    play(story, ApiServer())
