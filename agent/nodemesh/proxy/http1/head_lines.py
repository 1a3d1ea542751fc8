"""The field lines of heads, each read by the help of the head before: most of its lines are the same."""

from __future__ import annotations

from typing import Generic, TypeVar

from ..http.fields import PLAIN, HeadLayout, Layouts
from ..http.head import Fields
from ..http.lines import CACHE, NOTHING, FieldLine, read_line

T = TypeVar("T", bound=Fields)


class LinesReader(Generic[T]):
    """`found` are the lines of the head that was read last, `layout` what they are, `changed` those that were others in
    the head before. `familiar`: all of them were known. `meaning` is what the head came to; who reads it sets that, if
    a head of the same layout comes to the same but for the values of plain fields."""

    __slots__ = ("found", "layout", "changed", "familiar", "meaning", "_layouts", "_start", "_lines")

    def __init__(self, layouts: Layouts) -> None:
        self.found: list[FieldLine] = []
        self.layout: HeadLayout = layouts.of(())
        self.changed: list[FieldLine] = []
        self.familiar = True
        self.meaning: T | None = None
        self._layouts = layouts
        self._start = b""
        self._lines: list[bytes] = []  # those of `found`, as far as they are kept

    def read(self, start: bytes, lines: list[bytes]) -> T | None:
        """Read the lines of a head that begins with `start`. Returns what the head before came to, if this one comes to
        the same but for the values that `changed` have. Raises ProtocolError."""
        if len(lines) != len(self._lines):
            self._read_other(start, lines)
            return None
        layout, meaning = self.layout, self.meaning
        found, kept = list(self.found), list(self._lines)
        changed: list[FieldLine] = []
        familiar = named_alike = True
        plain = start == self._start and not layout.repeats
        for index, line in enumerate(lines):
            if line == kept[index]:  # as most are
                continue
            known = found[index]
            said = CACHE.get(line)
            if said is None:
                said = read_line(line, known)
                familiar = False
            if said.name != known.name:
                named_alike = False
            elif layout.kinds[index] != PLAIN:
                plain = False
            changed.append(said)
            found[index] = said
            kept[index] = said.line
        if not named_alike:
            self.layout = self._layouts.of(tuple([line.name for line in found]))
        self.found, self.changed, self.familiar, self.meaning, self._start = found, changed, familiar, None, start
        self._lines = kept
        return meaning if named_alike and plain else None

    def _read_other(self, start: bytes, lines: list[bytes]) -> None:
        """Read the lines of a head that has not as many as the one before."""
        before = self.found
        found: list[FieldLine] = []
        familiar = True
        for index, line in enumerate(lines):
            said = CACHE.get(line)
            if said is None:
                said = read_line(line, before[index] if index < len(before) else NOTHING)
                familiar = False
            found.append(said)
        self.layout = self._layouts.of(tuple([line.name for line in found]))
        self.found = self.changed = found
        self.familiar, self.meaning, self._start = familiar, None, start
        self._lines = [said.line for said in found]
