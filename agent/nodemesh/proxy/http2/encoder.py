"""Writing field sections (RFC 7541): fields that come again are written from memory, and soon by their index.

No Huffman code: see `huffman`."""

from __future__ import annotations

from typing import Final

from .field import OVERHEAD, SECRET
from .head import Pair
from .settings import DEFAULT_TABLE
from .table import STATIC_PAIRS, STATIC_SIZE

#: Another value with each message, or each second: they would only push others out of a table.
VOLATILE: Final = frozenset(
    {
        b"age",
        b"content-length",
        b"date",
        b"etag",
        b"grpc-timeout",
        b"last-modified",
        b"traceparent",
        b"x-envoy-upstream-service-time",
        b"x-request-id",
    }
)

#: A name with more values than this has another one in each message: they are not worth their place.
REMEMBERED_VALUES: Final = 64

#: Entries of one name that a table has at once: one with another value in each message would push all others out, and
#: with each new entry all indices become others.
INDEXED_VALUES: Final = 16

#: So many fields are remembered, of all connections, and none that is longer; then they start over.
REMEMBERED: Final = 2048
REMEMBERED_LENGTH: Final = 256

#: An entry may take this part of the table, so that one does not push all others out.
LARGEST_PART: Final = 4

# The first bits of a literal (RFC 7541 section 6.2), and of an indexed field and a size update.
PLAIN: Final = 0x00
NEVER: Final = 0x10
INDEXING: Final = 0x40
INDEXED: Final = 0x80
RESIZING: Final = 0x20


def integer(value: int, bits: int, first: int) -> bytes:
    """An integer with a prefix of so many bits, beside the bits of `first` (RFC 7541 section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    written = [first | most]
    value -= most
    while value >= 128:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


class KnownField:
    """A field that came before: what is written for it without a table, and what it costs in one. The static table's
    need no other."""

    __slots__ = ("pair", "written", "size", "indexable")

    def __init__(self, pair: Pair, written: bytes, indexable: bool) -> None:
        self.pair = pair
        self.written = written
        self.size = len(pair[0]) + len(pair[1]) + OVERHEAD
        self.indexable = indexable


def build_static() -> tuple[dict[Pair, KnownField], dict[bytes, int]]:
    """The fields, and the indices of names, of the static table: the first where there are several."""
    pairs: dict[Pair, KnownField] = {}
    names: dict[bytes, int] = {}
    for index, (name, value) in enumerate(STATIC_PAIRS, 1):
        names.setdefault(name, index)
        if value:
            pairs[name, value] = KnownField((name, value), bytes((INDEXED | index,)), False)
    return pairs, names


STATIC, STATIC_NAMES = build_static()

#: What is written for an index.
INDICES: Final = [integer(index, 7, INDEXED) for index in range(STATIC_SIZE + DEFAULT_TABLE // OVERHEAD + 2)]

#: What is written for the length of a string.
LENGTHS: Final = [integer(length, 7, 0) for length in range(REMEMBERED_LENGTH)]


class Name:
    """How a name is written in literals, and whether its fields are remembered. A volatile one is `spent` when it has
    had so many values: where each message has another one none is worth a place in a table, and where each second has,
    the last one is, as its `line` and what was `written` for that."""

    __slots__ = ("plain", "never", "indexing", "secret", "volatile", "values", "spent", "line", "written")

    def __init__(self, name: bytes) -> None:
        index = STATIC_NAMES.get(name, 0)
        rest = b"" if index else integer(len(name), 7, 0) + name
        self.plain = integer(index, 4, PLAIN) + rest
        self.never = integer(index, 4, NEVER) + rest
        self.indexing = integer(index, 6, INDEXING) + rest
        self.secret = name in SECRET
        self.volatile = name in VOLATILE
        self.values = 0
        self.spent = False
        self.line = self.written = b""


NAMES: Final[dict[bytes, Name]] = {}

#: Fields that came before, and those of the static table.
SEEN: Final[dict[Pair, KnownField]] = dict(STATIC)


def forget() -> None:
    """Start over, both together: no `Bounded`, for the static table's fields stay, and a name counts its values."""
    NAMES.clear()
    SEEN.clear()
    SEEN.update(STATIC)


def name_of(name: bytes) -> Name:
    known = NAMES.get(name)
    if known is None:
        known = Name(name)
        if len(name) <= REMEMBERED_LENGTH:
            if len(NAMES) >= REMEMBERED:
                forget()
            NAMES[name] = known
    return known


