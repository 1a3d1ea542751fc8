"""Whatever happens to the API server, the tables end up equal to its truth. The full minute of a thousand changes a
second is a case of the bench (suite `cluster`)."""

from __future__ import annotations

from tests.apiserver.server import ApiServer
from tests.churn import HOUR, Churn, is_true, survive
from tests.clusters import Follower, service
from tests.jumping import pass_time

#: Changes a second, and seconds. Real time passes here, but none of it decides.
RATE = 1000
SECONDS = 4.0


def test_the_tables_equal_the_truth_after_each_misfortune(play, tmp_path):
    async def story(follower: Follower) -> None:
        churn = Churn(follower, RATE)
        churn.fill(300)
        await follower.until(lambda: follower.batches)
        await survive(follower, churn, tmp_path / "kubeconfig", SECONDS)
        assert churn.made >= RATE * SECONDS * 0.8
        assert follower.batches < SECONDS * 25 + 20 * len(churn.lags)  # events come in batches, not one by one

    play(story)


def test_an_hour_of_quiet_costs_no_new_list(play):
    """Watches expire every five to ten minutes; bookmarks keep them going where the history is gone."""
    api = ApiServer()
    api.apply(service("reviews"))

    async def story(follower: Follower) -> None:
        await follower.until(lambda: follower.batches)
        await follower.until(lambda: api.watching == len(follower.source.reflectors) + 1)  # and that of the CRDs
        before = {row.name: row.starts for row in follower.source.status()}
        for number in range(6):
            await pass_time(HOUR / 6)
            api.apply(service(f"later-{number}"))  # the other kinds' versions are old by now
            await pass_time(HOUR / 60)
            api.etcd.compact()
        await follower.until(lambda: is_true(follower))
        assert {row.name: row.starts for row in follower.source.status()} == before
        watches = sum(count for (method, _), count in api.requests.items() if method == "watch")
        assert 6 <= watches / len(follower.source.reflectors) <= 14

    play(story, api)
