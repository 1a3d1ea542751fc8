"""Fields as the proxy handles them, whichever codec carries them: a field is its line, `name: value`, without its end.

HTTP/1.1 sends lines as they came, HTTP/2 takes name and value out of them. Each line is taken apart and its bytes are
checked once, however often it comes again."""

from __future__ import annotations

import re
from typing import Final

from ...bounded import Bounded
from ...routing.fields import members
from .errors import ProtocolError

#: Fields that hold secrets, or a whole story.
UNCACHED: Final = frozenset({b"authorization", b"cookie", b"location", b"referer", b"set-cookie"})

#: A field with more values than this has another one in each message: they are not worth their place.
CACHED_VALUES: Final = 64

#: When the cache holds so many lines, or one field had so many values, it starts over: what matters comes back at once,
#: and what changes by the second has its place again.
CACHE_SIZE: Final = 4096

#: Longer lines are not kept.
CACHED_LENGTH: Final = 512

#: So many whole heads, or parts, are kept of each kind with what they mean, and none that is longer: it is shared by
#: all who send the same, and never changed.
KNOWN_HEADS: Final = 1024
KNOWN_LENGTH: Final = 2048

#: RFC 9110 section 5.1: a field's name is a token.
TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: RFC 9110 section 5.5: visible characters with spaces and tabs are in a value. So no line folding (RFC 9112 section
#: 5.2), no bare CR, LF or NUL: those become 0, all others 1.
VALUE_BYTES: Final = bytes(byte >= 0x20 and byte != 0x7F or byte == 0x09 for byte in range(256))

SPACE: Final = 0x20

#: Envoy's max_headers_count; trailers have no more, nor has a list of tokens more members.
MAX_FIELDS: Final = 100


class FieldName:
    """One spelling of a field's name: in lower case, what its lines begin with as a rule, whether they may be kept, and
    how many were read since the cache was empty."""

    __slots__ = ("name", "start", "cached", "lines")

    def __init__(self, spelling: bytes) -> None:
        self.name = spelling.lower()
        self.start = spelling + b": "
        self.cached = self.name not in UNCACHED
        self.lines = 0


#: What no line is.
UNKEPT: Final = b"\r\n"


class FieldLine:
    """What a well-formed line says: the field's name, in lower case, and its value. `line` are its bytes where they are
    kept, else UNKEPT."""

    __slots__ = ("field", "name", "value", "pair", "line")

    def __init__(self, field: FieldName, value: bytes) -> None:
        self.field = field
        self.name = field.name
        self.value = value
        self.pair = (field.name, value)
        self.line = UNKEPT


#: Stands where the head before had no line.
NOTHING: Final = FieldLine(FieldName(UNKEPT), b"")

#: Well-formed lines that were read before. No `Bounded`: a field that has another value each time would fill that,
#: so that the lines of each spelling count, too.
CACHE: Final[dict[bytes, FieldLine]] = {}

NAMES: Final[dict[bytes, FieldName]] = {}


def read_line(line: bytes, before: FieldLine = NOTHING) -> FieldLine:
    """What a line says that `CACHE` does not know yet; `before` stood in its place in the head before. Raises
    ProtocolError."""
    known = before.field
    if before is not NOTHING and line.startswith(known.start):
        value = line[len(known.start) :]
    else:
        spelling, colon, value = line.partition(b":")
        if not colon:
            raise malformed(line)
        known = NAMES.get(spelling) or note_spelling(spelling, line)
    if 0 in value.translate(VALUE_BYTES):
        raise malformed(line)
    if value and (value[0] <= SPACE or value[-1] <= SPACE):  # or a tab: nothing else below is left
        value = value.strip(b" \t")
    field = FieldLine(known, value)
    if known.cached and len(line) <= CACHED_LENGTH:
        known.lines += 1
        if known.lines <= CACHED_VALUES:
            field.line = line
            CACHE[line] = field
        if len(CACHE) >= CACHE_SIZE or known.lines >= CACHE_SIZE:
            CACHE.clear()
            for name in (known, *NAMES.values()):  # `known` may be of a head that is older than `NAMES`
                name.lines = 0
    return field


def note_spelling(spelling: bytes, line: bytes) -> FieldName:
    """The name of a spelling that `NAMES` does not know yet; `line` begins with it. Raises ProtocolError."""
    if TOKEN.fullmatch(spelling) is None:  # no space before the colon, either (RFC 9112 section 5.1)
        raise malformed(line)
    name = FieldName(spelling)
    if len(spelling) <= CACHED_LENGTH:
        if len(NAMES) >= CACHE_SIZE:
            NAMES.clear()
        NAMES[spelling] = name
    return name


def malformed(line: bytes) -> ProtocolError:
    return ProtocolError(f"malformed field line {line[:60]!r}")


def name_of(line: bytes) -> bytes:
    """The lower-case name of a well-formed line."""
    known = CACHE.get(line)
    return known.name if known is not None else line[: line.index(b":")].lower()


def value_of(line: bytes) -> bytes:
    """The value of a well-formed line."""
    known = CACHE.get(line)
    return known.value if known is not None else line[line.index(b":") + 1 :].strip(b" \t")


#: The members of lists: few differ.
TOKENS: Final[Bounded[bytes, tuple[bytes, ...]]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)


def tokens_of(value: bytes) -> tuple[bytes, ...]:
    """The members, in lower case, of a field's value that is a list of tokens. Raises ProtocolError."""
    tokens = TOKENS.found.get(value)
    if tokens is None:
        if value.count(b",") >= MAX_FIELDS:
            raise ProtocolError(f"a list with more than {MAX_FIELDS} members", 431)
        tokens = members(value)
        TOKENS.keep(value, tokens, len(value))
    return tokens
