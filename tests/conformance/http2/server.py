"""A server's cases: h2spec's 147, in its order, and what RFC 9113 and the floods of later years ask in addition."""

from __future__ import annotations

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from tests.unit.proxy.http2.peer import (
    REQUEST,
    block,
    data,
    frame,
    headers,
    literal,
    ping,
    prefixed,
    reset,
    settings,
    update,
)

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
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_31,
    PADDED,
    PING,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)

from .case import Alive, Answered, Case, Connection, Stream

BLOCK = block(REQUEST)
GET = [(b":method", b"GET"), *REQUEST[1:]]
OPEN = headers(1, ended=False)
HALF_OPEN = headers(1)  # answered at once: the stream is closed
HELD = headers(1, [*REQUEST, (b"x-hold", b"yes")])  # not answered: half-closed (remote)

BROKEN = Connection((PROTOCOL_ERROR,))
SIZED = Connection((FRAME_SIZE_ERROR,))
FLOW = Connection((FLOW_CONTROL_ERROR,))
HPACK = Connection((COMPRESSION_ERROR,))
CLOSED = Connection((STREAM_CLOSED,))
MALFORMED = Stream(1, PROTOCOL_ERROR)
DEPENDENCY = b"\x00\x00\x00\x03\x10"

TABLE_SIZE, PUSH, STREAMS, WINDOW, FRAME, CONNECT = 1, 2, 3, 4, 5, 8


def message(*fields: tuple[bytes, bytes], without: bytes | None = None, ended: bool = True) -> bytes:
    """A request on stream 1 with these fields behind the usual ones, less those of one name."""
    return headers(1, [field for field in [*REQUEST, *fields] if field[0] != without], ended)


def coded(*parts: bytes) -> bytes:
    """A request on stream 1 whose block goes on with these bytes."""
    return frame(HEADERS, END_HEADERS | END_STREAM, 1, BLOCK + b"".join(parts))


def huffman(text: bytes) -> bytes:
    return HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text)


def string(text: bytes, code: bool) -> bytes:
    if not code:
        return prefixed(len(text)) + text
    found = huffman(text)
    return bytes((len(found) | 128,)) + found


def continued(*pieces: bytes, last: int = END_HEADERS) -> bytes:
    """A request on stream 1 in HEADERS and CONTINUATIONs."""
    first, *others = pieces
    found = frame(HEADERS, END_STREAM, 1, first)
    for number, piece in enumerate(others, 1):
        found += frame(CONTINUATION, last if number == len(others) else 0, 1, piece)
    return found


