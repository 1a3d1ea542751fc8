"""One row of a conformance table: what a peer sends after the handshake, and what has to come of it."""

from __future__ import annotations

from typing import NamedTuple

from tests.unit.proxy.http2.peer import Frame, Recorder, headers, ping

from nodemesh.proxy.http2.frames import DATA as DATA_FRAME
from nodemesh.proxy.http2.frames import GOAWAY, HEADERS, PING, RST_STREAM


class Connection(NamedTuple):
    """A connection error: GOAWAY with one of these codes, and nothing after it."""

    codes: tuple[int, ...]


class Stream(NamedTuple):
    """A stream error: RST_STREAM with this code; all else goes on."""

    id: int
    code: int


class Answered(NamedTuple):
    """A response's HEADERS come on this stream, and, where `data` says so, DATA frames of these sizes."""

    id: int = 1
    data: tuple[int, ...] | None = None


class Alive(NamedTuple):
    """Nothing happens, and PING is answered."""


class Case(NamedTuple):
    """`section` as h2spec has it, with `extra` for what it does not test."""

    section: str
    what: str
    sent: bytes
    expected: Connection | Stream | Answered | Alive
    extra: bool = False


def check(case: Case, peer: Recorder, answers: list[Frame], next_id: int) -> None:
    """Fails where the answers are others than expected. A server is asked once more with a request on `next_id`."""
    connection = peer.connection
    expected = case.expected
    if isinstance(expected, Connection):
        assert answers[-1].kind == GOAWAY and answers[-1].number in expected.codes, answers
        assert connection.broken and not connection.streams
        assert peer.receive(ping()) == []  # nothing is read any more
        assert peer.events[-1][1] == "broken"
        return
    assert not [answer for answer in answers if answer.kind == GOAWAY]
    resets = [(answer.id, answer.number) for answer in answers if answer.kind == RST_STREAM]
    if isinstance(expected, Stream):
        assert resets == [(expected.id, expected.code)]
        assert expected.id not in connection.streams
    else:
        assert not resets
    if isinstance(expected, Answered):
        assert [answer.id for answer in answers if answer.kind == HEADERS][-1:] == [expected.id]
        if expected.data is not None:
            sizes = tuple(len(answer.payload) for answer in answers if answer.kind == DATA_FRAME)
            assert sizes == expected.data
    assert [answer.payload for answer in peer.receive(ping(b"still on")) if answer.kind == PING] == [b"still on"]
    if connection.server and not connection.leaving:
        assert [answer.id for answer in peer.receive(headers(next_id)) if answer.kind == HEADERS] == [next_id]
