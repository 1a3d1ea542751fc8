"""The world that a conversation takes place in."""

import pytest

from nodemesh.lab.certificates import Authority
from nodemesh.sim.world import World

from .mesh import GRPC, SERVICE


@pytest.fixture
def world() -> World:
    return World(SERVICE)


@pytest.fixture
def grpc() -> World:
    """Whose service speaks gRPC."""
    return World(GRPC)


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Signs what the peers of a conversation over TLS show."""
    return Authority()
