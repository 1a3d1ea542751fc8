"""The codec alone against the tables of both sides."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.unit.proxy.http2.peer import (
    REQUEST,
    RESPONSE_HEAD,
    Log,
    Recorder,
    data,
    frame,
    headers,
    ping,
    settings,
)

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.codes import PROTOCOL_ERROR, REFUSED_STREAM
from nodemesh.proxy.http2.frames import ACK, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.reasons import Reason

from . import client, server
from .case import Alive, Case, Connection, check

BODY = b"hello world"


class Answer(Log):
    """A server's application: answers what is complete, unless it is asked to wait."""

    def head(self, head, ended):
        super().head(head, ended)
        if ended and not any(name == b"x-hold" for name, _ in head.fields):
            self.answer()

    def data(self, data, ended):
        taken = super().data(data, ended)
        if ended:
            self.answer()
        return taken

    def trailers(self, trailers):
        super().trailers(trailers)
        self.answer()

    def answer(self):
        connection = self.recorder.connection
        assert self.stream is not None
        connection.send_head(self.stream, RESPONSE_HEAD, NO_EDITS, False)
        connection.send_data(self.stream, BODY, True)


class Server(Recorder):
    def make(self, stream):
        return Answer(self)


def name(case: Case) -> str:
    return f"{case.section} {case.what}"


def test_the_tables_have_all_cases():
    counts = Counter(case.section.partition("/")[0] for case in server.CASES if not case.extra)
    assert counts.pop("generic") == 44 and counts.pop("hpack") == 8 and sum(counts.values()) == 95
    assert sum(not case.extra for case in client.CASES) >= 57


@pytest.mark.parametrize("case", server.CASES, ids=name)
def test_server(case):
    if case.what == "a wrong preface":
        peer = Server()
        answers = peer.receive(case.sent)
    elif case.what == "another frame than SETTINGS first":
        peer = Server()
        answers = peer.receive(PREFACE + ping())
    else:
        peer = Server()
        peer.start()
        answers = peer.receive(case.sent)
    check(case, peer, answers, 101)


@pytest.mark.parametrize("case", client.CASES, ids=name)
def test_client(case):
    peer = Recorder(server=False)
    if case.what == "another frame than SETTINGS first":
        answers = peer.receive(ping())
    else:
        peer.start()
        peer.request()
        peer.request(ended=False)
        peer.sent()
        answers = peer.receive(case.sent)
    check(case, peer, answers, 0)


def test_the_servers_greeting():
    peer = Server()
    first, second = peer.sent()
    assert (first.kind, first.flags) == (SETTINGS, 0)
    said = {first.payload[at + 1]: int.from_bytes(first.payload[at + 2 : at + 6], "big") for at in range(0, 30, 6)}
    assert said == {3: 1024, 4: 262144, 6: 61440, 9: 1, 8: 1}
    assert (second.kind, second.id, second.number) == (WINDOW_UPDATE, 0, 1024 * 1024 - 65535)
    assert peer.receive(PREFACE + settings()) == [(SETTINGS, ACK, 0, b"")]


def test_the_clients_greeting():
    peer = Recorder(server=False)
    greeting = peer.connection.outgoing()
    assert greeting.startswith(PREFACE + b"\0\0\x18\x04\0\0\0\0\0" + b"\0\x02\0\0\0\0")  # ENABLE_PUSH 0


def test_streams_beyond_the_limit_are_refused_and_the_others_live():
    peer = Recorder(limits=Http2Limits(streams=1024)).start()
    answers = []
    for id in range(1, 2 * 1024 + 3, 2):
        answers += peer.receive(headers(id, ended=False))
    assert answers == [(RST_STREAM, 0, 2049, REFUSED_STREAM.to_bytes(4, "big"))]
    assert peer.events[-1] == (0, "refused", b"/", REFUSED_STREAM, Reason.HTTP2_STREAM_REFUSED)
    assert len(peer.connection.streams) == 1024
    peer.events.clear()
    peer.receive(data(1, b"x", True) + data(2047, b"x", True))
    assert [event[0] for event in peer.events] == [1, 2047]
    peer.connection.send_head(peer.stream(1), RESPONSE_HEAD, NO_EDITS, True)
    assert [answer.id for answer in peer.sent()] == [1]
    assert peer.receive(headers(2051)) == []  # a place is free again
    assert peer.events[-1][1] == "head"


def test_a_burst_before_the_client_knows_our_limit_costs_only_the_excess():
    peer = Recorder(limits=Http2Limits(streams=10))
    answers = peer.receive(PREFACE + settings() + b"".join(headers(id, ended=False) for id in range(1, 1001, 2)))
    assert sum(answer.kind == RST_STREAM for answer in answers) == 490 and answers[-1].kind != GOAWAY
    assert len(peer.connection.streams) == 10


def test_malformed_requests_leave_their_neighbours_alone():
    peer = Server().start()
    peer.receive(headers(1, ended=False))
    for number, case in enumerate(server.MESSAGES):
        if isinstance(case.expected, Connection | Alive):
            continue
        id = 2 * number + 3
        moved = case.sent.replace(b"\0\0\0\x01", id.to_bytes(4, "big"))
        answers = peer.receive(moved)
        assert [(answer.kind, answer.id, answer.number) for answer in answers] == [(RST_STREAM, id, PROTOCOL_ERROR)]
    assert [answer.id for answer in peer.receive(data(1, b"x", True)) if answer.kind == HEADERS] == [1]


def test_the_usual_frames_of_the_tables_are_what_a_peer_sends():
    """The block that all cases build on is well-formed: else every refusal would pass."""
    peer = Server().start()
    peer.receive(headers(1, REQUEST) + frame(SETTINGS, ACK))
    assert peer.events[0] == (1, "head", (b"POST", b"http", b"a", b"/", b""), (), True)