GENERIC = [
    Case("generic/1", "the preface", b"", Alive()),
    Case("generic/2", "PRIORITY on an idle stream", frame(PRIORITY, 0, 1, DEPENDENCY) + HALF_OPEN, Answered()),
    Case("generic/2", "WINDOW_UPDATE on a half-closed stream", HELD + update(1, 1), Alive()),
    Case("generic/2", "PRIORITY on a half-closed stream", HELD + frame(PRIORITY, 0, 1, DEPENDENCY), Alive()),
    Case("generic/2", "RST_STREAM on a half-closed stream", HELD + reset(1), Alive()),
    Case("generic/2", "PRIORITY on a closed stream", HALF_OPEN + frame(PRIORITY, 0, 1, DEPENDENCY), Answered()),
    Case("generic/3.1", "DATA", OPEN + data(1, b"test", True), Answered()),
    Case("generic/3.1", "several DATA", OPEN + data(1, b"test") + data(1, b"test", True), Answered()),
    Case("generic/3.1", "padded DATA", OPEN + frame(DATA, END_STREAM | PADDED, 1, b"\x06test" + bytes(6)), Answered()),
    Case("generic/3.2", "HEADERS", HALF_OPEN, Answered()),
    Case(
        "generic/3.2",
        "padded HEADERS",
        frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\x06" + BLOCK + bytes(6)),
        Answered(),
    ),
    Case(
        "generic/3.2",
        "HEADERS with priority",
        frame(HEADERS, END_STREAM | END_HEADERS | PRIORITIZED, 1, b"\x00\x00\x00\x00\xff" + BLOCK),
        Answered(),
    ),
    Case("generic/3.3", "PRIORITY of 1", frame(PRIORITY, 0, 1, bytes(5)) + HALF_OPEN, Answered()),
    Case("generic/3.3", "PRIORITY of 256", frame(PRIORITY, 0, 1, b"\0\0\0\0\xff") + HALF_OPEN, Answered()),
    Case("generic/3.3", "PRIORITY with a dependency", frame(PRIORITY, 0, 1, DEPENDENCY) + HALF_OPEN, Answered()),
    Case("generic/3.3", "exclusive PRIORITY", frame(PRIORITY, 0, 1, b"\x80\0\0\x03\xff") + HALF_OPEN, Answered()),
    Case("generic/3.3", "PRIORITY of a higher idle stream", frame(PRIORITY, 0, 5, bytes(5)) + HALF_OPEN, Answered()),
    Case("generic/3.4", "RST_STREAM", OPEN + reset(1), Alive()),
    Case("generic/3.5", "SETTINGS", settings((STREAMS, 100)) + HALF_OPEN, Answered()),
    Case("generic/3.7", "PING", ping() + HALF_OPEN, Answered()),
    Case("generic/3.8", "GOAWAY", frame(GOAWAY, 0, 0, bytes(8)), Alive()),
    Case("generic/3.9", "WINDOW_UPDATE on the connection", update(0, 1) + HALF_OPEN, Answered()),
    Case("generic/3.9", "WINDOW_UPDATE on a stream", OPEN + update(1, 1) + data(1, b"", True), Answered()),
    Case("generic/3.10", "CONTINUATION", continued(BLOCK[:9], BLOCK[9:]), Answered()),
    Case("generic/3.10", "several CONTINUATIONs", continued(BLOCK[:9], BLOCK[9:20], BLOCK[20:]), Answered()),
    Case("generic/4", "GET", headers(1, GET), Answered()),
    Case("generic/4", "HEAD", headers(1, [(b":method", b"HEAD"), *REQUEST[1:]]), Answered()),
    Case("generic/4", "POST", OPEN + data(1, b"test", True), Answered()),
    Case("generic/4", "POST with trailers", OPEN + data(1, b"a") + headers(1, [(b"x-t", b"1")]), Answered()),
    Case("generic/5", "an indexed field", coded(b"\x90"), Answered()),
    *(
        Case(
            "generic/5",
            f"a literal {how}, {'indexed' if known else 'new'} name, {'Huffman' if code else 'plain'}",
            coded(
                bytes((first | (19 if first == 0x40 else 15),)) + (b"" if first == 0x40 else b"\x04")
                if known
                else bytes((first,)) + string(b"x-new", code),
                string(b"value", code),
            ),
            Answered(),
        )
        for how, first in (("indexed", 0x40), ("without indexing", 0), ("never indexed", 0x10))
        for known in (True, False)
        for code in (False, True)
    ),
    Case("generic/5", "a size update", frame(HEADERS, 5, 1, b"\x20" + BLOCK), Answered()),
    Case("generic/5", "two size updates", frame(HEADERS, 5, 1, b"\x20\x3f\xe1\x1f" + BLOCK), Answered()),
]

