"""Connections that cannot be made."""

from __future__ import annotations

import errno

from nodemesh.proxy.clock import Clock
from nodemesh.proxy.doomed import Doomed
from nodemesh.proxy.gate import Account, Gate
from nodemesh.proxy.transport import Buffer, Handler


class Ear(Handler):
    def __init__(self) -> None:
        self.log: list[OSError] = []

    def received(self, data: Buffer) -> None:
        raise AssertionError

    def lost(self, error: OSError) -> None:
        self.log.append(error)


def test_the_failure_is_told_later_and_once():
    clock, ear, error = Clock(), Ear(), OSError(errno.EMFILE, "EMFILE")
    doomed = Doomed(ear, clock, Gate({}, Account()), error)
    doomed.send(b"x")
    assert ear.log == [] and not doomed.pending
    clock.advance(1.0)
    clock.advance(2.0)
    assert ear.log == [error] and doomed.closed


def test_one_that_is_closed_before_tells_nothing():
    clock, ear = Clock(), Ear()
    Doomed(ear, clock, Gate({}, Account()), OSError(errno.EMFILE, "EMFILE")).close()
    clock.advance(1.0)
    assert ear.log == []
