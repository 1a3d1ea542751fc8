"""Field lines: each is checked and understood once, then found again by its own bytes."""

from __future__ import annotations

import re
from typing import Final, Generic, TypeVar

from .errors import ProtocolError

H = TypeVar("H")

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

#: So many whole heads are kept of either kind, and none that is longer.
KNOWN_HEADS: Final = 1024
KNOWN_LENGTH: Final = 2048

#: RFC 9110 section 5.1: a field's name is a token.
TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: RFC 9110 section 5.5: visible characters with spaces and tabs are in a value. So no line folding (RFC 9112 section
#: 5.2), no bare CR, LF or NUL.
VALUE_BYTES: Final = bytes(byte for byte in range(256) if byte >= 0x20 and byte != 0x7F or byte == 0x09)

#: Fields whose values are lists of tokens to us.
LISTS: Final = (CONNECTION, TRANSFER_ENCODING, TE)


class FieldName:
    """One spelling of a field's name: in lower case, what it is to the proxy, whether its lines may be kept, and how
    many were read since the cache was empty."""

    __slots__ = ("name", "kind", "cached", "lines")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.kind = KINDS.get(name, PLAIN)
        self.cached = name not in UNCACHED
        self.lines = 0


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

NAMES: Final[dict[bytes, FieldName]] = {}


def read_field(line: bytes) -> FieldLine:
    """The meaning of a line that `CACHE` does not know yet. Raises ProtocolError."""
    end = line.find(b":")
    known = NAMES.get(line[:end]) if end >= 0 else None
    if known is None:
        known = read_name(line)
    if line.translate(None, VALUE_BYTES):
        raise ProtocolError(f"malformed field line {line[:60]!r}")
    value = line[end + 1 :].strip(b" \t")
    kind = known.kind
    tokens: tuple[bytes, ...] = ()
    if kind in LISTS:
        tokens = tuple(token.strip(b" \t").lower() for token in value.split(b","))
    field = FieldLine(kind, known.name, value, tokens)
    if known.cached and len(line) <= CACHED_LENGTH:
        known.lines += 1
        if known.lines <= CACHED_VALUES:
            CACHE[line] = field
        if len(CACHE) >= CACHE_SIZE or known.lines >= CACHE_SIZE:
            CACHE.clear()
            NAMES.clear()
    return field


def read_name(line: bytes) -> FieldName:
    """The name of a line that `NAMES` does not know yet. Raises ProtocolError."""
    spelling, colon, _ = line.partition(b":")
    if not colon or TOKEN.fullmatch(spelling) is None:  # no space before the colon, either (RFC 9112 section 5.1)
        raise ProtocolError(f"malformed field line {line[:60]!r}")
    name = FieldName(spelling.lower())
    if len(spelling) <= CACHED_LENGTH:
        if len(NAMES) >= CACHE_SIZE:
            NAMES.clear()
        NAMES[spelling] = name
    return name


class Known(Generic[H]):
    """Whole heads by their bytes, for who sends the same again and again. What is kept is shared, and never changed."""

    __slots__ = ("heads",)

    def __init__(self) -> None:
        self.heads: dict[bytes, H] = {}

    def keep(self, data: bytes, head: H) -> None:
        """Remember what `data` means: only where each of its lines is in `CACHE`, so that it holds no secrets, and
        nothing that differs each time."""
        if len(data) <= KNOWN_LENGTH:
            if len(self.heads) >= KNOWN_HEADS:
                self.heads.clear()
            self.heads[data] = head


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
