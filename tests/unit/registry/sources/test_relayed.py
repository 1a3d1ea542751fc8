import asyncio
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from nodemesh.registry.sources.api import ApiError
from nodemesh.registry.sources.relayed import PATIENCE, RETURN, RelayedApi, served_for
from nodemesh.registry.sources.resources import resources

PODS = "/api/v1/pods"


class Fake:
    def __init__(self, name):
        self.name = name
        self.fails = None
        self.asked = 0

    async def get(self, path, query, accept):
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return self.name

    @asynccontextmanager
    async def stream(self, path, query, accept, seconds):
        yield await self.get(path, query, accept)


class World:
    def __init__(self, dice=0.0):
        self.now = 1000.0
        self.direct = cast(Any, Fake("direct"))
        self.relay = cast(Any, Fake("relay"))
        served = served_for(resources("a"))
        self.api = RelayedApi(self.direct, self.relay, served, lambda: dice, lambda: self.now)

    def get(self, path=PODS, **query):
        return asyncio.run(self.api.get(path, query, ""))

    def stream(self):
        async def follow():
            async with self.api.stream(PODS, {}, "", 1.0) as pieces:
                return pieces

        return asyncio.run(follow())


def test_the_relay_has_what_agents_follow_and_the_api_server_all_else():
    world = World()
    assert world.get() == world.stream() == world.get(fieldSelector="spec.nodeName=a") == "relay"
    assert world.get("/apis/networking.istio.io/v1beta1/virtualservices") == "relay"
    assert world.get("/api/v1/namespaces/default/secrets", fieldSelector="metadata.name=x") == "direct"
    assert world.get("/api/v1/secrets") == world.get(labelSelector="a=b") == "direct"


@pytest.mark.parametrize("ask", [World.get, World.stream])
def test_a_relay_that_does_not_answer_gets_some_time_and_then_a_rest(ask):
    world = World()
    world.relay.fails = ApiError(0, "nobody there")
    with pytest.raises(ApiError):
        ask(world)
    world.now += PATIENCE[0] - 0.1
    with pytest.raises(ApiError):
        ask(world)
    world.now += 0.1
    assert ask(world) == "direct"
    assert not world.api.by_relay and world.api.why == "nobody there"
    asked, world.relay.fails = world.relay.asked, None
    assert ask(world) == "direct" and world.relay.asked == asked
    world.now += RETURN[0]
    assert ask(world) == "relay" and world.api.why == ""


def test_agents_do_not_all_turn_to_the_api_server_at_once():
    early, late = World(0.0), World(0.999)
    for world in (early, late):
        world.relay.fails = ApiError(503, "not yet")
        with pytest.raises(ApiError):
            world.get()
        world.now += PATIENCE[0]
    assert early.get() == "direct"
    with pytest.raises(ApiError):
        late.get()


def test_what_the_api_server_would_say_too_is_the_answer():
    world = World()
    world.relay.fails = ApiError(410, "too old")
    for _ in range(3):
        with pytest.raises(ApiError):
            world.get()
        world.now += PATIENCE[1]
    assert world.direct.asked == 0


def test_a_relay_that_is_back_in_time_counts_as_never_gone():
    world = World()
    world.relay.fails = ApiError(0, "nobody there")
    with pytest.raises(ApiError):
        world.get()
    world.relay.fails = None
    assert world.get() == "relay"
    world.now += PATIENCE[1]
    world.relay.fails = ApiError(0, "nobody there")
    with pytest.raises(ApiError):
        world.get()
