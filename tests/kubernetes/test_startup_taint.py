"""A node's startup taint goes when the agent serves the node: not before, it alone, and whatever comes between."""

import asyncio

import pytest
import yaml
from tests.apiserver.server import ApiServer
from tests.kubernetes.test_manifests import MANIFESTS

from nodemesh.node.startup_taint import TAINT, StartupTaint
from nodemesh.registry.sources.api import ApiError

STARTING = {"key": TAINT, "effect": "NoSchedule"}
OTHER = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


def node(*taints, name="node-a"):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"taints": list(taints)}}


def taints(follower, name="node-a"):
    return next(data["spec"]["taints"] for data in follower.server.objects("Node") if data["metadata"]["name"] == name)


def test_it_goes_once_the_node_is_served_and_the_others_stay(play):
    async def story(follower):
        follower.server.apply(node(STARTING, OTHER), node(STARTING, name="node-b"))
        ready = False
        task = asyncio.create_task(StartupTaint(follower.api, "node-a", lambda: ready, lambda: 0.0).run())
        await asyncio.sleep(60.0)
        assert taints(follower) == [STARTING, OTHER], "pods would start without rules"
        ready = True
        await task
        assert taints(follower) == [OTHER]
        assert taints(follower, "node-b") == [STARTING], "its own agent's"

    play(story, ApiServer())


@pytest.mark.parametrize("there", [(), (OTHER,)])
def test_a_node_without_it_is_not_written(play, there):
    async def story(follower):
        follower.server.apply(node(*there))
        before = follower.server.etcd.revision
        assert not await StartupTaint(follower.api, "node-a", lambda: True, lambda: 0.0).remove()
        assert follower.server.etcd.revision == before

    play(story, ApiServer())


class Raced:
    """The API server, where somebody else changes the node between our look and our change, the first time."""

    def __init__(self, follower):
        self.api, self.server, self.left = follower.api, follower.server, 1

    async def get(self, *asked):
        return await self.api.get(*asked)

    async def merge(self, *said):
        if self.left:
            self.left = 0
            self.server.apply(node(STARTING, OTHER))
        return await self.api.merge(*said)


def test_what_somebody_else_changes_meanwhile_stays(play):
    async def story(follower):
        follower.server.apply(node(STARTING))
        api = Raced(follower)
        taint = StartupTaint(api, "node-a", lambda: True, lambda: 0.0)
        with pytest.raises(ApiError) as refused:
            await taint.remove()
        assert refused.value.status == 409
        await taint.run()
        assert taints(follower) == [OTHER]

    play(story, ApiServer())


def test_it_is_tried_again_until_it_works(play):
    async def story(follower):
        follower.server.apply(node(STARTING))
        await follower.running.close()
        task = asyncio.create_task(StartupTaint(follower.api, "node-a", lambda: True, lambda: 0.0).run())
        await asyncio.sleep(5.0)
        assert not task.done()
        await follower.running.open()
        await task
        assert taints(follower) == []

    play(story, ApiServer())


def test_the_component_gives_the_right_that_it_takes(play):
    async def story(follower):
        follower.server.apply(node(STARTING))
        roles = MANIFESTS / "components" / "startup-taint" / "rbac.yaml"
        taint = StartupTaint(follower.api, "node-a", lambda: True, lambda: 0.0)
        follower.server.accounts = {"": "nodemesh-system/nodemesh-agent"}
        with pytest.raises(ApiError, match="cannot get resource"):
            await taint.remove()
        follower.server.apply(*yaml.safe_load_all(roles.read_text()))
        assert await taint.remove()

    play(story, ApiServer())
