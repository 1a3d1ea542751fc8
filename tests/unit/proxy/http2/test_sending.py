"""The outgoing half: windows, what waits for them and in which order, resets, capacity, and the end of a connection."""

from __future__ import annotations

import gc

import pytest
from tests.unit.proxy.http2.peer import (
    REQUEST,
    RESPONSE,
    RESPONSE_HEAD,
    Log,
    Recorder,
    data,
    frame,
    headers,
    ping,
    reset,
    settings,
    update,
)

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.codes import CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR
from nodemesh.proxy.http2.fault import Http2Fault
from nodemesh.proxy.http2.frames import CONTINUATION, DATA, GOAWAY, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE
from nodemesh.proxy.http2.head import Head
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.proxy.http2.stream import Http2Stream
from nodemesh.reasons import Reason

WINDOW = 4


def served(*values: tuple[int, int], streams: int = 1) -> Recorder:
    """A server with so many requests, each of which has the head of its answer."""
    peer = Recorder().start(*values)
    for id in range(1, 2 * streams, 2):
        peer.receive(headers(id))
        peer.connection.send_head(peer.stream(id), RESPONSE_HEAD, NO_EDITS, False)
    peer.sent()
    peer.events.clear()
    return peer


def sizes(answers) -> list[tuple[int, int]]:
    return [(answer.id, len(answer.payload)) for answer in answers if answer.kind == DATA]


def test_data_goes_in_frames_that_the_peer_takes():
    peer = served()
    peer.connection.send_data(peer.stream(1), b"a" * 40000, True)
    answers = peer.sent()
    assert sizes(answers) == [(1, 16384), (1, 16384), (1, 7232)]
    assert [answer.flags for answer in answers] == [0, 0, 1]
    assert peer.events == [(1, "released")]
    peer = served((5, 50000))
    peer.connection.send_data(peer.stream(1), b"a" * 40000, True)
    assert sizes(peer.sent()) == [(1, 40000)]


def test_a_stream_waits_for_its_window():
    peer = served((WINDOW, 10))
    stream = peer.stream(1)
    peer.connection.send_data(stream, b"0123456789abc", False)
    peer.connection.send_data(stream, b"def", False)
    assert sizes(peer.sent()) == [(1, 10)] and stream.pending == 6
    assert [answer.payload for answer in peer.receive(update(1, 2))] == [b"ab"] and peer.events == []
    answers = peer.receive(update(1, 100))
    assert b"".join(answer.payload for answer in answers) == b"cdef"
    assert peer.events == [(1, "drained")] and stream.pending == 0
    peer.connection.send_data(stream, b"", True)
    assert [(answer.flags, answer.payload) for answer in peer.sent()] == [(1, b"")]


def test_the_end_waits_behind_the_body():
    peer = served((WINDOW, 3))
    peer.connection.send_data(peer.stream(1), b"abcdef", True)
    peer.connection.send_data(peer.stream(1), b"more", False)  # too late
    assert [(answer.flags, answer.payload) for answer in peer.sent()] == [(0, b"abc")]
    assert [(answer.flags, answer.payload) for answer in peer.receive(update(1, 9))] == [(1, b"def")]
    assert peer.events == [(1, "released")]


def test_trailers_wait_behind_the_body_and_are_coded_when_they_go():
    peer = served((WINDOW, 3), streams=2)
    peer.connection.send_data(peer.stream(1), b"abcdef", False)
    peer.connection.send_trailers(peer.stream(1), [b"x-a: b"])  # in the table since the heads
    peer.connection.send_trailers(peer.stream(3), [b"grpc-status: 0"])
    assert [(answer.kind, answer.id) for answer in peer.sent()] == [(DATA, 1), (HEADERS, 3)]
    last = peer.receive(update(1, 9))
    assert [(answer.kind, answer.flags) for answer in last] == [(DATA, 0), (HEADERS, 5)] and last[1].payload == b"\xbf"


def test_streams_get_the_connections_window_by_turns():
    peer = served((WINDOW, 1 << 20), streams=3)
    for id in (1, 3, 5):
        peer.connection.send_data(peer.stream(id), b"x" * 65535, True)
    assert sum(size for _, size in sizes(peer.sent())) == 65535  # all of it to the first that asked
    answers = peer.receive(update(0, 4 * 16384))
    assert [id for id, _ in sizes(answers)] == [3, 5, 3, 5]
    answers = peer.receive(update(0, 1 << 20))
    assert sum(size for _, size in sizes(answers)) == 2 * 65535 - 4 * 16384
    assert not peer.connection.streams and not peer.connection._blocked


def test_a_byte_of_window_does_not_cost_a_look_at_all_streams():
    """Each WINDOW_UPDATE of one byte sends one frame, however many streams wait (CVE-2019-9511)."""
    peer = served((WINDOW, 1 << 20), streams=200)
    for id in range(1, 400, 2):
        peer.connection.send_data(peer.stream(id), b"x" * 1000, False)
    peer.sent()
    waiting = len(peer.connection._blocked)
    for _ in range(50):
        assert [size for _, size in sizes(peer.receive(update(0, 1)))] == [1]
        assert len(peer.connection._blocked) == waiting


def test_a_stream_that_is_reset_does_not_stay_in_the_queue():
    peer = served((WINDOW, 1 << 20))
    peer.connection.send_data(peer.stream(1), bytes(65536), False)
    for id in range(3, 2001, 2):
        peer.receive(headers(id))
        peer.connection.send_head(peer.stream(id), RESPONSE_HEAD, NO_EDITS, False)
        peer.connection.send_data(peer.stream(id), b"x", False)
        peer.receive(reset(id))
    assert list(peer.connection._blocked) == [1] and not peer.connection.broken
    assert sizes(peer.receive(update(0, 5))) == [(1, 1)]


