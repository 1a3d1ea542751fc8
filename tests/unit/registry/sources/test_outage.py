"""Who waits for an API server is called when it answers, and when it fell silent is known."""

import asyncio

from nodemesh.registry.sources.outage import Outage


def test_one_answer_ends_everybodys_pause():
    async def story() -> None:
        outage = Outage()
        waiting = [asyncio.create_task(outage.pause(60.0)) for _ in range(3)]
        other = asyncio.create_task(outage.pause(60.0, "networking.istio.io"))
        await asyncio.sleep(0)
        outage.answered()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert not other.done(), "a kind that is absent is not there because the server is"
        outage.appeared("networking.istio.io")
        assert await other is True
        assert await outage.pause(0.001) is False

    asyncio.run(story())


def test_it_is_silent_since_the_first_failure_after_the_last_answer():
    clock = iter([10.0, 20.0, 30.0, 40.0])
    outage = Outage(lambda: next(clock))
    outage.failed("refused")
    outage.failed("no route")
    assert (outage.since, outage.heard, outage.why) == (10.0, 0.0, "no route")
    outage.answered()
    assert (outage.since, outage.heard, outage.why) == (0.0, 20.0, "")
