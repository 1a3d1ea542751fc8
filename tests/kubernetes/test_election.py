"""Of all agents one is chosen, by a Lease."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.apiserver.server import ApiServer

from nodemesh.node.election import LEASE_SECONDS, RENEW_SECONDS, Election
from nodemesh.registry.sources.api import ApiError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Agent:
    """A candidate with a clock of its own, which may be wrong."""

    def __init__(self, follower, name: str, wrong: timedelta = timedelta()) -> None:
        self.clock = 1000.0
        self.election = Election(
            follower.api, name, "nodemesh-system", lambda: self.clock,
            lambda: NOON + wrong + timedelta(seconds=self.clock),
        )  # fmt: skip

    async def holds(self, after: float = 0.0) -> bool:
        self.clock += after
        return await self.election.hold()


def lease(follower) -> dict:
    (found,) = follower.server.objects("Lease")
    return found["spec"]


def asked(follower) -> int:
    return sum(count for (_, path), count in follower.server.requests.items() if "leases" in path)


def test_the_first_gets_it_and_keeps_it_while_it_renews(play):
    async def story(follower):
        first, second = Agent(follower, "a"), Agent(follower, "b")
        assert await first.holds() and not await second.holds()
        for _ in range(10):
            assert await first.holds(RENEW_SECONDS) and not await second.holds(RENEW_SECONDS)
        assert lease(follower)["holderIdentity"] == "a" and lease(follower)["leaseTransitions"] == 0

    play(story, ApiServer())


def test_the_holder_asks_nothing_until_it_is_to_renew(play):
    async def story(follower):
        first = Agent(follower, "a")
        assert await first.holds()
        before = asked(follower)
        assert await first.holds(RENEW_SECONDS - 1) and asked(follower) == before
        assert await first.holds(1) and asked(follower) == before + 2

    play(story, ApiServer())


@pytest.mark.parametrize("wrong", [timedelta(days=-1), timedelta(days=1)])
def test_clocks_that_differ_neither_hasten_nor_hinder_a_takeover(play, wrong):
    async def story(follower):
        first, second = Agent(follower, "a", wrong), Agent(follower, "b")
        assert await first.holds() and not await second.holds()
        assert not await second.holds(LEASE_SECONDS - 1)
        assert await second.holds(1)
        assert lease(follower)["holderIdentity"] == "b" and lease(follower)["leaseTransitions"] == 1
        assert not await first.holds(RENEW_SECONDS), "who was away finds another in its place"

    play(story, ApiServer())


def test_who_has_just_come_waits_before_it_takes_over(play):
    """However old the Lease looks, its holder may have renewed it a moment ago by a clock that is wrong."""

    async def story(follower):
        assert await Agent(follower, "a", timedelta(days=-1)).holds()
        late = Agent(follower, "b")
        assert not await late.holds() and not await late.holds(LEASE_SECONDS - 1) and await late.holds(1)

    play(story, ApiServer())


def test_of_many_at_once_one_gets_it(play):
    async def story(follower):
        agents = [Agent(follower, name) for name in "abcdef"]
        assert sum(await asyncio.gather(*(agent.holds() for agent in agents))) == 1
        winner = lease(follower)["holderIdentity"]
        for agent in agents:
            await agent.holds()
        late = await asyncio.gather(*(agent.holds(LEASE_SECONDS) for agent in agents))
        assert sum(late) == 1 and lease(follower)["leaseTransitions"] <= 1, winner

    play(story, ApiServer())


def test_two_duties_of_one_agent_do_not_get_in_each_others_way(play):
    async def story(follower):
        first = Agent(follower, "a")
        assert await asyncio.gather(first.holds(), first.holds()) == [True, True]

    play(story, ApiServer())


def test_no_answer_is_no_yes(play):
    async def story(follower):
        first = Agent(follower, "a")
        assert await first.holds()
        follower.server.faults.refuse("leases", 500, times=1)
        with pytest.raises(ApiError):
            await first.holds(RENEW_SECONDS)
        assert await first.holds()

    play(story, ApiServer())
