"""What cannot be said, or means something else, in the Gateway API."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...config.meta import Location, Object, Path
from ...config.problems import path_text


class Note(NamedTuple):
    """`lost` says that the routes do less than the VirtualService did; else it is something to look at."""

    location: Location
    path: str
    message: str
    lost: bool

    def __str__(self) -> str:
        return f"{self.location}: {'lost' if self.lost else 'note'}: {self.message} ({self.path})"


class Notes:
    """Of one VirtualService."""

    def __init__(self, item: Object[Any]) -> None:
        self._item = item
        self.found: list[Note] = []

    def lost(self, path: Path, message: str) -> None:
        self.found.append(Note(self._item.locate(*path), path_text(path), message, True))

    def note(self, path: Path, message: str) -> None:
        self.found.append(Note(self._item.locate(*path), path_text(path), message, False))
