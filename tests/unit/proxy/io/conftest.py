"""The loop that these tests turn."""

import pytest

from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import Reactor


@pytest.fixture
def reactor():
    """One whose turns do not end early on a slow machine."""
    reactor = Reactor(Platform())
    reactor.shared_turn = reactor.lone_turn = 60.0
    return reactor
