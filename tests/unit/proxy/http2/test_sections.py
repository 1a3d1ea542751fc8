"""Heads and trailers as they come: a stream's life on both sides, oversized heads, and field sections without end."""

from __future__ import annotations

import pytest
from tests.unit.proxy.http2.peer import (
    REQUEST,
    RESPONSE,
    RESPONSE_HEAD,
    Recorder,
    block,
    data,
    frame,
    headers,
    literal,
    opening,
    reset,
)

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.codes import ENHANCE_YOUR_CALM, PROTOCOL_ERROR, STREAM_CLOSED
from nodemesh.proxy.http2.frames import CONTINUATION, GOAWAY, HEADERS, RST_STREAM
from nodemesh.reasons import Reason

HEAD = (b"POST", b"http", b"a", b"/", b"")
LARGE = [*REQUEST, *((b"x-%d" % number, b"v" * 1000) for number in range(65))]
MANY = [*REQUEST, *((b"x-%d" % number, b"v") for number in range(97))]


def test_a_servers_stream():
    peer = Recorder().start()
    peer.receive(headers(1, ended=False) + data(1, b"abc") + headers(1, [(b"x-t", b"1")]))
    assert peer.events == [
        (1, "head", HEAD, (), False),
        (1, "data", b"abc", False),
        (1, "trailers", (b"x-t: 1",)),
    ]
    peer.events.clear()
    connection = peer.connection
    stream = peer.stream(1)
    connection.send_informed(stream, opening([(b":status", b"103")]))
    connection.send_head(stream, RESPONSE_HEAD, NO_EDITS, False)
    connection.send_informed(stream, opening([(b":status", b"103")]))  # too late
    connection.send_head(stream, RESPONSE_HEAD, NO_EDITS, False)  # there is one already
    connection.send_data(stream, b"xyz", False)
    connection.send_trailers(stream, [b"grpc-status: 0"])
    assert [(answer.kind, answer.flags) for answer in peer.sent()] == [(1, 4), (1, 4), (0, 0), (1, 5)]
    assert peer.events == [(1, "released")] and not connection.streams


def test_a_clients_stream():
    peer = Recorder(server=False).start()
    stream = peer.request(ended=False)
    peer.connection.send_data(stream, b"abc", False)
    peer.connection.send_trailers(stream, [b"x-t: 1"])
    assert [(answer.kind, answer.flags, answer.id) for answer in peer.sent()] == [(1, 4, 1), (0, 0, 1), (1, 5, 1)]
    peer.receive(headers(1, [(b":status", b"103")], False) + headers(1, RESPONSE, False))
    peer.receive(data(1, b"xyz") + headers(1, [(b"grpc-status", b"0")]))
    assert peer.events == [
        (1, "informed", 103),
        (1, "head", 200, ((b"x-a", b"b"),), False),
        (1, "data", b"xyz", False),
        (1, "trailers", (b"grpc-status: 0",)),
        (1, "released"),
    ]


def test_the_answer_to_head_has_a_length_and_no_body():
    peer = Recorder(server=False).start()
    peer.request([(b":method", b"HEAD"), *REQUEST[1:]])
    peer.receive(headers(1, [*RESPONSE, (b"content-length", b"7")]))
    assert [event[1] for event in peer.events] == ["head", "released"]
    peer.request([(b":method", b"HEAD"), *REQUEST[1:]])
    peer.receive(headers(3, RESPONSE, False) + data(3, b"body", True))
    assert peer.events[-1] == (3, "failed", PROTOCOL_ERROR, Reason.HTTP2_MESSAGING_VIOLATION, False)


@pytest.mark.parametrize("fields, reason", [(LARGE, Reason.HTTP2_HEAD_TOO_LARGE), (MANY, Reason.HTTP2_TOO_MANY_FIELDS)])
def test_an_oversized_head_can_be_answered_and_the_table_stays_in_step(fields, reason):
    peer = Recorder().start()
    indexed = literal(b"x-later", b"value", 0x40)
    whole = block(fields) + indexed
    sent = frame(HEADERS, 1, 1, whole[:16000])
    for start in range(16000, len(whole), 16000):
        sent += frame(CONTINUATION, 4 if start + 16000 >= len(whole) else 0, 1, whole[start : start + 16000])
    if len(whole) < 16000:
        sent = frame(HEADERS, 5, 1, whole)
    assert peer.receive(sent) == []
    assert peer.events == [(1, "oversized", b"/", reason, True)]
    peer.connection.send_head(peer.stream(1), opening([(b":status", b"431")]), NO_EDITS, True)
    assert [(answer.kind, answer.flags, answer.id) for answer in peer.sent()] == [(HEADERS, 5, 1)]
    peer.receive(frame(HEADERS, 5, 3, block(REQUEST) + b"\xbe"))
    assert peer.events[-1] == (3, "head", HEAD, ((b"x-later", b"value"),), True)


def test_oversized_trailers_end_their_stream():
    peer = Recorder().start()
    peer.receive(headers(1, ended=False))
    answers = peer.receive(headers(1, MANY[4:] * 2))
    assert [(answer.kind, answer.number) for answer in answers] == [(RST_STREAM, ENHANCE_YOUR_CALM)]
    assert peer.events[-1] == (1, "failed", ENHANCE_YOUR_CALM, Reason.HTTP2_TOO_MANY_FIELDS, False)


