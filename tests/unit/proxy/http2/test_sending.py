"""The outgoing half: capacity, GOAWAY on both sides, answers that are not read, and the end of a connection."""

from __future__ import annotations

import pytest
from tests.unit.proxy.http2.peer import (
    REQUEST,
    RESPONSE,
    Recorder,
    frame,
    headers,
    ping,
    reset,
    served,
    settings,
)

from nodemesh.proxy.http2.codes import CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR
from nodemesh.proxy.http2.fault import Http2Fault
from nodemesh.proxy.http2.frames import CONTINUATION, GOAWAY, HEADERS, SETTINGS
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.reasons import Reason

WINDOW = 4


def test_capacity():
    peer = Recorder(server=False)
    peer.sent()
    assert peer.connection.capacity == 100  # before the peer has said anything
    peer.request()
    assert peer.connection.capacity == 99
    peer.receive(settings((3, 2)))
    assert peer.connection.capacity == 1
    peer.request()
    assert peer.connection.capacity == 0
    peer.receive(settings((3, 1)) + reset(1, 7))
    assert peer.connection.capacity == 0
    peer.receive(settings((3, 0)) + reset(3, 7))
    assert peer.connection.capacity == 0
    peer.receive(settings((3, 5)))
    assert peer.connection.capacity == 5
    peer.connection.last = (1 << 30) - 3
    peer.request()  # the last one: ids do not come back
    assert peer.connection.last == (1 << 30) - 1 and peer.connection.capacity == 0
    peer.receive(settings((3, 9)))
    assert peer.connection.capacity == 0


def test_refused_streams_are_told_apart():
    peer = Recorder(server=False).start()
    peer.request()
    peer.request()
    peer.receive(reset(1, 7) + reset(3, CANCEL))
    assert [event for event in peer.events if event[1] == "failed"] == [
        (1, "failed", 7, Reason.UPSTREAM_REFUSED_STREAM, True),
        (3, "failed", 8, Reason.UPSTREAM_REMOTE_RESET, False),
    ]


def test_a_servers_goaway():
    peer = Recorder(server=False).start()
    for _ in range(3):
        peer.request()
    peer.sent()
    goaway = frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff" + bytes(4))
    peer.receive(goaway)
    assert peer.events == [(0, "leaving", 0)] and peer.connection.capacity == 0
    peer.receive(frame(GOAWAY, 0, 0, b"\0\0\0\x01" + bytes(4)))
    assert [event for event in peer.events if event[1] == "failed"] == [
        (id, "failed", 0, Reason.UPSTREAM_REFUSED_STREAM, True) for id in (3, 5)
    ]
    peer.receive(headers(1, RESPONSE))
    assert peer.events[-2:] == [(1, "head", 200, ((b"x-a", b"b"),), True), (1, "released")]
    assert not peer.connection.streams and not peer.connection.broken


def test_a_clients_goaway_is_a_hint():
    peer = served()
    peer.receive(frame(GOAWAY, 0, 0, bytes(8)))
    assert peer.events == [(0, "leaving", 0)] and list(peer.connection.streams) == [1]
    assert peer.receive(headers(3)) == [] and peer.events[-1][:2] == (3, "head")


def test_a_client_that_leaves():
    peer = Recorder(server=False).start()
    peer.request()
    peer.sent()
    peer.connection.finish()
    assert [(answer.kind, answer.payload[:4]) for answer in peer.sent()] == [(GOAWAY, bytes(4))]
    assert peer.connection.capacity == 0 and list(peer.connection.streams) == [1]


def test_ping():
    peer = Recorder(server=False).start()
    peer.connection.ping(b"12345678")
    assert peer.sent() == [(6, 0, 0, b"12345678")]
    peer.receive(ping(b"12345678", 1))
    assert peer.events == [(0, "ponged", b"12345678")]


def test_a_lost_connection_ends_its_streams():
    peer = served(streams=2)
    fault = Http2Fault(INTERNAL_ERROR, Reason.DOWNSTREAM_CONNECTION_TERMINATION, "gone", True)
    peer.connection.lost(fault)
    assert [event[:2] for event in peer.events] == [(1, "released"), (1, "failed"), (3, "released"), (3, "failed")]
    peer.events.clear()
    peer.connection.lost(fault)
    peer.connection.ping(b"12345678")
    peer.connection.drain()
    peer.connection.finish()
    assert peer.events == [] and peer.receive(headers(5)) == []


def test_answers_that_are_not_read_end_the_connection():
    """CVE-2019-9512, -9515: counted from one `flushed` to the next."""
    peer = Recorder(limits=Http2Limits(streams=1)).start()
    peer.receive(headers(1, ended=False))
    connection = peer.connection
    count = 0
    now = 0.0
    while not connection.broken:
        now += 1.0
        count += 1
        connection.receive(ping(), now)
        assert count <= 1001
    assert count == 1001 and peer.events[-1][2:] == (ENHANCE_YOUR_CALM, Reason.HTTP2_CONTROL_FLOOD)
    assert len(connection.outgoing()) == 1000 * 17 + 17 + len("answers are not read")


def test_flushed_begins_anew():
    peer = Recorder().start()
    for second in range(3000):
        peer.connection.receive(ping() + settings(), float(second))
        assert len(peer.sent()) == 2
    assert not peer.connection.broken


@pytest.mark.parametrize("large", [40_000])
def test_a_head_larger_than_a_frame(large):
    peer = Recorder(server=False).start()
    peer.request([*REQUEST, (b"x-large", b"v" * large)])
    answers = peer.sent()
    assert [answer.kind for answer in answers] == [HEADERS, CONTINUATION, CONTINUATION]
    assert [answer.flags for answer in answers] == [1, 0, 4]


def test_settings_are_acknowledged_once_per_frame():
    peer = Recorder().start()
    assert peer.receive(settings((WINDOW, 5)) * 3) == [(SETTINGS, 1, 0, b"")] * 3
