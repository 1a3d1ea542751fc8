"""Header changes that rules ask for, with the variables in their values."""

from __future__ import annotations

from typing import Final

from ...config.commands import CommandError, parse
from ...routing.decision import HeaderOps
from .head import Edits, Fields
from .lines import name_of
from .variables import Facts, Variable

#: Values that were taken apart before: few differ, all of them are in rules.
TEMPLATES: Final[dict[bytes, Template]] = {}
TEMPLATES_SIZE: Final = 4096


class Template:
    """A value with variables, taken apart once: each variable comes before a text, and the first text before all."""

    __slots__ = ("first", "parts")

    def __init__(self, value: bytes) -> None:
        self.first = b""
        self.parts: list[tuple[Variable, bytes]] = []
        try:
            found = parse(value.decode())
        except CommandError:  # such a rule is refused
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

    def expand(self, facts: Facts) -> bytes:
        out = self.first
        for variable, text in self.parts:
            out += variable.value(facts) + text
        return out


def change(ops: HeaderOps, fields: Fields, edits: Edits, facts: Facts) -> None:
    """Change a message's edits: remove, then set, then add. An empty value after expansion adds nothing."""
    for name in ops.remove:
        edits[name] = b""
    for op in ops.set:
        value = expand(op.value, facts) if op.formatted else op.value
        if value:
            edits[op.name] = op.name + b": " + value
    for op in ops.add:
        value = expand(op.value, facts) if op.formatted else op.value
        if value:
            add(fields, edits, op.name, op.name + b": " + value)


def add(fields: Fields, edits: Edits, name: bytes, line: bytes) -> None:
    """Put one more line beside those of its name."""
    said = edits.get(name)
    if said is None and name in fields.names:
        said = b"\r\n".join([line for line in fields.lines if name_of(line) == name])
    edits[name] = said + b"\r\n" + line if said else line


def expand(value: bytes, facts: Facts) -> bytes:
    """A value with what its variables stand for."""
    template = TEMPLATES.get(value)
    if template is None:
        if len(TEMPLATES) >= TEMPLATES_SIZE:
            TEMPLATES.clear()
        template = TEMPLATES[value] = Template(value)
    return template.expand(facts)
