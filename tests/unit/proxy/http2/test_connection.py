"""The incoming half: frames cut anywhere, floods that end the connection, and what is kept meanwhile."""

from __future__ import annotations

import pytest
from tests.unit.proxy.http2.peer import (
    REQUEST,
    RESPONSE,
    RESPONSE_HEAD,
    Log,
    Recorder,
    block,
    data,
    frame,
    headers,
    ping,
    reset,
    settings,
    update,
)

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.codes import ENHANCE_YOUR_CALM, INTERNAL_ERROR, NAMES, name_of
from nodemesh.proxy.http2.fault import Http2Fault
from nodemesh.proxy.http2.frames import CONTINUATION, GOAWAY, HEADERS, PRIORITY, RST_STREAM
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.reasons import TEXTS, Reason


def flood(peer: Recorder, frames, most: int = 20_000, per_second: float = 0.0) -> int:
    """Send the peer's frames until the connection ends; returns how many it took."""
    for count, sent in enumerate(frames):
        answers = peer.receive(sent, count / per_second if per_second else 0.0)
        if peer.connection.broken:
            assert (answers[-1].kind, answers[-1].number) == (GOAWAY, ENHANCE_YOUR_CALM)
            return count
        assert count < most
    return -1


def ids():
    return range(1, 1 << 20, 2)


def test_codes_have_names():
    assert name_of(11) == "ENHANCE_YOUR_CALM" and name_of(13) == NAMES[-1] and name_of(99) == "code 99"


def test_each_reason_has_its_text():
    for reason in Reason:
        assert reason in TEXTS
    assert len({TEXTS[reason].details for reason in Reason if reason.name.startswith("HTTP2_")}) == 15


def test_rapid_reset():
    """CVE-2023-44487."""
    peer = Recorder(limits=Http2Limits(streams=100)).start()
    assert flood(peer, (headers(id) + reset(id) for id in ids())) == 100
    assert peer.events[-1][2:] == (ENHANCE_YOUR_CALM, Reason.HTTP2_RESET_FLOOD)
    assert not peer.connection.streams


def test_rapid_reset_that_takes_its_time():
    peer = Recorder(limits=Http2Limits(streams=100)).start()
    assert 190 <= flood(peer, (headers(id) + reset(id) for id in ids()), per_second=200.0) <= 210


def test_calls_that_come_to_their_deadline_together_are_no_attack():
    """An upstream hangs, and a client gives all its calls up, again and again."""
    peer = Recorder().start()
    now = 0.0
    for first in range(1, 20_000, 2048):
        ids = range(first, first + 2048, 2)
        peer.receive(b"".join(headers(id) for id in ids), now)
        peer.receive(b"".join(reset(id) for id in ids), now + 1.0)
        now += 1.0
    assert not peer.connection.broken and not peer.connection.streams


def test_resets_of_streams_that_are_answered_are_no_attack():
    peer = Recorder().start()
    for id in range(1, 4001, 2):
        peer.receive(headers(id))
        peer.connection.send_head(peer.stream(id), RESPONSE_HEAD, NO_EDITS, False)
        peer.receive(reset(id))
    assert not peer.connection.broken


@pytest.mark.parametrize(
    "trick",
    [
        lambda id: update(id, 0),
        lambda id: update(id, 2**31 - 1) * 2,
        lambda id: frame(PRIORITY, 0, id, bytes(4)),
        lambda id: data(id, b"x"),
        lambda id: headers(id),
    ],
)
def test_made_you_reset(trick):
    """CVE-2025-8671: the client has us reset what we have begun to work on."""
    peer = Recorder(limits=Http2Limits(streams=100)).start()
    assert flood(peer, (headers(id) + trick(id) for id in ids())) <= 100
    assert peer.events[-1][3] is Reason.HTTP2_RESET_FLOOD and not peer.connection.streams


def test_malformed_requests_are_not_for_ever():
    peer = Recorder(limits=Http2Limits(streams=100)).start()
    assert flood(peer, (headers(id, [(b"X", b"")]) for id in ids())) == 100


