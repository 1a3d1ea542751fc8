"""Field lines: each is checked and understood once, then found again by its own bytes."""

from __future__ import annotations

import re
from typing import Final

from .errors import ProtocolError

# What a field is to a proxy. Small numbers, so that the codecs compare integers.
PLAIN: Final = 0
HOST: Final = 1
CONTENT_LENGTH: Final = 2
TRANSFER_ENCODING: Final = 3
CONNECTION: Final = 4
HOP: Final = 5  # meant for the next hop only: never forwarded
TE: Final = 6
UPGRADE: Final = 7
EXPECT: Final = 8
REQUEST_ID: Final = 9
CONTROL: Final = 10  # steers the proxy, and is not forwarded
OURS: Final = 11  # the proxy writes it itself
SERVER: Final = 12
DATE: Final = 13
GRPC_STATUS: Final = 14
RATE_LIMITED: Final = 15

KINDS: Final[dict[bytes, int]] = {
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
    b"http2-settings": HOP,
    b"te": TE,
    b"upgrade": UPGRADE,
    b"expect": EXPECT,
    b"x-request-id": REQUEST_ID,
    b"x-envoy-upstream-rq-timeout-ms": CONTROL,
    b"x-envoy-upstream-rq-per-try-timeout-ms": CONTROL,
    b"x-envoy-upstream-rq-timeout-alt-response": CONTROL,
    b"x-envoy-retry-on": CONTROL,
    b"x-envoy-retry-grpc-on": CONTROL,
    b"x-envoy-max-retries": CONTROL,
    b"x-envoy-retriable-status-codes": CONTROL,
    b"x-envoy-retriable-header-names": CONTROL,
    b"x-envoy-attempt-count": OURS,
    b"x-envoy-expected-rq-timeout-ms": OURS,
    b"x-envoy-original-path": OURS,
    b"x-envoy-upstream-service-time": OURS,
    b"server": SERVER,
    b"date": DATE,
    b"grpc-status": GRPC_STATUS,
    b"x-envoy-ratelimited": RATE_LIMITED,
}

#: Fields that hold secrets, or a whole story.
UNCACHED: Final = frozenset({b"authorization", b"cookie", b"location", b"referer", b"set-cookie"})

#: Options of Connection that name no other field.
OPTIONS: Final = frozenset({b"close", b"keep-alive", b"upgrade", b""})

#: A field with more values than this has another one in each message: they are not worth their place.
CACHED_VALUES: Final = 64

#: When the cache holds so many lines, or one field had so many values, it starts anew: what matters comes back at once,
#: and what changes by the second has its place again.
CACHE_SIZE: Final = 4096

#: Longer lines are not kept.
CACHED_LENGTH: Final = 512

# RFC 9110 section 5.1 and 5.5: a token, a colon, visible characters with spaces and tabs. No line folding (RFC 9112
# section 5.2), no bare CR, LF or NUL, no space before the colon (section 5.1).
FIELD_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


class FieldLine:
    """One field line: what it is to the proxy, its name in lower case, its value, and for lists their lower-case
    members."""

    __slots__ = ("kind", "name", "value", "tokens")

    def __init__(self, kind: int, name: bytes, value: bytes, tokens: tuple[bytes, ...]) -> None:
        self.kind = kind
        self.name = name
        self.value = value
        self.tokens = tokens


CACHE: Final[dict[bytes, FieldLine]] = {}

#: How many values of each field were read since the cache was empty.
VALUES: Final[dict[bytes, int]] = {}


def read_field(line: bytes) -> FieldLine:
    """The meaning of a line that `CACHE` does not know yet. Raises ProtocolError."""
    match = FIELD_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(f"malformed field line {line[:60]!r}")
    name = match[1].lower()
    value = match[2].rstrip(b" \t")
    kind = KINDS.get(name, PLAIN)
    tokens: tuple[bytes, ...] = ()
    if kind in (CONNECTION, TRANSFER_ENCODING, TE):
        tokens = tuple(token.strip(b" \t").lower() for token in value.split(b","))
    field = FieldLine(kind, name, value, tokens)
    if name not in UNCACHED and len(line) <= CACHED_LENGTH:
        values = VALUES[name] = VALUES.get(name, 0) + 1
        if values <= CACHED_VALUES:
            CACHE[line] = field
        if len(CACHE) >= CACHE_SIZE or values >= CACHE_SIZE:
            CACHE.clear()
            VALUES.clear()
    return field


def name_of(line: bytes) -> bytes:
    """The lower-case name of a well-formed line."""
    field = CACHE.get(line)
    return field.name if field is not None else line[: line.index(b":")].lower()


def drop(lines: list[bytes], name: bytes) -> None:
    """Take the lines of one field, whose name is given in lower case, out of well-formed ones."""
    end = len(name)
    for line in lines:
        if line[end : end + 1] == b":" and line[:end].lower() == name:
            break
    else:
        return
    lines[:] = [line for line in lines if line[end : end + 1] != b":" or line[:end].lower() != name]
