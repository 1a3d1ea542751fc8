"""Frames: their types, flags and lengths, and writing them (RFC 9113 section 4 and 6)."""

from __future__ import annotations

from typing import Final

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

HEADER_SIZE: Final = 9

#: The least that a peer must take, and all that we take (SETTINGS_MAX_FRAME_SIZE).
MAX_FRAME: Final = 16384

#: The largest stream id, increment and window.
MAX_31: Final = 0x7FFFFFFF

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

ZERO: Final = b"\x00\x00\x00\x00"


#: Most frames are smaller than this.
SMALL: Final = 256


def begin(length: int, kind: int, flags: int) -> bytes:
    """A frame's header without its last part, the stream's id in four bytes."""
    return (length << 16 | kind << 8 | flags).to_bytes(5, "big")


def small(kind: int, flags: int) -> list[bytes]:
    return [begin(length, kind, flags) for length in range(SMALL)]


#: The headers of small frames, by their length, where the stream goes on and where it ends: DATA, and HEADERS that are
#: a whole section.
FIRST_DATA: Final = small(DATA, 0)
LAST_DATA: Final = small(DATA, END_STREAM)
FIRST_HEADERS: Final = small(HEADERS, END_HEADERS)
LAST_HEADERS: Final = small(HEADERS, END_HEADERS | END_STREAM)


def write_settings(values: list[tuple[int, int]]) -> bytes:
    payload = b"".join([key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values])
    return begin(len(payload), SETTINGS, 0) + ZERO + payload


SETTINGS_ACK: Final = begin(0, SETTINGS, ACK) + ZERO


def write_ping(payload: bytes, flags: int) -> bytes:
    return begin(8, PING, flags) + ZERO + payload


def write_reset(name: bytes, code: int) -> bytes:
    """RST_STREAM; `name` is a stream's id in four bytes, here and below."""
    return begin(4, RST_STREAM, 0) + name + code.to_bytes(4, "big")


def write_window_update(name: bytes, increment: int) -> bytes:
    return begin(4, WINDOW_UPDATE, 0) + name + increment.to_bytes(4, "big")


def write_goaway(last: int, code: int, text: bytes) -> bytes:
    return begin(8 + len(text), GOAWAY, 0) + ZERO + last.to_bytes(4, "big") + code.to_bytes(4, "big") + text


def write_block(name: bytes, block: bytes, ended: bool, limit: int) -> bytes:
    """HEADERS, and CONTINUATION as far as one frame of `limit` bytes does not do."""
    out: list[bytes] = []
    add_block(out, name, block, ended, limit)
    return b"".join(out)


def add_block(out: list[bytes], name: bytes, block: bytes, ended: bool, limit: int) -> None:
    """The same, put where more is to follow."""
    size = len(block)
    if size < SMALL and size <= limit:
        out.append(LAST_HEADERS[size] if ended else FIRST_HEADERS[size])
        out.append(name)
        out.append(block)
        return
    flags = END_STREAM if ended else 0
    if size <= limit:
        out += (begin(size, HEADERS, flags | END_HEADERS), name, block)
        return
    out += (begin(limit, HEADERS, flags), name, block[:limit])
    position = limit
    while position < size:
        piece = block[position : position + limit]
        position += limit
        out += (begin(len(piece), CONTINUATION, END_HEADERS if position >= size else 0), name, piece)
