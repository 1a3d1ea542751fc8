"""A stream's states as a table, and what becomes of frames for streams that are no more."""

from __future__ import annotations

import pytest

from nodemesh.proxy.http2.receiver import NOBODY
from nodemesh.proxy.http2.stream import (
    CLOSED,
    FOR_DATA,
    FOR_HEADERS,
    FOR_OTHERS,
    FORGOTTEN,
    LOCAL,
    ON_RECEIVED_END,
    ON_RESET,
    ON_SENT_END,
    OPEN,
    REMOTE,
    Http2Stream,
    Unsent,
)


@pytest.mark.parametrize(
    "events, state",
    [
        ([], OPEN),
        ([ON_SENT_END], LOCAL),
        ([ON_RECEIVED_END], REMOTE),
        ([ON_SENT_END, ON_RECEIVED_END], CLOSED),
        ([ON_RECEIVED_END, ON_SENT_END], CLOSED),
        ([ON_RESET], CLOSED),
        ([ON_SENT_END, ON_RESET], CLOSED),
        ([ON_RECEIVED_END, ON_RESET], CLOSED),
    ],
)
def test_states(events, state):
    stream = Http2Stream(1, NOBODY, 10, 10, 0.0)
    for event in events:
        assert stream.state != CLOSED
        stream.state = event[stream.state]
    assert stream.state == state
    assert stream.reading is (state in (OPEN, LOCAL)) and stream.writing is (state in (OPEN, REMOTE))


def test_a_side_ends_once():
    assert {ON_SENT_END[state] for state in (LOCAL, CLOSED)} == {-1}
    assert {ON_RECEIVED_END[state] for state in (REMOTE, CLOSED)} == {-1}


def test_what_is_about_to_end_is_not_written_to():
    stream = Http2Stream(1, NOBODY, 10, 10, 0.0)
    stream.waiting = Unsent()
    assert stream.writing and not stream.pending
    stream.waiting.finishing = True
    assert not stream.writing and stream.reading


def test_each_fate_has_its_action():
    assert len(FOR_DATA) == len(FOR_HEADERS) == len(FOR_OTHERS) == FORGOTTEN + 1
