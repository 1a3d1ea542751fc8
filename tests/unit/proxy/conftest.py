"""A worker, and who is behind it."""

import socket

import pytest
from tests.unit.proxy.workers import Control


@pytest.fixture
def control():
    control = Control()
    yield control
    control.socket.close()
    control.thread.join(5)
    assert not control.thread.is_alive()


@pytest.fixture
def upstream():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server
