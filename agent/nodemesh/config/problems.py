"""A problem found in the configuration: what, where, and what would be right."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from .meta import Location, Path
from .printable import printable


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. `refused` says that the object itself is invalid and was not accepted; `path` is the field's path
    in the form `spec.http[0].match[1].headers.end-user`; `code` is stable (for instance `unknown-field`). What it says
    is one line, whatever keys and values it quotes."""

    code: str
    message: str
    severity: Severity = Severity.ERROR
    refused: bool = False
    location: Location = Location()
    kind: str = ""
    group: str = ""  # the kind's API group
    namespace: str = ""
    name: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        for field in ("message", "path"):
            text = getattr(self, field)
            if not text.isprintable():
                msgspec.structs.force_setattr(self, field, printable(text))


class Finding(msgspec.Struct, frozen=True):
    """A problem before its place in the text is known: code, field path, sentence. `at_value` points to the value
    and not to the key."""

    code: str
    path: Path
    message: str
    severity: Severity = Severity.ERROR
    at_value: bool = False


class Findings:
    """Collects what is found in one object."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: list[Finding] = []

    def error(self, code: str, path: Path, message: str) -> None:
        self.items.append(Finding(code, path, message))

    def bad_value(self, code: str, path: Path, message: str) -> None:
        """An error whose place is the value that stands behind the key."""
        self.items.append(Finding(code, path, message, Severity.ERROR, True))

    def warning(self, code: str, path: Path, message: str) -> None:
        self.items.append(Finding(code, path, message, Severity.WARNING))


def path_text(path: Path) -> str:
    """A path as people write it: `spec.http[0].match[1].headers.end-user`; keys with dots stand in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part or "[" in part or not part:
            text += f'["{part}"]'
        else:
            text += f".{part}" if text else part
    return text
