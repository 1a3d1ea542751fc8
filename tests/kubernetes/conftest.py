"""Runs a cluster source on a test API server, both in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.apiserver import server
from tests.apiserver.running import Running, kubeconfig
from tests.clusters import Follower
from tests.jumping import JumpingLoop

Story = Callable[[Follower], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Runs a story: a coroutine function that is given a Follower of a running server, on a loop whose clock can
    jump."""

    def play(story: Story, api: server.ApiServer | None = None, *, up: bool = True, cache: bool = False) -> None:
        async def main() -> None:
            running = Running(api or server.ApiServer(), asyncio.get_running_loop())
            config = kubeconfig(tmp_path / "kubeconfig", running.url)
            if up:
                await running.open()
            follower = Follower(running, config, tmp_path / "cluster.msgpack" if cache else None)
            task = asyncio.create_task(follower.follow())
            try:
                await story(follower)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await follower.api.close()
                await running.close()
                running.server.etcd.rest()

        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(main())

    return play
