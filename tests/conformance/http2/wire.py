"""Frames over sockets, for the tables of both sides against a running worker."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from tests.unit.proxy.http2.peer import Frame, frame, ping

from nodemesh.proxy.http2.codes import NO_ERROR
from nodemesh.proxy.http2.frames import ACK, DATA, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS

from .case import Alive, Answered, Case, Connection, Stream

TIMEOUT = 5.0

STILL_ON = b"still on"


class Wire:
    """One connection, whichever side we are."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frames: list[Frame] = []
        self.ended = False
        self._data = b""
        self._greeted = False

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # closed already: what it said before is to be read
            self.sock.sendall(data)

    def until(self, condition: Callable[[list[Frame]], bool]) -> list[Frame]:
        """Read on until the frames are as wanted, or the connection ends."""
        while not condition(self.frames) and not self.ended:
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            self.ended = not data
            self._data += data
            if not self._greeted:
                if self._data.startswith(PREFACE):
                    self._data = self._data[len(PREFACE) :]
                self._greeted = bool(data)
            self._cut()
        return self.frames

    def _cut(self) -> None:
        while len(self._data) >= 9:
            end = 9 + int.from_bytes(self._data[:3], "big")
            if len(self._data) < end:
                return
            one = Frame(self._data[3], self._data[4], int.from_bytes(self._data[5:9], "big"), self._data[9:end])
            self._data = self._data[end:]
            self.frames.append(one)
            if one.kind == SETTINGS and not one.flags & ACK:
                self.send(frame(SETTINGS, ACK))

    def settled(self) -> None:
        """Both have agreed on their settings; what was said until then is no answer."""
        self.until(lambda found: any(one.kind == SETTINGS and one.flags & ACK for one in found))
        assert not self.ended, self.frames
        self.frames.clear()

    def answered(self, payload: bytes = STILL_ON) -> bool:
        """Whether a PING comes back."""
        self.send(ping(payload))
        found = self.until(lambda found: (PING, payload) in [(one.kind, one.payload) for one in found])
        return (PING, payload) in [(one.kind, one.payload) for one in found]


def size_of(found: list[Frame]) -> int:
    """The bytes of all bodies."""
    return sum(len(one.payload) for one in found if one.kind == DATA)


def check(case: Case, wire: Wire) -> None:
    """What has come of a case's bytes, which are sent."""
    expected = case.expected
    if isinstance(expected, Connection):
        wire.until(lambda found: False)
        goodbye = [one for one in wire.frames if one.kind == GOAWAY]
        assert goodbye and goodbye[-1].number in expected.codes, wire.frames
        return
    if isinstance(expected, Stream):
        reset = (RST_STREAM, expected.id, expected.code)
        wire.until(lambda found: reset in [(one.kind, one.id, one.number) for one in found if one.kind == RST_STREAM])
        assert reset in [(one.kind, one.id, one.number) for one in wire.frames], wire.frames
    if isinstance(expected, Answered):
        wanted = sum(expected.data or ())  # how it is cut depends on when the pod's answer comes
        wire.until(lambda found: any(one.kind == HEADERS and one.id == expected.id for one in found))
        wire.until(lambda found: size_of(found) >= wanted)
        assert wire.answered(), wire.frames
        assert expected.data is None or size_of(wire.frames) == wanted, wire.frames
    assert wire.answered(b"going on"), wire.frames
    assert not [one for one in wire.frames if one.kind == GOAWAY], wire.frames
    if isinstance(expected, Alive | Answered):
        # Where the answer is complete, the rest of its request is not wanted any more (RFC 9113 section 8.1).
        assert not [one for one in wire.frames if one.kind == RST_STREAM and one.number != NO_ERROR], wire.frames
