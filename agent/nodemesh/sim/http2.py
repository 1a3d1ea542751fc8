"""HTTP/2 as the simulator's clients and upstreams speak it: our frames and field sections, and no more rules than a
well-behaved peer needs."""

from __future__ import annotations

import msgspec

from ..proxy.http2.decoder import Decoder
from ..proxy.http2.encoder import Encoder
from ..proxy.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    MAX_31,
    MAX_FRAME,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    WINDOW_UPDATE,
    begin,
    write_block,
    write_ping,
    write_reset,
    write_settings,
    write_window_update,
)
from ..proxy.http2.limits import Http2Limits
from ..proxy.http2.settings import DEFAULT_WINDOW, INITIAL_WINDOW_SIZE

Fields = list[tuple[bytes, bytes]]

CONNECTION = b"\x00\x00\x00\x00"


class SimStreamEvent(msgspec.Struct):
    """What has come on a stream: fields (a head, or trailers), a part of the body, its end, or a reset's code (-1:
    none). `goaway` is of the whole connection."""

    stream: int
    fields: Fields = []
    data: bytes = b""
    ended: bool = False
    reset: int = -1
    goaway: bool = False


class SimHttp2Connection:
    """One end. `receive` takes bytes and gives events; what is to be sent gathers in `out`."""

    def __init__(self, client: bool) -> None:
        own = write_settings([(INITIAL_WINDOW_SIZE, MAX_31)])
        grant = write_window_update(CONNECTION, MAX_31 - DEFAULT_WINDOW)
        self.out = (PREFACE if client else b"") + own + grant
        self._encoder = Encoder()
        self._decoder = Decoder(Http2Limits())
        self._data = b""
        self._preface = b"" if client else PREFACE
        self._next = 1
        self._block = b""
        self._initial = DEFAULT_WINDOW
        self._window = DEFAULT_WINDOW
        self._windows: dict[int, int] = {}
        self._waiting: list[tuple[int, bytes, bool]] = []

    def open(self) -> int:
        """A new stream of a client."""
        self._next += 2
        return self._next - 2

    def send_fields(self, stream: int, fields: Fields, ended: bool) -> None:
        self._waiting.append(
            (stream, write_block(name(stream), self._encoder.encode(fields, ()), ended, MAX_FRAME), True)
        )
        self._flush()

    def send_data(self, stream: int, data: bytes, ended: bool) -> None:
        for start in range(0, max(len(data), 1), MAX_FRAME):
            piece = data[start : start + MAX_FRAME]
            last = ended and start + MAX_FRAME >= len(data)
            frame = begin(len(piece), DATA, END_STREAM if last else 0) + name(stream) + piece
            self._waiting.append((stream, frame, False))
        self._flush()

    def reset(self, stream: int, code: int) -> None:
        self._waiting = [entry for entry in self._waiting if entry[0] != stream]
        self.out += write_reset(name(stream), code)

    def take(self) -> bytes:
        """What is to be sent."""
        out, self.out = self.out, b""
        return out

    def receive(self, data: bytes) -> list[SimStreamEvent]:
        self._data += data
        if self._preface:
            if len(self._data) < len(self._preface):
                return []
            self._data, self._preface = self._data[len(self._preface) :], b""
        events: list[SimStreamEvent] = []
        while len(self._data) >= HEADER_SIZE:
            end = HEADER_SIZE + int.from_bytes(self._data[:3], "big")
            if len(self._data) < end:
                break
            kind, flags, stream = self._data[3], self._data[4], int.from_bytes(self._data[5:9], "big") & MAX_31
            payload, self._data = self._data[HEADER_SIZE:end], self._data[end:]
            self._frame(kind, flags, stream, payload, events)
        return events

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes, events: list[SimStreamEvent]) -> None:
        if kind in (HEADERS, CONTINUATION):
            self._block += payload
            if flags & END_HEADERS:
                fields = [field.pair for field in self._decoder.read(self._block).fields]
                self._block = b""
                events.append(SimStreamEvent(stream, fields=fields, ended=bool(flags & END_STREAM)))
            elif flags & END_STREAM:
                events.append(SimStreamEvent(stream, ended=True))
        elif kind == DATA:
            if payload:
                self.out += write_window_update(CONNECTION, len(payload))
            events.append(SimStreamEvent(stream, data=payload, ended=bool(flags & END_STREAM)))
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(payload)
        elif kind == PING and not flags & ACK:
            self.out += write_ping(payload, ACK)
        elif kind == WINDOW_UPDATE:
            self._grant(stream, int.from_bytes(payload, "big"))
        elif kind == RST_STREAM:
            events.append(SimStreamEvent(stream, reset=int.from_bytes(payload, "big")))
        elif kind == GOAWAY:
            events.append(SimStreamEvent(stream, goaway=True))

    def _take_settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            if int.from_bytes(payload[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
                size = int.from_bytes(payload[at + 2 : at + 6], "big")
                self._windows = {stream: left + size - self._initial for stream, left in self._windows.items()}
                self._initial = size
        self.out += SETTINGS_ACK
        self._flush()

    def _grant(self, stream: int, size: int) -> None:
        if stream:
            self._windows[stream] = self._windows.get(stream, self._initial) + size
        else:
            self._window += size
        self._flush()

    def _flush(self) -> None:
        """Send what the windows let pass, each stream in its order (RFC 9113 section 5.2)."""
        held: set[int] = set()
        left = []
        for stream, frame, free in self._waiting:
            size = 0 if free else len(frame) - HEADER_SIZE
            window = self._windows.get(stream, self._initial)
            if stream in held or size > min(window, self._window):
                held.add(stream)
                left.append((stream, frame, free))
                continue
            if size:
                self._windows[stream] = window - size
                self._window -= size
            self.out += frame
        self._waiting = left


def name(stream: int) -> bytes:
    """A stream's id as frames have it."""
    return stream.to_bytes(4, "big")
