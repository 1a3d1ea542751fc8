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
    OPEN,
    RECEIVED_END,
    REMOTE,
    RESET,
    SENT_END,
    Http2Stream,
)


@pytest.mark.parametrize(
    "events, state",
    [
        ([], OPEN),
        ([SENT_END], LOCAL),
        ([RECEIVED_END], REMOTE),
        ([SENT_END, RECEIVED_END], CLOSED),
        ([RECEIVED_END, SENT_END], CLOSED),
        ([RESET], CLOSED),
        ([SENT_END, RESET], CLOSED),
        ([RECEIVED_END, RESET], CLOSED),
    ],
)
def test_states(events, state):
    stream = Http2Stream(1, NOBODY, 10, 10, 0.0)
    over = False
    for event in events:
        assert not over
        over = stream.advance(event)
    assert stream.state == state and over is (state == CLOSED)
    assert stream.reading is (state in (OPEN, LOCAL)) and stream.writing is (state in (OPEN, REMOTE))


def test_what_is_about_to_end_is_not_written_to():
    stream = Http2Stream(1, NOBODY, 10, 10, 0.0)
    stream.finishing = True
    assert not stream.writing and stream.reading


def test_each_fate_has_its_action():
    assert len(FOR_DATA) == len(FOR_HEADERS) == len(FOR_OTHERS) == FORGOTTEN + 1
