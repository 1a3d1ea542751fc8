"""Both windows: what waits for them and in which order, and how bodies are paid for."""

from __future__ import annotations

import gc

from tests.unit.proxy.http2.peer import (
    REQUEST,
    RESPONSE_HEAD,
    Log,
    Recorder,
    data,
    frame,
    headers,
    reset,
    served,
    settings,
    update,
)

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.codes import CANCEL
from nodemesh.proxy.http2.frames import DATA, GOAWAY, HEADERS, RST_STREAM, WINDOW_UPDATE
from nodemesh.proxy.http2.head import Head
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.proxy.http2.stream import Http2Stream

WINDOW = 4


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
    assert stream.pending == 10_000 and len(stream.waiting.pieces) <= 3
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
    assert peer.events == [(1, "released")] and stream.pending == 0 and stream.waiting is None
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
