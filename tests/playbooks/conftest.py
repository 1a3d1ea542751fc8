"""The world that a conversation takes place in."""

import pytest

from nodemesh.sim.world import World

from .mesh import SERVICE


@pytest.fixture
def world() -> World:
    return World(SERVICE)
