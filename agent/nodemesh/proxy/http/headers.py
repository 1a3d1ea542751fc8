"""Header changes that rules ask for, with the variables in their values."""

from __future__ import annotations

from typing import Final

from ...bounded import Bounded
from ...config.commands import FormatError, parse
from ...routing.decision import HeaderOps
from .head import Edits, Fields
from .lines import name_of
from .variables import RequestFacts, Variable

#: Values that were taken apart before: few differ, all of them are in rules.
TEMPLATES: Final[Bounded[bytes, Template]] = Bounded(4096)

#: Bytes that the variables of one set of changes may come to, which is as much as a head may have. A rule's author can
#: name a field of 60 KB as often as a rule has room: what is beyond counts as empty.
MOST: Final = 64 * 1024


class Template:
    """A value with variables, taken apart once: each variable comes before a text, and the first text before all."""

    __slots__ = ("first", "parts")

    def __init__(self, value: bytes) -> None:
        self.first = b""
        self.parts: list[tuple[Variable, bytes]] = []
        try:
            found = parse(value.decode())
        except FormatError:  # such a rule is refused
            self.first = value
            return
        for part in found:
            if not isinstance(part, str):
                self.parts.append((Variable(part), b""))
            elif self.parts:
                variable, text = self.parts[-1]
                self.parts[-1] = variable, text + part.encode()
            else:
                self.first += part.encode()

    def expand(self, facts: RequestFacts, most: int) -> bytes:
        """Empty where it would have more than `most` bytes."""
        found = [self.first]
        left = most - len(self.first)
        for variable, text in self.parts:
            value = variable.value(facts)
            left -= len(value) + len(text)
            if left < 0:
                return b""
            found += (value, text)
        return b"".join(found)


def change(ops: HeaderOps, fields: Fields, edits: Edits, facts: RequestFacts) -> None:
    """Change a message's edits: remove, then set, then add. An empty value after expansion adds nothing."""
    for name in ops.remove:
        edits[name] = b""
    left = MOST
    for op in ops.set:
        line = op.line
        if op.formatted:
            value = expand(op.value, facts, left)
            left -= len(value)
            line = op.name + b": " + value if value else b""
        if line:
            edits[op.name] = line
    for op in ops.add:
        line = op.line
        if op.formatted:
            value = expand(op.value, facts, left)
            left -= len(value)
            line = op.name + b": " + value if value else b""
        if line:
            add(fields, edits, op.name, line)


def add(fields: Fields, edits: Edits, name: bytes, line: bytes) -> None:
    """Put one more line beside those of its name."""
    present = edits.get(name)
    if present is None and name in fields.names:
        present = b"\r\n".join([line for line in fields.lines if name_of(line) == name])
    edits[name] = present + b"\r\n" + line if present else line


def expand(value: bytes, facts: RequestFacts, most: int = MOST) -> bytes:
    """A value with what its variables stand for; empty where that is more than `most` bytes."""
    template = TEMPLATES.found.get(value)
    if template is None:
        template = TEMPLATES.keep(value, Template(value))
    return template.expand(facts, most)
