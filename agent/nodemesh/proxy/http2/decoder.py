"""Reading field sections (RFC 7541): limits act here, before a field becomes an object."""

from __future__ import annotations

from typing import Final

from ...bounded import Bounded
from ...reasons import Reason
from .codes import COMPRESSION_ERROR, ENHANCE_YOUR_CALM
from .fault import ConnectionFault
from .field import OVERHEAD, SECRET, Field
from .head import Head
from .huffman import decode
from .limits import Http2Limits
from .settings import DEFAULT_TABLE
from .table import STATIC, STATIC_SIZE, Table

#: A section that is larger than its limit is read on for the table's sake, up to so many times the limit.
READ_ON: Final = 4

#: At the start of a block: the lowest size that the table had in between, and its last one (RFC 7541 section 4.2).
MAX_UPDATES: Final = 2


#: Decoded bytes of sections that are remembered, of each connection; and none that is larger.
REMEMBERED: Final = DEFAULT_TABLE
REMEMBERED_SIZE: Final = 2048

#: The version of a section that means the same with any table.
ANY: Final = -1

#: Literals as they were written, and the fields that they are: of all connections, since most servers and clients write
#: the same ones. At so many they start over; longer ones are not kept, and no secrets (as in `encoder`).
LITERALS: Final[Bounded[bytes, Field]] = Bounded(2048)
LONGEST_LITERAL: Final = 256

#: What an index in one byte is in the static table; None: it is none of that.
SHORT: Final[list[Field | None]] = [None, *STATIC[1:], *[None] * (127 - STATIC_SIZE)]


class Section:
    """What a block was decoded to, and means again as long as the table has the same version, or with ANY: it then puts
    the fields `added` into the table. `excess` tells whether it was over the limits: the fields are then those that
    fitted, and the table is as if all had been read. `head` and `trailers` are for who reads fields: what it found them
    to say."""

    __slots__ = ("fields", "size", "version", "added", "added_size", "excess", "head", "trailers")

    def __init__(
        self, fields: list[Field], size: int, version: int, added: list[Field], excess: Reason | None = None
    ) -> None:
        self.fields = fields
        self.size = size  # bytes, as RFC 9113 section 6.5.2 counts them
        self.version = version
        self.added = added
        self.added_size = sum([field.size for field in added]) if added else 0
        self.excess = excess
        self.head: Head | None = None
        self.trailers: list[bytes] | None = None


