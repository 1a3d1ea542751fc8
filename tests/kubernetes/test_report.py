"""What is refused is told in the cluster, by one agent."""

import asyncio
import random
from datetime import UTC, datetime

from tests.apiserver.server import ApiServer
from tests.clusters import virtual_service

from nodemesh.node.election import LEASE_SECONDS, Election
from nodemesh.node.reporter import Reporter

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def reporter(follower, name="node-a", clock=lambda: 0.0):
    election = Election(follower.api, name, "nodemesh-system", clock)
    return Reporter(follower.api, follower.source.refusals, election, name, random.random, lambda: NOON)


def cluster() -> ApiServer:
    api = ApiServer()
    api.apply(virtual_service("bad", htpp=[]), virtual_service("good"))
    return api


def test_a_refused_object_gets_one_event_that_says_why(play):
    async def story(follower):
        await follower.until(lambda: follower.source.refusals())
        teller = reporter(follower)
        assert await teller.report() and await teller.report()
        (event,) = follower.server.objects("Event")
        (bad, _) = follower.server.objects("VirtualService")
        assert (event["type"], event["reason"]) == ("Warning", "Refused") and "htpp" in event["note"]
        assert event["regarding"]["uid"] == bad["metadata"]["uid"]
        follower.server.apply(virtual_service("bad", htppp=[]))
        await follower.until(lambda: "htppp" in follower.source.refusals()[0].problems[0].message)
        assert await teller.report()
        assert len(follower.server.objects("Event")) == 2

    play(story, cluster())


def test_what_others_write_of_an_object_is_no_second_event_and_what_its_author_does_is(play):
    """Every write changes the resourceVersion; the generation counts what the author wrote."""

    async def story(follower):
        await follower.until(lambda: follower.source.refusals())
        teller = reporter(follower)
        assert await teller.report()
        (before,) = follower.source.refusals()
        again = virtual_service("bad", htpp=[])
        follower.server.apply(again | {"metadata": again["metadata"] | {"annotations": {"seen-by": "another"}}})
        await follower.until(
            lambda: follower.source.refusals()[0].head.resource_version != before.head.resource_version
        )
        assert await teller.report() and len(follower.server.objects("Event")) == 1
        follower.server.apply(virtual_service("bad", htpq=[]))
        await follower.until(lambda: follower.source.refusals()[0].head.generation != before.head.generation)
        assert await teller.report() and len(follower.server.objects("Event")) == 2

    play(story, cluster())


def test_one_agent_tells_until_it_falls_silent(play):
    async def story(follower):
        await follower.until(lambda: follower.source.refusals())
        now = 0.0
        tellers = [reporter(follower, name, lambda: now) for name in ("node-a", "node-b")]
        results = await asyncio.gather(*(teller.report() for teller in tellers))
        assert sorted(results) == [False, True]
        loser = tellers[results.index(False)]
        assert not await loser.report()
        now = LEASE_SECONDS
        assert await loser.report()
        assert len(follower.server.objects("Event")) == 1  # the same words under the same name

    play(story, cluster())


def test_where_nothing_is_refused_nobody_asks_for_the_lease(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        assert await reporter(follower).report()
        assert not any("leases" in path for _, path in follower.server.requests)

    play(story, ApiServer())
