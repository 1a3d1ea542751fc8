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

    __slots__ = ("found", "layout", "changed", "familiar", "meaning", "_layouts", "_start")

    def __init__(self, layouts: Layouts) -> None:
        self.found: list[FieldLine] = []
        self.layout: HeadLayout = layouts.of(())
        self.changed: list[FieldLine] = []
        self.familiar = True
        self.meaning: T | None = None
        self._layouts = layouts
        self._start = b""

    def read(self, start: bytes, lines: list[bytes]) -> T | None:
        """Read the lines of a head that begins with `start`. Returns what the head before came to, if this one comes to
        the same but for the values that `changed` have. Raises ProtocolError."""
        before, layout, meaning = self.found, self.layout, self.meaning
        count = len(before)
        found: list[FieldLine] = []
        changed: list[FieldLine] = []
        familiar = True
        named_alike = len(lines) == count
        plain = start == self._start and not layout.repeats
        for index, line in enumerate(lines):
            known = before[index] if index < count else NOTHING
            if known.line != line:
                said = CACHE.get(line)
                if said is None:
                    said = read_line(line, known)
                    familiar = False
                if said.name != known.name:
                    named_alike = False
                elif index < count and layout.kinds[index] != PLAIN:
                    plain = False
                changed.append(said)
                known = said
            found.append(known)
        if not named_alike:
            self.layout = self._layouts.of(tuple([line.name for line in found]))
        self.found, self.changed, self.familiar, self.meaning, self._start = found, changed, familiar, None, start
        return meaning if named_alike and plain else None