FRAMING = [
    Case("3.5", "the preface, then SETTINGS", b"", Alive()),
    Case("3.5", "a wrong preface", b"INVALID PREFACE\r\n\r\n", BROKEN),
    Case("4.1", "an unknown type", frame(0x16, 0, 0, b"abc"), Alive()),
    Case("4.1", "undefined flags", ping(b"12345678", 0xFE), Alive()),
    Case("4.1", "the reserved bit", frame(PING, 0, 1 << 31, b"12345678"), Alive()),
    Case("4.2", "DATA of 16384", OPEN + data(1, bytes(16384), True), Answered()),
    Case("4.2", "DATA of 16385", OPEN + data(1, bytes(16385), True), SIZED),
    Case("4.2", "HEADERS of 16385", frame(HEADERS, 5, 1, bytes(16385)), SIZED),
    Case("4.3", "a broken block", frame(HEADERS, 5, 1, b"\x00\x00\x00\x00\x7f"), HPACK),
    Case("4.3", "PRIORITY inside a block", frame(HEADERS, 1, 1, BLOCK) + frame(PRIORITY, 0, 1, bytes(5)), BROKEN),
    Case("4.3", "HEADERS inside a block", frame(HEADERS, 1, 1, BLOCK) + headers(3), BROKEN),
    Case("5.1", "idle: DATA", data(1, b"test", True), BROKEN),
    Case("5.1", "idle: RST_STREAM", reset(1), BROKEN),
    Case("5.1", "idle: WINDOW_UPDATE", update(1, 100), BROKEN),
    Case("5.1", "idle: CONTINUATION", frame(CONTINUATION, 4, 1, BLOCK), BROKEN),
    Case("5.1", "half-closed (remote): DATA", HELD + data(1, b"test", True), Stream(1, STREAM_CLOSED)),
    Case("5.1", "half-closed (remote): HEADERS", HELD + HALF_OPEN, Stream(1, STREAM_CLOSED)),
    Case("5.1", "half-closed (remote): CONTINUATION", HELD + frame(CONTINUATION, 4, 1, BLOCK), BROKEN),
    Case("5.1", "closed by RST_STREAM: DATA", OPEN + reset(1) + data(1, b"test"), Stream(1, STREAM_CLOSED)),
    Case("5.1", "closed by RST_STREAM: HEADERS", OPEN + reset(1) + HALF_OPEN, Stream(1, STREAM_CLOSED)),
    Case("5.1", "closed by RST_STREAM: CONTINUATION", OPEN + reset(1) + frame(CONTINUATION, 4, 1, b""), BROKEN),
    Case("5.1", "closed: DATA", HALF_OPEN + data(1, b"test"), Stream(1, STREAM_CLOSED)),
    Case("5.1", "closed: HEADERS", HALF_OPEN + HALF_OPEN, CLOSED),
    Case("5.1", "closed: CONTINUATION", HALF_OPEN + frame(CONTINUATION, 4, 1, BLOCK), BROKEN),
    Case("5.1.1", "an even id", headers(2), BROKEN),
    Case("5.1.1", "an id lower than the last", headers(5) + headers(3), BROKEN),
    Case("5.1.2", "more streams than we allow", b"", Alive()),  # `test_codec` counts them
    Case("5.3.1", "HEADERS depends on itself", frame(HEADERS, 0x25, 1, b"\0\0\0\x01\xff" + BLOCK), Answered()),
    Case("5.3.1", "PRIORITY depends on itself", frame(PRIORITY, 0, 1, b"\0\0\0\x01\xff"), Alive()),
    Case("5.4.1", "an invalid PING: GOAWAY", frame(PING, 0, 0, b"1234567"), SIZED),
    Case("5.4.1", "an invalid PING: the end", frame(PING, 0, 0, b"123456789"), SIZED),
    Case("5.5", "an unknown frame between requests", frame(0xFF, 0, 0, bytes(8)), Alive()),
    Case("5.5", "an unknown frame inside a block", frame(HEADERS, 1, 1, BLOCK) + frame(0xFF, 0, 0, b""), BROKEN),
    Case("6.1", "DATA on stream 0", data(0, b"test"), BROKEN),
    Case("6.1", "DATA on a stream that is not open", HELD + data(1, b"test"), Stream(1, STREAM_CLOSED)),
    Case("6.1", "DATA of padding alone, too long", OPEN + frame(DATA, 9, 1, b"\x06test"), BROKEN),
    Case("6.2", "HEADERS, then PRIORITY", frame(HEADERS, 1, 1, BLOCK) + frame(PRIORITY, 0, 1, bytes(5)), BROKEN),
    Case("6.2", "HEADERS, then HEADERS of another", frame(HEADERS, 1, 1, BLOCK) + headers(3), BROKEN),
    Case("6.2", "HEADERS on stream 0", headers(0), BROKEN),
    Case("6.2", "HEADERS with padding too long", frame(HEADERS, 0xD, 1, b"\xff" + BLOCK), BROKEN),
    Case("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(5)), BROKEN),
    Case("6.3", "PRIORITY of 4 octets", OPEN + frame(PRIORITY, 0, 1, bytes(4)), Stream(1, FRAME_SIZE_ERROR)),
    Case("6.4", "RST_STREAM on stream 0", reset(0), BROKEN),
    Case("6.4", "RST_STREAM on an idle stream", reset(1), BROKEN),
    Case("6.4", "RST_STREAM of 3 octets", OPEN + frame(RST_STREAM, 0, 1, bytes(3)), SIZED),
    Case("6.5", "SETTINGS ACK with payload", frame(SETTINGS, ACK, 0, bytes(6)), SIZED),
    Case("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1), BROKEN),
    Case("6.5", "SETTINGS of 3 octets", frame(SETTINGS, 0, 0, bytes(3)), SIZED),
    Case("6.5.2", "ENABLE_PUSH 2", settings((PUSH, 2)), BROKEN),
    Case("6.5.2", "INITIAL_WINDOW_SIZE 2^31", settings((WINDOW, 1 << 31)), FLOW),
    Case("6.5.2", "MAX_FRAME_SIZE 16383", settings((FRAME, 16383)), BROKEN),
    Case("6.5.2", "MAX_FRAME_SIZE 2^24", settings((FRAME, 1 << 24)), BROKEN),
    Case("6.5.2", "an unknown identifier", settings((0xFF, 1)), Alive()),
    Case("6.5.3", "the last of two values", settings((WINDOW, 100), (WINDOW, 1)) + HALF_OPEN, Answered(1, (1,))),
    Case("6.5.3", "SETTINGS is acknowledged", settings(), Alive()),
    Case("6.7", "PING", ping(), Alive()),
    Case("6.7", "PING with ACK", ping(b"invalid!", ACK), Alive()),
    Case("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), BROKEN),
    Case("6.7", "PING of 6 octets", frame(PING, 0, 0, bytes(6)), SIZED),
    Case("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), BROKEN),
    Case("6.9", "WINDOW_UPDATE of 0", update(0, 0), BROKEN),
    Case("6.9", "WINDOW_UPDATE of 0 on a stream", OPEN + update(1, 0), MALFORMED),
    Case("6.9", "WINDOW_UPDATE of 3 octets", frame(WINDOW_UPDATE, 0, 0, bytes(3)), SIZED),
    Case("6.9.1", "a window of 1", settings((WINDOW, 1)) + HALF_OPEN, Answered(1, (1,))),
    Case("6.9.1", "the connection over 2^31-1", update(0, MAX_31) + update(0, MAX_31), FLOW),
    Case("6.9.1", "a stream over 2^31-1", OPEN + update(1, MAX_31) * 2, Stream(1, FLOW_CONTROL_ERROR)),
    Case("6.9.2", "0, then 1", settings((WINDOW, 0)) + HALF_OPEN + settings((WINDOW, 1)), Answered(1, (1,))),
    Case(
        "6.9.2",
        "below 0 and up again",
        settings((WINDOW, 3)) + HALF_OPEN + settings((WINDOW, 2)) + update(1, 2),
        Answered(1, (3, 1)),
    ),
    Case("6.9.2", "INITIAL_WINDOW_SIZE 2^31", settings((WINDOW, 0xFFFFFFFF)), FLOW),
    Case("6.10", "several CONTINUATIONs", continued(BLOCK, literal(b"a", b"b"), literal(b"c", b"d")), Answered()),
    Case("6.10", "CONTINUATION, then DATA", continued(BLOCK, b"", last=0) + data(1, b"test"), BROKEN),
    Case("6.10", "CONTINUATION on stream 0", frame(HEADERS, 1, 1, BLOCK) + frame(CONTINUATION, 4, 0, b""), BROKEN),
    Case("6.10", "CONTINUATION after HEADERS' end", OPEN + frame(CONTINUATION, 4, 1, b""), BROKEN),
    Case(
        "6.10",
        "CONTINUATION after CONTINUATION's end",
        continued(BLOCK, literal(b"a", b"b")) + frame(CONTINUATION, 4, 1, b""),
        BROKEN,
    ),
    Case("6.10", "CONTINUATION after DATA", OPEN + data(1, b"test") + frame(CONTINUATION, 4, 1, b""), BROKEN),
    Case("7", "GOAWAY of an unknown code", frame(GOAWAY, 0, 0, bytes(4) + b"\0\0\0\xff"), Alive()),
    Case("7", "RST_STREAM of an unknown code", OPEN + reset(1, 0xFF), Alive()),
]

MESSAGES = [
    Case("8.1", "a second HEADERS without END_STREAM", OPEN + OPEN, MALFORMED),
    Case("8.1.2", "an upper-case name", message((b"X-TEST", b"ok")), MALFORMED),
    Case("8.1.2.1", "an unknown pseudo field", message((b":test", b"ok")), MALFORMED),
    Case("8.1.2.1", "a response's pseudo field", headers(1, [(b":status", b"200"), *REQUEST]), MALFORMED),
    Case("8.1.2.1", "a pseudo field in trailers", OPEN + headers(1, [(b":method", b"GET")]), MALFORMED),
    Case("8.1.2.1", "a pseudo field behind others", headers(1, [(b"x", b"y"), *REQUEST]), MALFORMED),
    Case("8.1.2.2", "connection", message((b"connection", b"keep-alive")), MALFORMED),
    Case("8.1.2.2", "te other than trailers", message((b"te", b"trailers, deflate")), MALFORMED),
    Case("8.1.2.3", "empty :path", headers(1, [*REQUEST[:2], (b":path", b""), REQUEST[3]]), MALFORMED),
    Case("8.1.2.3", "no :method", message(without=b":method"), MALFORMED),
    Case("8.1.2.3", "no :scheme", message(without=b":scheme"), MALFORMED),
    Case("8.1.2.3", "no :path", message(without=b":path"), MALFORMED),
    Case("8.1.2.3", "two :method", message((b":method", b"GET")), MALFORMED),
    Case("8.1.2.3", "two :scheme", message((b":scheme", b"http")), MALFORMED),
    Case("8.1.2.3", "two :path", message((b":path", b"/")), MALFORMED),
    Case(
        "8.1.2.6",
        "content-length is not DATA's",
        message((b"content-length", b"1"), ended=False) + data(1, b"test", True),
        MALFORMED,
    ),
    Case(
        "8.1.2.6",
        "content-length is not the sum of DATA",
        message((b"content-length", b"3"), ended=False) + data(1, b"te") + data(1, b"st", True),
        MALFORMED,
    ),
    Case("8.2", "PUSH_PROMISE", frame(PUSH_PROMISE, 4, 1, b"\0\0\0\x02" + BLOCK), BROKEN),
]

#: EOS's code is 30 times the bit 1.
HUFFMAN = [
    Case("hpack/5.2", "padding of 8 bits", coded(b"\x00\x01a\x82" + huffman(b"0")[:1] + b"\xff"), HPACK),
    Case("hpack/5.2", "padding with zeros", coded(b"\x00\x01a\x81\x00"), HPACK),
    Case("hpack/5.2", "EOS inside", coded(b"\x00\x01a\x84\xff\xff\xff\xff"), HPACK),
]

CODING = [
    Case("hpack/2.3.3", "an index beyond the tables", coded(b"\xff\x00"), HPACK),
    Case("hpack/2.3.3", "a name beyond the tables", coded(b"\x7f\x00\x01a"), HPACK),
    Case("hpack/4.2", "a size update at the end", coded(b"\x20"), HPACK),
    *HUFFMAN,
    Case("hpack/6.1", "index 0", coded(b"\x80"), HPACK),
    Case("hpack/6.3", "a size update above ours", frame(HEADERS, 5, 1, b"\x3f\xe2\x1f" + BLOCK), HPACK),
]


def path(value: bytes, method: bytes = b"GET") -> bytes:
    return headers(1, [(b":method", method), REQUEST[1], (b":path", value), REQUEST[3]])


def authority(value: bytes) -> bytes:
    return headers(1, [*REQUEST[:3], (b":authority", value)])


CONNECTING = [(b":method", b"CONNECT"), (b":authority", b"a:1")]
EXTENDED = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:]]

EXTRA = [
    Case("3.4", "another frame than SETTINGS first", b"", BROKEN, True),  # `test_codec` sends it
    *(
        Case("8.2.1", f"{byte!r} in a value", message((b"x", b"a" + byte + b"b")), MALFORMED, True)
        for byte in (b"\0", b"\r", b"\n", b"\x7f", b"\x01")
    ),
    *(
        Case("8.2.1", f"name {name!r}", message((name, b"v")), MALFORMED, True)
        for name in (b"", b"a b", b"a:b", b"\xe4", b"a\0", b"x@y")
    ),
    *(
        Case("8.2.2", name.decode(), message((name, b"v")), MALFORMED, True)
        for name in (b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
    ),
    *(
        Case("8.3.1", f"path {value!r}", path(value), MALFORMED, True)
        for value in (b"*", b"a", b"http://a/", b"/a b", b"", b"/a\tb")
    ),
    Case("8.3.1", "OPTIONS *", path(b"*", b"OPTIONS"), Answered(), True),
    Case("8.3.1", "a path with bytes above ASCII", path(b"/\xe4"), Answered(), True),
    *(
        Case("8.3.1", f"authority {value!r}", authority(value), MALFORMED, True)
        for value in (b"", b"u@a", b"a b", b"a/b", b"a?b")
    ),
    Case("8.3.1", "host in place of :authority", message((b"host", b"b"), without=b":authority"), Answered(), True),
    Case("8.3.1", "neither host nor :authority", message(without=b":authority"), MALFORMED, True),
    Case("8.3.1", "two host", message((b"host", b"b"), (b"host", b"b")), MALFORMED, True),
    Case("8.3.1", "a space in :method", headers(1, [(b":method", b"G T"), *REQUEST[1:]]), MALFORMED, True),
    Case("8.3.1", "two :authority", message((b":authority", b"b")), MALFORMED, True),
    Case("8.1.1", "content-length twice", message(*[(b"content-length", b"0")] * 2), MALFORMED, True),
    Case("8.1.1", "content-length that is no number", message((b"content-length", b"+1")), MALFORMED, True),
    Case("8.1.1", "content-length without a body", message((b"content-length", b"1")), MALFORMED, True),
    Case("8.1.1", "content-length 0 without a body", message((b"content-length", b"0")), Answered(), True),
    Case(
        "8.1.1",
        "content-length and trailers too early",
        message((b"content-length", b"2"), ended=False) + data(1, b"a") + headers(1, [(b"x", b"y")]),
        MALFORMED,
        True,
    ),
    Case("8.2.2", "connection in trailers", OPEN + headers(1, [(b"connection", b"close")]), MALFORMED, True),
    Case("8.5", "CONNECT", headers(1, CONNECTING), Answered(), True),
    Case("8.5", "CONNECT with :path", headers(1, [*CONNECTING, (b":path", b"/")]), MALFORMED, True),
    Case("8.5", "CONNECT as other requests", headers(1, [(b":method", b"CONNECT"), *REQUEST[1:]]), MALFORMED, True),
    Case("8441/4", "extended CONNECT", headers(1, EXTENDED), Answered(), True),
    Case("8441/4", ":protocol with POST", headers(1, [*REQUEST, (b":protocol", b"websocket")]), MALFORMED, True),
    Case("8441/4", "extended CONNECT without :path", headers(1, EXTENDED[:3] + EXTENDED[4:]), MALFORMED, True),
    Case("8441/3", "ENABLE_CONNECT_PROTOCOL 2", settings((CONNECT, 2)), BROKEN, True),
    Case("8441/3", "ENABLE_CONNECT_PROTOCOL 1, then 0", settings((CONNECT, 1), (CONNECT, 0)), BROKEN, True),
    Case("6.5", "33 settings", settings(*[(STREAMS, 1)] * 33), Connection((ENHANCE_YOUR_CALM,)), True),
    Case("6.5", "32 settings", settings(*[(STREAMS, 1)] * 32), Alive(), True),
    Case("6.8", "GOAWAY of 7 octets", frame(GOAWAY, 0, 0, bytes(7)), SIZED, True),
    Case("6.1", "padded DATA without a pad length", OPEN + frame(DATA, PADDED, 1, b""), SIZED, True),
    Case("6.2", "padded HEADERS without a pad length", frame(HEADERS, 0xD, 1, b""), SIZED, True),
    Case("9218", "PRIORITY_UPDATE", frame(0x10, 0, 0, b"\0\0\0\x01u=1"), Alive(), True),
    Case("hpack/5.1", "an integer of six octets", coded(b"\xff\x80\x80\x80\x80\x00"), HPACK, True),
    Case("hpack/5.1", "an integer without its end", coded(b"\xff\x80"), HPACK, True),
    Case("hpack/5.2", "a string beyond the block", coded(b"\x00\x05abc"), HPACK, True),
    Case("hpack/4.2", "three size updates", frame(HEADERS, 5, 1, b"\x20\x20\x20" + BLOCK), HPACK, True),
    Case("hpack/4.4", "an entry larger than the table", coded(literal(b"x", b"a" * 5000, 0x40)), Answered(), True),
]

CASES = [*GENERIC, *FRAMING, *MESSAGES, *CODING, *EXTRA]
