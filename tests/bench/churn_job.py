"""The acceptance test of the cluster source at full length: a thousand changes a second for a minute, each misfortune
of tests/churn.py, an hour's outage; the tables are held against the server's truth after each. Server, source, registry
and compiler share this process and its core."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.apiserver.running import Running, kubeconfig
from tests.apiserver.server import ApiServer
from tests.churn import Churn, survive
from tests.clusters import Follower
from tests.jumping import JumpingLoop


async def main(rate: int, seconds: float, folder: Path) -> dict[str, float]:
    running = Running(ApiServer(), asyncio.get_running_loop())
    config = kubeconfig(folder / "kubeconfig", running.url)
    await running.open()
    follower = Follower(running, config)
    following = asyncio.create_task(follower.follow())
    churn = Churn(follower, rate)
    try:
        churn.fill(300)
        await follower.until(lambda: follower.batches)
        batches, cpu = follower.batches, time.process_time()
        await survive(follower, churn, config, seconds)
        return {
            "changes a second": churn.made / churn.seconds,
            "seconds of changes": churn.seconds,
            "misfortunes survived": len(churn.lags),
            "longest until true again": max(churn.lags.values()),
            "batches": follower.batches - batches,
            "processor for a change, server included": (time.process_time() - cpu) / churn.made,
        }
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await follower.api.close()
        await running.close()


if __name__ == "__main__":
    rate, seconds = (int(text) for text in sys.argv[1:])
    with (
        tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as name,
        asyncio.Runner(loop_factory=JumpingLoop) as runner,
    ):
        print(json.dumps(runner.run(main(rate, seconds, Path(name)))))
