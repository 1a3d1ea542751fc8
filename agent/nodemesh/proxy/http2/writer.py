"""Heads and trailers as an encoder's blocks: most of what a message says was said before, and is looked up."""

from __future__ import annotations

from itertools import repeat
from typing import Final

from ..http.head import Edits
from ..http.lines import CACHE, read_line
from .encoder import NAMES, REMEMBERED_LENGTH, Encoder, name_of, write_literal
from .head import Pair

#: What is not said as a line: fields of one connection, which HTTP/2 does not have, whoever asked for them (RFC 9113
#: section 8.2.2), and what a head says by itself.
UNSAID: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te", b"host"}
    | {b"content-length"}
)

#: Openings of which a connection remembers what it wrote, and none that is longer.
OPENINGS: Final = 64
LONGEST_OPENING: Final = 1024

#: So many lines as well, none of which is longer than what the encoder remembers.
LINES: Final = 256

#: What is written for lines that are not remembered.
UNKNOWN: Final = repeat(b"")


class Opening:
    """The fields that all messages like this one have, pseudo fields first: what came, and what frames it. They were
    made for `key`, beside what came. What the proxy says stands in place of fields with `names`, and the names in
    `never` are those that nobody may index."""

    __slots__ = ("key", "pairs", "names", "never", "sent")

    def __init__(self, key: object, pairs: list[Pair], names: frozenset[bytes], never: tuple[bytes, ...]) -> None:
        self.key = key
        self.pairs = pairs
        self.names = names
        self.never = never
        self.sent = False  # before: it is worth to be remembered


class Writer(Encoder):
    """The encoder of a connection, by what messages say. As long as its table is as it was, an opening and a line are
    written as they were before."""

    __slots__ = ("_openings", "_lines")

    def __init__(self) -> None:
        super().__init__()
        self._openings: dict[Opening, bytes] = {}
        self._lines: dict[bytes, bytes] = {}

    def head(self, opening: Opening, edits: Edits) -> bytes:
        """A head of an opening, and what the proxy says."""
        names = opening.names
        if names.isdisjoint(edits):
            start = self._openings.get(opening)
            if start is None or self._resized:
                start = self._open(opening)
        else:
            pairs = [pair for pair in opening.pairs if pair[0] not in edits or pair[0] not in names]
            start = self.encode(pairs, opening.never)
        if not edits:
            return start
        parts = [start, *map(self._lines.get, edits.values(), UNKNOWN)]
        unknown = parts.count(b"")
        if unknown:
            self._fill(parts, unknown, edits)
        return b"".join(parts)

    def _fill(self, parts: list[bytes], unknown: int, edits: Edits) -> None:
        """Write the lines that are not remembered; the first part is no line."""
        names = list(edits)
        added = self._added
        place = 0
        while unknown:
            place = parts.index(b"", place + 1)
            name = names[place - 1]
            parts[place] = self._say(name, edits[name])
            unknown -= 1
            if self._added != added:  # behind a new entry all indices are others
                lines = self._lines
                parts[place + 1 :] = [lines.get(edits[name]) or self._say(name, edits[name]) for name in names[place:]]
                return

    def trailers(self, lines: list[bytes]) -> bytes:
        """A section of lines that came."""
        parts = [self.encode([], ())] if self._resized else []
        for line in lines:
            parts.append(self._lines.get(line) or self._field(line, (CACHE.get(line) or read_line(line)).pair))
        return b"".join(parts)

    def _open(self, opening: Opening) -> bytes:
        """An opening that is not remembered."""
        added, resized = self._added, self._resized
        start = self.encode(opening.pairs, opening.never)
        if opening.sent and self._added == added and not resized and len(start) <= LONGEST_OPENING:
            if len(self._openings) >= OPENINGS:
                self._openings.clear()
            self._openings[opening] = start
        opening.sent = True
        return start

    def _say(self, name: bytes, line: bytes) -> bytes:
        """The lines of a name that the proxy says: none, one, or several with CRLF between them."""
        if not line or name in UNSAID:
            return b""
        start = len(name) + 1
        if line.find(b"\r\n") >= 0:
            return b"".join([self._pair((name, each[start:].strip(b" \t"))) for each in line.split(b"\r\n")])
        known = NAMES.get(name) or name_of(name)
        if known.spent:
            if line != known.line:
                known.line, known.written = line, write_literal(known.plain, line[start:].strip(b" \t"))
            return known.written
        return self._field(line, (name, line[start:].strip(b" \t")))

    def _field(self, line: bytes, pair: Pair) -> bytes:
        """One line, which says this."""
        written = self._pair(pair)
        if pair in self._written and len(line) <= REMEMBERED_LENGTH:
            if len(self._lines) >= LINES:
                self._lines.clear()
            self._lines[line] = written
        return written

    def _pair(self, pair: Pair) -> bytes:
        return self._written.get(pair) or self._write(pair)

    def _changed(self) -> None:
        super()._changed()
        self._openings.clear()
        self._lines.clear()