def test_excess_streams_are_not_for_ever_once_the_limit_is_known():
    peer = Recorder(limits=Http2Limits(streams=1)).start()
    assert flood(peer, (headers(id, ended=False) for id in ids())) == 101


@pytest.mark.parametrize(
    "sent, most, reason",
    [
        (ping(), 100, Reason.HTTP2_CONTROL_FLOOD),
        (ping(b"12345678", 1), 100, Reason.HTTP2_CONTROL_FLOOD),
        (settings(), 98, Reason.HTTP2_CONTROL_FLOOD),
        (settings((4, 1)), 98, Reason.HTTP2_CONTROL_FLOOD),
        (frame(GOAWAY, 0, 0, bytes(8)), 100, Reason.HTTP2_CONTROL_FLOOD),
        (frame(PRIORITY, 0, 1, bytes(5)), 100, Reason.HTTP2_IDLE_FRAMES_FLOOD),
        (frame(0x10, 0, 0, bytes(5)), 100, Reason.HTTP2_IDLE_FRAMES_FLOOD),
        (frame(0xBB, 0, 7, bytes(5)), 100, Reason.HTTP2_IDLE_FRAMES_FLOOD),
        (update(0, 1), 100, Reason.HTTP2_WINDOW_UPDATE_FLOOD),
    ],
)
def test_floods(sent, most, reason):
    peer = Recorder().start()
    assert flood(peer, iter(lambda: sent, None)) == most
    assert peer.events[-1][3] is reason


@pytest.mark.parametrize(
    "sent, reason",
    [
        (data(1), Reason.HTTP2_EMPTY_FRAMES_FLOOD),
        (frame(0, 8, 1, b"\0"), Reason.HTTP2_EMPTY_FRAMES_FLOOD),
        (update(1, 1), Reason.HTTP2_WINDOW_UPDATE_FLOOD),
    ],
)
def test_floods_on_a_stream(sent, reason):
    peer = Recorder().start()
    peer.receive(headers(1, ended=False))
    assert flood(peer, iter(lambda: sent, None)) <= 110
    assert peer.events[-1][3] is reason


@pytest.mark.parametrize("sent", [data(1), reset(1), update(1, 1)])
def test_floods_on_a_closed_stream(sent):
    peer = Recorder().start()
    peer.receive(headers(1))
    peer.connection.send_head(peer.stream(1), RESPONSE_HEAD, NO_EDITS, True)
    assert flood(peer, iter(lambda: sent, None)) <= 200


def test_empty_continuations():
    peer = Recorder().start()
    peer.connection.limits.continuations = 1000
    peer.receive(frame(HEADERS, 0, 1, b"\x82"))
    assert flood(peer, iter(lambda: frame(CONTINUATION, 0, 1, b""), None)) == 10


def test_ordinary_traffic_is_no_flood():
    """A client that measures bandwidth sends PING and WINDOW_UPDATE for what comes; ten thousand calls, no reset."""
    peer = Recorder().start()
    for id in range(1, 20_001, 2):
        peer.receive(headers(id, ended=False) + data(id, b"x" * 50, True) + ping() + update(0, 50))
        peer.connection.send_head(peer.stream(id), RESPONSE_HEAD, NO_EDITS, False)
        peer.connection.send_data(peer.stream(id), b"x" * 50, False)
        peer.connection.send_trailers(peer.stream(id), [b"grpc-status: 0"])
        peer.sent()
        peer.events.clear()
    assert not peer.connection.broken and not peer.connection.streams


def test_bytes_kept_of_a_frame_are_bounded_and_copied_once():
    peer = Recorder().start()
    peer.receive(headers(1, ended=False))
    whole = data(1, bytes(16384))
    for byte in range(len(whole) - 1):
        peer.connection.receive(whole[byte : byte + 1], 0.0)
    assert peer.connection.held == len(whole) - 1
    peer.receive(whole[-1:])
    assert peer.events[-1][:2] == (1, "data") and not peer.connection.held