def test_an_oversized_response_ends_its_stream():
    peer = Recorder(server=False).start()
    peer.request()
    answers = peer.receive(headers(1, [(b":status", b"200"), *MANY[4:], *MANY[4:]]))
    assert [(answer.kind, answer.number) for answer in answers][-1] == (RST_STREAM, ENHANCE_YOUR_CALM)
    assert peer.events[-1] == (1, "failed", ENHANCE_YOUR_CALM, Reason.HTTP2_TOO_MANY_FIELDS, False)


def test_a_refused_request_is_told_with_what_is_known_of_it():
    peer = Recorder().start()
    peer.receive(headers(1, [*REQUEST, (b"connection", b"close")]))
    assert peer.events == [(0, "refused", b"/", PROTOCOL_ERROR, Reason.HTTP2_INVALID_FIELD)]
    assert not peer.connection.streams


def test_a_section_that_does_not_end_is_bounded_in_bytes():
    """CVE-2024-27919: HEADERS without END_HEADERS, and CONTINUATIONs for ever."""
    peer = Recorder().start()
    answers = peer.receive(frame(HEADERS, 0, 1, bytes(16384)))
    count = 0
    while not answers:
        count += 1
        answers = peer.receive(frame(CONTINUATION, 0, 1, bytes(16384)))
    assert count == 6 and answers[-1].kind == GOAWAY and answers[-1].number == ENHANCE_YOUR_CALM
    assert peer.events[-1][-1] is Reason.HTTP2_CONTINUATION_FLOOD


def test_a_section_that_does_not_end_is_bounded_in_frames():
    peer = Recorder().start()
    peer.receive(frame(HEADERS, 0, 1, b"\x82"))
    for _ in range(8):
        assert peer.receive(frame(CONTINUATION, 0, 1, b"\x82")) == []
    assert peer.receive(frame(CONTINUATION, 0, 1, b"\x82"))[-1].number == ENHANCE_YOUR_CALM


def test_a_section_that_does_not_end_is_bounded_in_time():
    peer = Recorder().start()
    assert peer.connection.block_since < 0.0
    peer.receive(frame(HEADERS, 1, 1, block(REQUEST)), 5.0)
    assert peer.connection.block_since == 5.0
    peer.receive(frame(CONTINUATION, 4, 1, b""), 15.0)
    assert peer.events[-1][1] == "head" and peer.connection.block_since < 0.0
    peer.receive(frame(HEADERS, 1, 3, block(REQUEST)), 20.0)
    assert peer.receive(frame(CONTINUATION, 4, 3, b""), 30.1)[-1].number == ENHANCE_YOUR_CALM


def test_late_frames_of_a_stream_that_we_reset_are_decoded_and_ignored():
    peer = Recorder().start()
    peer.receive(headers(1, ended=False))
    peer.connection.reset(peer.stream(1), 0)
    peer.sent()
    late = frame(HEADERS, 5, 1, literal(b"x-later", b"value", 0x40))
    assert peer.receive(data(1, b"late") + late) == []
    assert peer.receive(frame(HEADERS, 5, 3, block(REQUEST) + b"\xbe")) == []
    assert peer.events[-1] == (3, "head", HEAD, ((b"x-later", b"value"),), True)
    answers = peer.receive(data(1, b"after the end"))  # END_STREAM has come: nothing may follow
    assert [(answer.kind, answer.id, answer.number) for answer in answers] == [(RST_STREAM, 1, STREAM_CLOSED)]


def test_memory_of_closed_streams_is_bounded():
    peer = Recorder().start()
    now = 0.0
    for id in range(1, 2001, 2):
        now += 1.0
        peer.receive(headers(id, ended=False), now)
        peer.connection.send_head(peer.stream(id), RESPONSE_HEAD, NO_EDITS, True)
        peer.connection.reset(peer.stream(id), 0)
    assert len(peer.connection._resets) == 256 and not peer.connection._closed
    for id in range(2001, 3001, 2):
        peer.receive(headers(id))
        peer.connection.send_head(peer.stream(id), RESPONSE_HEAD, NO_EDITS, True)
    assert len(peer.connection._closed) == 128
    peer.sent()
    assert peer.receive(data(1999, b"late"), now) == []


def test_second_goaway_new_streams_are_not_looked_at_but_decoded():
    peer = Recorder().start()
    peer.receive(headers(1))
    peer.connection.drain()
    (first,) = peer.receive(headers(3))
    peer.connection.finish()
    (second,) = peer.sent()
    assert (first.kind, first.payload[:4]) == (GOAWAY, b"\x7f\xff\xff\xff")
    assert (second.kind, second.payload[:4], second.number) == (GOAWAY, b"\0\0\0\x03", 0)
    peer.events.clear()
    late = frame(HEADERS, 4, 5, block(REQUEST) + literal(b"x", b"y", 0x40))
    assert peer.receive(late + data(5, b"late") + data(5, b"", True)) == []
    assert peer.events == [] and [field.pair for field in peer.connection._decoder.table.entries] == [(b"x", b"y")]
    peer.connection.send_head(peer.stream(3), RESPONSE_HEAD, NO_EDITS, True)
    assert [answer.id for answer in peer.sent()] == [3]
    peer.receive(reset(1))
    assert not peer.connection.streams
    assert peer.receive(data(0))[-1].payload[:4] == b"\0\0\0\x03"  # a last GOAWAY does not say more
