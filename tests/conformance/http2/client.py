"""A client's cases: h2spec's 57 and ours. Stream 1 is a complete request, of stream 3 the body is on its way."""

from __future__ import annotations

from tests.unit.proxy.http2.peer import RESPONSE, block, data, frame, headers, ping, reset, settings, update

from nodemesh.proxy.http2.codes import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
)
from nodemesh.proxy.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    MAX_31,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)

from .case import Alive, Case, Connection, Stream

BLOCK = block(RESPONSE)
HEAD = headers(1, RESPONSE, False)
WHOLE = headers(1, RESPONSE)
BEGUN = frame(HEADERS, 0, 1, BLOCK)

BROKEN = Connection((PROTOCOL_ERROR,))
SIZED = Connection((FRAME_SIZE_ERROR,))
FLOW = Connection((FLOW_CONTROL_ERROR,))
HPACK = Connection((COMPRESSION_ERROR,))
MALFORMED = Stream(1, PROTOCOL_ERROR)

CONNECT, PUSH, STREAMS, WINDOW, FRAME = 8, 2, 3, 4, 5


def response(*fields: tuple[bytes, bytes], ended: bool = True) -> bytes:
    return headers(1, list(fields), ended)


FRAMING = [
    Case("3.5", "preface and SETTINGS come from us", b"", Alive()),
    Case("4.1", "an unknown type", frame(0x16, 0, 0, b"abc"), Alive()),
    Case("4.1", "undefined flags", ping(b"12345678", 0xFE), Alive()),
    Case("4.1", "the reserved bit", frame(PING, 0, 1 << 31, b"12345678"), Alive()),
    Case("4.2", "DATA of 16384", HEAD + data(1, bytes(16384)), Alive()),
    Case("4.2", "DATA of 16385", HEAD + data(1, bytes(16385)), SIZED),
    Case("4.2", "HEADERS of 16385", frame(HEADERS, 4, 1, bytes(16385)), SIZED),
    Case("4.3", "a broken block", frame(HEADERS, 5, 1, b"\x00\x00\x00\x00\x7f"), HPACK),
    Case("4.3", "PRIORITY inside a block", BEGUN + frame(PRIORITY, 0, 1, bytes(5)), BROKEN),
    Case("4.3", "HEADERS inside a block", BEGUN + headers(3, RESPONSE), BROKEN),
    Case("5.1", "idle: DATA", data(9, b"test"), BROKEN),
    Case("5.1", "idle: HEADERS", headers(9, RESPONSE), BROKEN),
    Case("5.1", "idle: RST_STREAM", reset(9), BROKEN),
    Case("5.1", "idle: WINDOW_UPDATE", update(9, 1), BROKEN),
    Case("5.1", "idle: CONTINUATION", frame(CONTINUATION, 4, 9, BLOCK), BROKEN),
    Case("5.1", "closed by RST_STREAM: DATA", reset(1) + data(1, b"test"), Stream(1, STREAM_CLOSED)),
    Case("5.1", "closed by RST_STREAM: HEADERS", reset(1) + WHOLE, Stream(1, STREAM_CLOSED)),
    Case("5.1", "closed by RST_STREAM: CONTINUATION", reset(1) + frame(CONTINUATION, 4, 1, BLOCK), BROKEN),
    Case("5.1", "closed: DATA", WHOLE + data(1, b"test"), Stream(1, STREAM_CLOSED)),
    Case("5.1", "closed: HEADERS", WHOLE + WHOLE, Connection((STREAM_CLOSED,))),
    Case("5.1", "closed: CONTINUATION", WHOLE + frame(CONTINUATION, 4, 1, BLOCK), BROKEN),
    Case("5.1.1", "a stream of the server's", headers(2, RESPONSE), BROKEN),
    Case("5.4.1", "an invalid PING: GOAWAY", frame(PING, 0, 0, b"1234567"), SIZED),
    Case("5.4.1", "an invalid PING: the end", frame(PING, 0, 0, b"123456789"), SIZED),
    Case("5.5", "an unknown frame between responses", frame(0xFF, 0, 0, bytes(8)), Alive()),
    Case("5.5", "an unknown frame inside a block", BEGUN + frame(0xFF, 0, 0, b""), BROKEN),
    Case("6.1", "DATA on stream 0", data(0, b"test"), BROKEN),
    Case("6.1", "DATA on a stream that is not open", WHOLE + data(1, b"test"), Stream(1, STREAM_CLOSED)),
    Case("6.1", "DATA with padding too long", HEAD + frame(DATA, PADDED, 1, b"\x06test"), BROKEN),
    Case("6.2", "HEADERS, then PRIORITY", BEGUN + frame(PRIORITY, 0, 1, bytes(5)), BROKEN),
    Case("6.2", "HEADERS on stream 0", headers(0, RESPONSE), BROKEN),
    Case("6.2", "HEADERS with padding too long", frame(HEADERS, 0xC, 1, b"\xff" + BLOCK), BROKEN),
    Case("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(5)), BROKEN),
    Case("6.3", "PRIORITY of 4 octets", HEAD + frame(PRIORITY, 0, 1, bytes(4)), Stream(1, FRAME_SIZE_ERROR)),
    Case("6.4", "RST_STREAM on stream 0", reset(0), BROKEN),
    Case("6.4", "RST_STREAM on an idle stream", reset(9), BROKEN),
    Case("6.4", "RST_STREAM of 3 octets", frame(RST_STREAM, 0, 1, bytes(3)), SIZED),
    Case("6.5", "SETTINGS ACK with payload", frame(SETTINGS, ACK, 0, bytes(6)), SIZED),
    Case("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1), BROKEN),
    Case("6.5", "SETTINGS of 3 octets", frame(SETTINGS, 0, 0, bytes(3)), SIZED),
    Case("6.5.2", "ENABLE_PUSH 1 from a server", settings((PUSH, 1)), BROKEN),
    Case("6.5.2", "INITIAL_WINDOW_SIZE 2^31", settings((WINDOW, 1 << 31)), FLOW),
    Case("6.5.2", "MAX_FRAME_SIZE 16383", settings((FRAME, 16383)), BROKEN),
    Case("6.5.2", "MAX_FRAME_SIZE 2^24", settings((FRAME, 1 << 24)), BROKEN),
    Case("6.5.2", "an unknown identifier", settings((0xFF, 1)), Alive()),
    Case("6.5.3", "SETTINGS is acknowledged", settings(), Alive()),
    Case("6.7", "PING", ping(), Alive()),
    Case("6.7", "PING with ACK", ping(b"invalid!", ACK), Alive()),
    Case("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), BROKEN),
    Case("6.7", "PING of 6 octets", frame(PING, 0, 0, bytes(6)), SIZED),
    Case("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), BROKEN),
    Case("6.9", "WINDOW_UPDATE of 0", update(0, 0), BROKEN),
    Case("6.9", "WINDOW_UPDATE of 0 on a stream", update(1, 0), MALFORMED),
    Case("6.9", "WINDOW_UPDATE of 3 octets", frame(WINDOW_UPDATE, 0, 0, bytes(3)), SIZED),
    Case("6.9.1", "the connection over 2^31-1", update(0, MAX_31) * 2, FLOW),
    Case("6.9.1", "a stream over 2^31-1", update(1, MAX_31) * 2, Stream(1, FLOW_CONTROL_ERROR)),
    Case("6.10", "CONTINUATION, then DATA", BEGUN + frame(CONTINUATION, 0, 1, b"") + data(1, b"test"), BROKEN),
    Case("6.10", "CONTINUATION on stream 0", BEGUN + frame(CONTINUATION, 4, 0, b""), BROKEN),
    Case("6.10", "CONTINUATION after HEADERS' end", HEAD + frame(CONTINUATION, 4, 1, b""), BROKEN),
    Case("6.10", "CONTINUATION after DATA", HEAD + data(1, b"a") + frame(CONTINUATION, 4, 1, b""), BROKEN),
]

INTERIM = response((b":status", b"103"), ended=False)

EXTRA = [
    Case("8.4", "PUSH_PROMISE", frame(PUSH_PROMISE, 4, 1, b"\0\0\0\x02" + BLOCK), BROKEN, True),
    Case("8.3.2", "no :status", response((b"x", b"y")), MALFORMED, True),
    Case("8.3.2", "two :status", response((b":status", b"200"), (b":status", b"200")), MALFORMED, True),
    Case("8.3.2", ":status of four digits", response((b":status", b"2000")), MALFORMED, True),
    Case("8.3.2", "a request's pseudo field", response((b":status", b"200"), (b":path", b"/")), MALFORMED, True),
    Case("8.6", ":status 101", response((b":status", b"101"), ended=False), MALFORMED, True),
    Case("8.1", "interim with END_STREAM", response((b":status", b"103")), MALFORMED, True),
    Case("8.1", "16 interim responses", INTERIM * 16 + WHOLE, Alive(), True),
    Case("8.1", "17 interim responses", INTERIM * 17, Stream(1, ENHANCE_YOUR_CALM), True),
    Case("8.1", "DATA before HEADERS", data(1, b"test"), MALFORMED, True),
    Case("8.1", "trailers without END_STREAM", HEAD + HEAD, MALFORMED, True),
    Case("8.2", "an upper-case name", response(*RESPONSE, (b"X-A", b"b")), MALFORMED, True),
    Case("8.2.2", "connection", response(*RESPONSE, (b"connection", b"close")), MALFORMED, True),
    Case("8.1.1", "less than content-length", response(*RESPONSE, (b"content-length", b"1")), MALFORMED, True),
    Case("8.1.1", "content-length of a 304", response((b":status", b"304"), (b"content-length", b"9")), Alive(), True),
    Case(
        "8.1.1",
        "a body of a 204",
        response((b":status", b"204"), ended=False) + data(1, b"a", True),
        MALFORMED,
        True,
    ),
    Case(
        "6.5.2",
        "MAX_CONCURRENT_STREAMS below what is open",
        settings((STREAMS, 1)) + WHOLE + headers(3, RESPONSE),
        Alive(),
        True,
    ),
    Case("8441/3", "ENABLE_CONNECT_PROTOCOL 1, then 0", settings((CONNECT, 1)) + settings((CONNECT, 0)), BROKEN, True),
    Case("3.4", "another frame than SETTINGS first", b"", BROKEN, True),  # `test_codec` sends it
]

CASES = [*FRAMING, *EXTRA]
