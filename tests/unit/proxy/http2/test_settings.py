"""A peer's settings, and the values that end its connection."""

from __future__ import annotations

import pytest

from nodemesh.proxy.http2.codes import FLOW_CONTROL_ERROR, PROTOCOL_ERROR
from nodemesh.proxy.http2.fault import ConnectionFault
from nodemesh.proxy.http2.settings import UNLIMITED, Settings


def test_what_holds_until_it_is_said_otherwise():
    found = Settings()
    assert (found.table, found.streams, found.window, found.frame, found.head) == (
        4096,
        UNLIMITED,
        65535,
        16384,
        UNLIMITED,
    )
    assert not found.connect


def test_values():
    found = Settings()
    for key, value in ((1, 100), (2, 0), (3, 0), (4, 2**31 - 1), (5, 2**24 - 1), (6, 5), (8, 1), (0x99, 7)):
        found.take(key, value, True)
    assert (found.table, found.streams, found.window, found.frame, found.head) == (100, 0, 2**31 - 1, 2**24 - 1, 5)
    assert found.connect


@pytest.mark.parametrize(
    "key, value, from_server, code",
    [
        (2, 2, False, PROTOCOL_ERROR),
        (2, 1, True, PROTOCOL_ERROR),
        (4, 2**31, False, FLOW_CONTROL_ERROR),
        (5, 16383, False, PROTOCOL_ERROR),
        (5, 2**24, False, PROTOCOL_ERROR),
        (8, 2, True, PROTOCOL_ERROR),
    ],
)
def test_values_that_may_not_be(key, value, from_server, code):
    with pytest.raises(ConnectionFault) as caught:
        Settings().take(key, value, from_server)
    assert caught.value.fault.code == code


def test_extended_connect_is_not_taken_back():
    found = Settings()
    found.take(8, 0, True)
    found.take(8, 1, True)
    with pytest.raises(ConnectionFault):
        found.take(8, 0, True)