def test_what_comes_with_the_last_stream_of_a_turn_is_read_and_the_next_stream_waits():
    peer = Recorder().start()
    asked = [headers(id, ended=False) + data(id, b"x", True) for id in (1, 3, 5)]
    peer.connection.quota = 2
    peer.receive(asked[0] + asked[1])
    ends = [event for event in peer.events if event[1] == "data"]
    assert [event[0] for event in ends] == [1, 3] and not peer.connection.held and not peer.connection.stalled
    peer.receive(ping() + asked[2])
    assert len(peer.events) == 4 and peer.connection.held == len(asked[2]) and peer.connection.stalled
    peer.receive(ping())  # more of it changes nothing
    assert len(peer.events) == 4 and peer.connection.held == len(asked[2] + ping())
    peer.connection.quota = 1
    peer.receive(b"")
    assert [event[:2] for event in peer.events[4:]] == [(5, "head"), (5, "data")] and not peer.connection.held


def test_a_frame_that_is_too_long_is_found_out_by_its_header():
    peer = Recorder().start()
    assert peer.receive(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01")[-1].kind == GOAWAY


def test_nothing_is_read_after_a_connection_error():
    peer = Recorder().start()
    answers = peer.receive(headers(1) + data(0, b"x") + headers(3) + ping())
    assert [event[1] for event in peer.events] == ["head", "released", "failed", "broken"]
    assert answers[-1].payload == b"\0\0\0\x01\0\0\0\x01" + b"DATA on a stream that has not begun"
    assert peer.receive(headers(5)) == [] and len(peer.events) == 4


def test_a_malformed_field_does_not_make_a_long_text():
    """Texts go into logs: of a peer's bytes they have a part only."""
    faults = []
    peer = Recorder().start()
    peer.refused = lambda head, fault: faults.append(fault.text)
    peer.receive(headers(1, [(b"X" * 5000, b"y" * 5000)]))
    assert len(faults) == 1 and len(faults[0]) < 80


def test_a_role_may_do_anything_from_inside_a_call():
    """A receiver that resets its own stream, and its neighbour, while it is called."""
    peer = Recorder().start()
    peer.receive(headers(1, ended=False) + headers(3, ended=False))
    one, two = peer.stream(1), peer.stream(3)

    def failed(fault):
        peer.connection.reset(one, 8)
        peer.connection.reset(two, 8)

    peer.receivers[1].failed = failed
    answers = peer.receive(update(1, 0))
    assert [(answer.kind, answer.id) for answer in answers] == [(RST_STREAM, 1), (RST_STREAM, 3)]
    assert not peer.connection.streams


def test_nothing_is_read_once_its_user_has_let_the_connection_go():
    peer = Recorder().start()
    fault = Http2Fault(INTERNAL_ERROR, Reason.DOWNSTREAM_CONNECTION_TERMINATION, "gone")
    peer.receive(headers(1, ended=False))

    def leave(data, ended):
        peer.connection.lost(fault)
        return False

    peer.receivers[1].data = leave
    peer.receive(data(1, b"x") + headers(3))
    assert [event[:2] for event in peer.events] == [(1, "head"), (1, "released"), (1, "failed")]


@pytest.mark.parametrize("fields", [REQUEST, REQUEST * 40])
@pytest.mark.parametrize("deed", ["reset", "lost"])
def test_a_stream_that_is_let_go_when_it_opens_has_no_head(deed, fields):
    peer = Recorder().start()
    fault = Http2Fault(INTERNAL_ERROR, Reason.DOWNSTREAM_CONNECTION_TERMINATION, "gone")

    def opened(stream):
        if deed == "reset":
            peer.connection.reset(stream, INTERNAL_ERROR)
        else:
            peer.connection.lost(fault)
        return Log(peer)

    peer.opened = opened
    peer.receive(headers(1, fields))
    assert peer.events == [(1, "released")] and not peer.connection.streams


def test_a_block_is_kept_while_it_is_not_complete_and_no_longer():
    peer = Recorder().start()
    peer.receive(frame(HEADERS, 1, 1, block(RESPONSE)))
    assert peer.connection.held == len(block(RESPONSE))
    peer.receive(frame(CONTINUATION, 4, 1, b""))
    assert peer.connection.held == 0
