"""What all tests share."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

#: The clock never decides a test: a busy machine takes long for an example, and for making one.
settings.register_profile("nodemesh", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nodemesh")

#: Descriptors that the tests' own process may have before what nobody uses is looked for: select(2) takes 1024.
MANY = 256


@pytest.fixture(autouse=True, scope="module")
def unused_descriptors_are_closed() -> Iterator[None]:
    """Workers that run in this process freeze what lives for the collector, and with it the sockets of their tests."""
    yield
    if len(os.listdir("/proc/self/fd")) > MANY:
        gc.unfreeze()
        gc.collect()


@pytest.fixture(autouse=True, scope="session")
def interrupts_are_heard() -> None:
    """A shell's background jobs ignore SIGINT, and so would the programs that the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