class Decoder:
    """One direction of a connection.

    Most requests on a connection are like the one before. Once the table has their fields, their blocks are the same:
    these are looked up, unless they hold what may not be indexed. So are the blocks of peers that use no table."""

    __slots__ = (
        "table", "_excess", "_announced", "_update_due", "_limits", "_position", "_known", "_known_size",
        "_literals", "_added", "_refers", "_once",
    )  # fmt: skip

    def __init__(self, limits: Http2Limits) -> None:
        self.table = Table(DEFAULT_TABLE)
        self._excess: Reason | None = None
        self._known: dict[bytes, Section] = {}
        self._known_size = 0
        # of the present block, or the last one
        self._literals: list[Field] = []
        self._added: list[Field] = []
        self._refers = False  # it has an index of the table
        self._once = False  # it has what is not to be remembered: a field that nobody may index, or a size update
        self._announced = DEFAULT_TABLE
        self._update_due = False
        self._limits = limits
        self._position = 0

    def announce(self, size: int) -> None:
        """The peer has acknowledged our HEADER_TABLE_SIZE; a lower one is followed by its size update."""
        self._update_due = size < self.table.limit
        self._known.clear()  # no block is read before that
        self._announced = size

    def read(self, block: bytes) -> Section:
        """A complete section. Raises ConnectionFault."""
        table = self.table
        known = self._known.get(block)
        if known is not None and (known.version == table.version or known.version == ANY):
            if known.added:
                table.extend(known.added, known.added_size)
            return known
        version = table.version
        self._added = []
        self._refers = self._once = False
        fields, size = self._read(block)
        section = Section(fields, size, version if self._refers else ANY, self._added, self._excess)
        if self._excess is None and not self._once and not (self._refers and self._added):
            self._remember(block, section)
        return section

    def _remember(self, block: bytes, section: Section) -> None:
        """A block may come again, and mean the same. No `Bounded`: the bytes count, which are the peer's choice."""
        if section.size > REMEMBERED_SIZE:
            return
        self._known_size += section.size
        if self._known_size > REMEMBERED:
            self._known.clear()
            self._known_size = section.size
        self._known[block] = section

    def _read(self, block: bytes) -> tuple[list[Field], int]:
        """The fields, and the section's size. Raises ConnectionFault."""
        self._excess = None
        fields: list[Field] = []
        table = self.table
        entries = table.entries
        position = self._updates(block)
        size = len(block)
        room = self._limits.head
        most = self._limits.fields
        expected = self._literals  # one block is mostly as the one before, but for a few literals
        left = len(expected)
        literals: list[Field] = []
        self._literals = literals
        newest = len(entries) + STATIC_SIZE  # less an index, it is that entry's place
        while position < size:
            byte = block[position]
            if byte < 128 and left:
                field = expected[-left]
                left -= 1
                if block.startswith(field.written, position):
                    position += len(field.written)
                    literals.append(field)
                    if byte >= 64:
                        table.add(field)
                        newest = len(entries) + STATIC_SIZE
                        self._added.append(field)
                    room -= field.size
                    if room < 0 or len(fields) >= most:
                        self._exceed(room)
                        left = 0
                    else:
                        fields.append(field)
                    continue
            position += 1
            if byte >= 128:  # indexed, the common case
                known = SHORT[byte - 128]
                if known is None:
                    index = byte - 128
                    if index == 127:
                        index = self._integer(block, position, 127)
                        position = self._position
                    place = newest - index
                    if place < 0 or index == 0:
                        raise broken("index beyond the table")
                    known = entries[place]
                    self._refers = True
                room -= known.size
                if room < 0 or len(fields) >= most:
                    self._exceed(room)
                    left = 0
                else:
                    fields.append(known)
                continue
            if 32 <= byte < 64:
                raise broken("size update after a field")
            room = self._literal(block, position, byte, fields, room)
            position = self._position
            newest = len(entries) + STATIC_SIZE
        return fields, self._limits.head - room

    def _updates(self, block: bytes) -> int:
        """Take the size updates at the block's start; returns where the fields begin."""
        position = 0
        count = 0
        while position < len(block) and 32 <= block[position] < 64:
            size = block[position] & 31
            position += 1
            if size == 31:
                size = self._integer(block, position, 31)
                position = self._position
            count += 1
            if size > self._announced or count > MAX_UPDATES:
                raise broken("size update")
            self._update_due = False
            self._once = True
            self.table.resize(size)
        if self._update_due and block:
            raise broken("size update missing")
        return position

    def _literal(self, block: bytes, position: int, byte: int, fields: list[Field], room: int) -> int:
        """A field with its value, the first byte of which is before `position`. Returns the room that is left."""
        start = position - 1
        indexed = byte >= 64
        mask = 63 if indexed else 15
        index = byte & mask
        if index == mask:
            index = self._integer(block, position, mask)
            position = self._position
        name_at = position
        if not index:
            position = self._length(block, position) + self._position
        elif index > STATIC_SIZE:
            self._refers = True
        if not indexed and self._excess is not None:
            self._name(block, index, name_at)
            return self._skip(block, position, room)
        value_at = position + 1
        end = value_at + (block[position] & 127) if position < len(block) else value_at
        if end > len(block) or end - value_at == 127:  # no string, or a long one
            end = self._length(block, position)
            value_at = self._position
            end += value_at
        field = LITERALS.found.get(block[start:end]) if index <= STATIC_SIZE else None
        if field is None:
            name = self._name(block, index, name_at)
            value = block[value_at:end]
            if block[position] >= 128:
                value = plain(value)
            size = len(name) + len(value) + OVERHEAD
            if not indexed and (size > room or len(fields) >= self._limits.fields):
                self._exceed(room - size)
                self._position = end
                return room - size
            never = (byte & 0xF0) == 16
            field = Field(name, value, never)
            if never:
                self._once = True
            elif index <= STATIC_SIZE and end - start <= LONGEST_LITERAL and name not in SECRET:
                field.written = block[start:end]
                LITERALS.keep(field.written, field)
        self._literals.append(field)
        self._position = end
        room -= field.size
        if room < 0 or len(fields) >= self._limits.fields:
            self._exceed(room)
        else:
            fields.append(field)
        if indexed:
            self.table.add(field)
            self._added.append(field)
        return room

    def _name(self, block: bytes, index: int, position: int) -> bytes:
        """The name at an index, or the one that is written there."""
        if not index:
            return self._string(block, position)
        known = self.table.get(index)
        if known is None:
            raise broken("index beyond the table")
        return known.name

    def _exceed(self, room: int) -> None:
        """A field is not within the limits: it is not kept."""
        if room < -(READ_ON - 1) * self._limits.head:
            raise ConnectionFault(ENHANCE_YOUR_CALM, Reason.HTTP2_HEAD_TOO_LARGE, "field section far too large")
        if self._excess is None:
            self._excess = Reason.HTTP2_HEAD_TOO_LARGE if room < 0 else Reason.HTTP2_TOO_MANY_FIELDS

    def _skip(self, block: bytes, position: int, room: int) -> int:
        """Pass a value over; returns the room that is left."""
        size = self._length(block, position)
        self._position += size
        room -= size + OVERHEAD
        self._exceed(room)
        return room

    def _length(self, block: bytes, position: int) -> int:
        """The length of the string that begins there; `_position` is then where its bytes are."""
        if position >= len(block):
            raise broken("string beyond the block")
        size = block[position] & 127
        self._position = position + 1
        if size == 127:
            size = self._integer(block, position + 1, 127)
        if self._position + size > len(block):
            raise broken("string beyond the block")
        return size

    def _string(self, block: bytes, position: int) -> bytes:
        size = self._length(block, position)
        start = self._position
        data = block[start : start + size]
        return data if block[position] < 128 else plain(data)

    def _integer(self, block: bytes, position: int, value: int) -> int:
        """An integer that its first byte did not hold: at most four more, so below 2^28 and a little (RFC 7541 5.1)."""
        shift = 0
        while shift < 28:
            if position >= len(block):
                break
            byte = block[position]
            position += 1
            value += (byte & 127) << shift
            if byte < 128:
                self._position = position
                return value
            shift += 7
        raise broken("integer")


def plain(data: bytes) -> bytes:
    """A string that came in Huffman code. Raises ConnectionFault."""
    text = decode(data)
    if text is None:
        raise broken("Huffman code")
    return text


def broken(text: str) -> ConnectionFault:
    """The tables of both sides are out of step from here on (RFC 9113 section 4.3)."""
    return ConnectionFault(COMPRESSION_ERROR, Reason.HTTP2_COMPRESSION_ERROR, f"HPACK: {text}")