def test_streams_that_are_over_leave_nothing_for_the_collector():
    gc.collect()
    gc.disable()
    try:
        peer = served((WINDOW, 1), streams=4)
        peer.connection.send_data(peer.stream(1), b"x", True)
        peer.connection.send_data(peer.stream(3), b"xyz", False)
        peer.connection.reset(peer.stream(3), CANCEL)
        peer.receive(reset(5) + update(7, 0))
        peer.receive(headers(9, [*REQUEST, (b"connection", b"close")]))
        assert not peer.connection.streams
        peer.receivers.clear()
        assert not [found for found in gc.get_objects() if type(found) in (Http2Stream, Log)]
        heads = [found for found in gc.get_objects() if type(found) is Head]
        assert len(heads) <= 1, "the one that may come again"
    finally:
        gc.enable()


def test_what_waits_is_kept_in_few_pieces():
    peer = served((WINDOW, 0))
    stream = peer.stream(1)
    for _ in range(10_000):
        peer.connection.send_data(stream, b"x", False)
    assert stream.pending == 10_000 and len(stream.waiting) <= 3
    peer.receive(update(1, 9_999))
    assert stream.pending == 1


def test_settings_move_the_windows_of_all_streams():
    peer = served((WINDOW, 10), streams=2)
    for id in (1, 3):
        peer.connection.send_data(peer.stream(id), b"0123456789abcdef", False)
    peer.sent()
    assert sizes(peer.receive(settings((WINDOW, 4)))) == []
    assert [peer.stream(id).window for id in (1, 3)] == [-6, -6]
    assert sizes(peer.receive(update(1, 7))) == [(1, 1)]
    assert sizes(peer.receive(settings((WINDOW, 12)))) == [(1, 5), (3, 2)]
    assert peer.receive(update(1, 2**31 - 9) + settings((WINDOW, 2**31 - 1)))[-1].kind == GOAWAY


def test_a_reset_drops_what_waits():
    peer = served((WINDOW, 0))
    stream = peer.stream(1)
    peer.connection.send_data(stream, b"abc", False)
    peer.connection.reset(stream, CANCEL)
    assert [(answer.kind, answer.number) for answer in peer.sent()] == [(RST_STREAM, CANCEL)]
    assert peer.events == [(1, "released")] and stream.pending == 0 and stream.waiting == []
    peer.connection.reset(stream, CANCEL)
    peer.connection.send_data(stream, b"abc", True)
    peer.connection.send_trailers(stream, [])
    peer.connection.send_head(stream, RESPONSE_HEAD, NO_EDITS, True)
    assert peer.sent() == [] and peer.receive(update(1, 5)) == []


def test_bodies_are_paid_for_as_they_are_taken():
    peer = Recorder(limits=Http2Limits(window=1000, connection_window=70000))
    peer.taking = False
    peer.start()
    peer.receive(headers(1, ended=False))
    assert peer.receive(data(1, b"x" * 600)) == []
    stream = peer.stream(1)
    peer.connection.taken(stream, 400)
    assert peer.sent() == []  # less than half a window
    peer.connection.taken(stream, 100)
    assert peer.sent() == [(WINDOW_UPDATE, 0, 1, (500).to_bytes(4, "big"))]
    peer.connection.taken(stream, 10_000)  # never more than came
    assert stream.untaken == 0 and stream.credit == 900
    answers = peer.receive(data(1, b"x" * 901))
    assert [(answer.kind, answer.id, answer.number) for answer in answers] == [(RST_STREAM, 1, 3)]


def test_padding_is_taken_by_nobody_and_paid_for_at_once():
    peer = Recorder()
    peer.taking = False
    peer.start()
    peer.receive(headers(1, ended=False))
    peer.receive(frame(DATA, 8, 1, b"\x64" + b"body" + bytes(100)))
    stream = peer.stream(1)
    assert peer.events[-1] == (1, "data", b"body", False)
    assert stream.untaken == 4 and stream.owed == 101 and peer.connection.owed == 101


def test_the_connections_window_holds_for_all_streams():
    peer = Recorder(limits=Http2Limits(window=65535, connection_window=65535))
    peer.taking = False
    peer.start()
    peer.receive(headers(1, ended=False) + headers(3, ended=False))
    for id in (1, 3):
        peer.receive(data(id, bytes(16384)) + data(id, bytes(16383)))
    assert peer.connection.credit == 1
    peer.connection.reset(peer.stream(1), CANCEL)  # what nobody took is given back
    assert [(answer.kind, answer.id) for answer in peer.sent()] == [(RST_STREAM, 1)]
    assert peer.connection.owed == 32767 and peer.stream(3).untaken == 32767
    peer.connection.taken(peer.stream(3), 1)
    assert peer.sent() == [(WINDOW_UPDATE, 0, 0, (32768).to_bytes(4, "big"))]
    assert peer.receive(data(1, bytes(10000)) + data(1, b"", True)) == []  # late: counted, and given back
    assert peer.connection.credit == 32769 - 10000 and peer.connection.owed == 10000
    assert peer.receive(data(3, bytes(16384)) * 2)[-1].number == 3


def test_what_a_finished_stream_holds_is_paid_for_when_it_is_taken():
    peer = Recorder()
    peer.taking = False
    peer.start()
    peer.receive(headers(1, ended=False))
    stream = peer.stream(1)
    peer.connection.send_head(stream, RESPONSE_HEAD, NO_EDITS, True)
    peer.receive(data(1, b"x" * 100, True))
    assert peer.events[-1] == (1, "released") and peer.connection.owed == 0
    peer.connection.taken(stream, 100)
    assert peer.connection.owed == 100


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
    peer.connection.last = (1 << 30) - 1  # ids do not come back
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
