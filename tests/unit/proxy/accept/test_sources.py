"""A gateway's clients by their addresses."""

from __future__ import annotations

import pytest

from nodemesh.proxy.accept.sources import LOOKED_AT, Sources, source_of
from nodemesh.proxy.clock import Clock
from nodemesh.proxy.gate import Account, Gate
from nodemesh.proxy.transport import Handler, Transport


class Talk(Handler):
    def __init__(self, idle: bool) -> None:
        self._idle = idle

    @property
    def idle(self) -> bool:
        return self._idle


def connection(sources: Sources, address: str, idle: bool = True) -> Transport:
    transport = Transport(Talk(idle), True, True)
    transport.remote = f"{address}:40000"
    sources.enter(transport)
    return transport


@pytest.fixture
def sources() -> Sources:
    gate = Gate({}, Account())
    gate.share = 1_000_000
    return Sources(gate, Clock())


def stranger(address: str) -> Transport:
    transport = Transport(Talk(True), True, True)
    transport.remote = f"{address}:1"
    return transport


@pytest.mark.parametrize(
    ("remote", "key"),
    [
        ("203.0.113.9:40000", "203.0.113.9"),
        ("[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ("[fe80::1%eth0]:443", "fe80::"),
        ("", ""),
    ],
)
def test_who_a_client_is(remote, key):
    assert source_of(remote) == key


def test_the_client_with_most_connections_gives_up_its_oldest_idle_one(sources):
    busy = connection(sources, "203.0.113.1", idle=False)
    oldest, _ = connection(sources, "203.0.113.1"), connection(sources, "203.0.113.1")
    connection(sources, "203.0.113.2")
    assert busy is not sources.spare(stranger("203.0.113.3")) is oldest
    assert sources.spare(stranger("203.0.113.2")) is oldest


def test_a_client_does_not_gain_by_its_own_number(sources):
    for _ in range(3):
        connection(sources, "203.0.113.1")
    connection(sources, "203.0.113.2"), connection(sources, "203.0.113.2")
    assert sources.spare(stranger("203.0.113.1")) is None
    assert sources.spare(stranger("203.0.113.2")) is None, "it would have as many"


def test_nobody_is_given_up_whose_request_is_served(sources):
    for _ in range(2 * LOOKED_AT):
        connection(sources, "203.0.113.1", idle=False)
    connection(sources, "203.0.113.1")
    assert sources.spare(stranger("203.0.113.3")) is None, "nor is it looked for without end"


def test_what_is_closed_counts_no_more(sources):
    gone = connection(sources, "203.0.113.1")
    gone.gate.forget(gone)
    gone.gate.forget(gone)
    assert not sources.known and sources.spare(stranger("203.0.113.3")) is None


def test_each_client_has_its_own_account(sources):
    first, same, other = (connection(sources, f"203.0.113.{number}") for number in (1, 1, 2))
    assert first.gate is same.gate is not other.gate
    first.gate.change_held(600_000)
    assert same.gate.crowded and not other.gate.crowded and sources.gate.used == 600_000