def write_literal(start: bytes, value: bytes) -> bytes:
    size = len(value)
    return start + (LENGTHS[size] if size < REMEMBERED_LENGTH else integer(size, 7, 0)) + value


def write_first(pair: Pair) -> bytes:
    """A field that `SEEN` does not have, which then has it where it may come again."""
    name = NAMES.get(pair[0]) or name_of(pair[0])
    value = pair[1]
    size = len(value)
    length = LENGTHS[size] if size < REMEMBERED_LENGTH else integer(size, 7, 0)
    if name.secret:
        return name.never + length + value
    literal = name.plain + length + value
    if name.values < REMEMBERED_VALUES and len(literal) <= REMEMBERED_LENGTH:
        name.values += 1
        name.spent = name.volatile and name.values == REMEMBERED_VALUES
        if len(SEEN) >= REMEMBERED:
            forget()
        SEEN[pair] = KnownField(pair, literal, not name.volatile)
    return literal


class Encoder:
    """One direction of a connection, and the table that the peer has of it, the oldest entry first."""

    __slots__ = ("limit", "_entries", "_size", "_numbers", "_added", "_written", "_values", "_lowest", "_resized")

    def __init__(self) -> None:
        self.limit = DEFAULT_TABLE
        self._entries: list[KnownField] = []
        self._size = 0
        self._numbers: dict[KnownField, int] = {}  # of what is in the table: how many were added before
        self._added = 0
        self._written: dict[Pair, bytes] = {}  # what was written since the last one was added: indices are the same
        self._values: dict[bytes, int] = {}  # entries by their names
        self._lowest = 0  # size since the last section, while `_resized`
        self._resized = False

    def resize(self, limit: int) -> None:
        """The peer's table may have this size (SETTINGS_HEADER_TABLE_SIZE); we use no more than the default."""
        limit = min(limit, DEFAULT_TABLE)
        if limit != self.limit:
            self._lowest = min(self._lowest, limit) if self._resized else limit
            self._resized = True
            self._evict(limit)
            self.limit = limit

    def encode(self, fields: list[Pair], never: tuple[bytes, ...]) -> bytes:
        """A section. The names in `never` are those that their sender did not want indexed."""
        parts: list[bytes] = []
        if self._resized:
            self._resized = False
            if self._lowest < self.limit:  # RFC 7541 section 4.2
                parts.append(integer(self._lowest, 5, RESIZING))
            parts.append(integer(self.limit, 5, RESIZING))
        get = self._written.get
        for pair in fields:
            written = get(pair)
            if never and pair[0] in never:
                written = write_literal(name_of(pair[0]).never, pair[1])
            parts.append(written or self._write(pair))
        return b"".join(parts)

    def _write(self, pair: Pair) -> bytes:
        """One field."""
        known = SEEN.get(pair)
        if known is None:
            return write_first(pair)
        written = known.written
        if known.indexable:
            number = self._numbers.get(known)
            if number is not None:
                written = INDICES[STATIC_SIZE + self._added - number]
            elif known.size * LARGEST_PART <= self.limit and self._values.get(pair[0], 0) < INDEXED_VALUES:
                return self._add(known)
        if len(self._written) >= REMEMBERED:
            self._written.clear()
        self._written[pair] = written
        return written

    def _add(self, known: KnownField) -> bytes:
        """A field that came before: it has a place in the table from now on."""
        size = known.size
        self._evict(self.limit - size)
        self._changed()
        self._entries.append(known)
        self._size += size
        self._values[known.pair[0]] = self._values.get(known.pair[0], 0) + 1
        self._numbers[known] = self._added
        self._added += 1
        return write_literal(name_of(known.pair[0]).indexing, known.pair[1])

    def _evict(self, limit: int) -> None:
        """Make room, as the peer will."""
        count = 0
        while self._size > limit:
            known = self._entries[count]
            self._size -= known.size
            del self._numbers[known]
            left = self._values[known.pair[0]] - 1
            if left:
                self._values[known.pair[0]] = left
            else:
                del self._values[known.pair[0]]
            count += 1
        if count:
            self._changed()
            del self._entries[:count]

    def _changed(self) -> None:
        """Indices mean something else from here on."""
        self._written.clear()
