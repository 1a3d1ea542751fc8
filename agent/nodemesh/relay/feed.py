"""Objects as they are served, in blocks that are compressed once, and the changes that watches follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from .wire import Piece, event, piece

#: Objects that are compressed together for who starts, and bytes of them: objects may be large, and all others wait.
BLOCK = 256
BLOCK_BYTES = 2**20

#: Changes that are remembered for who comes back, and bytes of them; a version before them is 410 Gone.
REMEMBERED = 20_000
REMEMBERED_BYTES = 32 * 2**20

Name = tuple[str, str]  # namespace, name


class FeedChange(NamedTuple):
    """`piece` is an event for all; `version` its resourceVersion."""

    version: int
    piece: Piece

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.piece.plain) + len(self.piece.deflated)


class FeedBlock:
    """Some objects, by name."""

    __slots__ = ("_piece", "lines", "size")

    def __init__(self) -> None:
        self.lines: dict[Name, bytes] = {}
        self.size = 0  # in bytes
        self._piece: Piece | None = None

    def has_room(self, name: Name, line: bytes) -> bool:
        """For this object, be it new or not. One is in its block alone, however large."""
        others = len(self.lines) - (name in self.lines)
        size = self.size - len(self.lines.get(name, b"")) + len(line)
        return not others or (others < BLOCK and size <= BLOCK_BYTES)

    def put(self, name: Name, line: bytes) -> None:
        self.size += len(line) - len(self.lines.get(name, b""))
        self.lines[name] = line
        self._piece = None

    def remove(self, name: Name) -> None:
        self.size -= len(self.lines.pop(name))
        self._piece = None

    def piece(self) -> Piece | None:
        """They as events, None where there are none."""
        if self._piece is None and self.lines:
            self._piece = piece(b"".join(event("ADDED", line) for line in self.lines.values()))
        return self._piece


class Feed:
    """`version` is the resourceVersion up to which it is right, 0 where nothing is known yet."""

    def __init__(self) -> None:
        self.version = 0
        self.changes: deque[FeedChange] = deque()
        self._size = 0  # of these, in bytes
        self.first = 0  # the count of the oldest change that is remembered
        self._floor = 0  # who is before this version must start over
        self._blocks: list[FeedBlock] = [FeedBlock()]
        self._places: dict[Name, FeedBlock] = {}

    def __len__(self) -> int:
        return len(self._places)

    @property
    def end(self) -> int:
        """The count of all changes so far."""
        return self.first + len(self.changes)

    def reset(self, objects: dict[Name, bytes], version: int) -> None:
        """These are all there are: nobody can go on from before."""
        self.first = self.end + 1  # as if one change were forgotten that all others missed
        self.changes.clear()
        self._size = 0
        self._floor = self.version = version
        self._blocks, self._places = [FeedBlock()], {}
        for name, line in objects.items():
            self._put(name, line)

    def put(self, name: Name, line: bytes, version: int, kind: str = "") -> None:
        """An object came, or is another one now. `kind` names the event where it is no ordinary one."""
        kind = kind or ("MODIFIED" if name in self._places else "ADDED")
        self._put(name, line)
        self._note(event(kind, line), version)

    def remove(self, name: Name, line: bytes, version: int) -> None:
        """`line` is the object as it was last."""
        if self._take_out(name):
            self._note(event("DELETED", line), version)

    def line(self, name: Name) -> bytes:
        """An object as it is; empty where there is none."""
        block = self._places.get(name)
        return block.lines[name] if block is not None else b""

    def lines(self) -> Iterator[bytes]:
        for block in self._blocks:
            yield from block.lines.values()

    def pieces(self) -> list[Piece]:
        """All objects, as events of somebody who starts."""
        return [made for block in self._blocks if (made := block.piece()) is not None]

    def since(self, version: int) -> int | None:
        """The count of changes from which somebody goes on who is at `version`; None where that is forgotten."""
        if version < self._floor:
            return None
        count = self.end
        for change in reversed(self.changes):
            if change.version <= version:
                break
            count -= 1
        return count

    def _put(self, name: Name, line: bytes) -> None:
        block = self._places.get(name)
        if block is not None and not block.has_room(name, line):
            self._take_out(name)
            block = None
        if block is None:
            if not self._blocks[-1].has_room(name, line):
                self._blocks.append(FeedBlock())
            block = self._places[name] = self._blocks[-1]
        block.put(name, line)

    def _take_out(self, name: Name) -> bool:
        """Whether it was there."""
        block = self._places.pop(name, None)
        if block is None:
            return False
        block.remove(name)
        if not block.lines and block is not self._blocks[-1]:
            self._blocks.remove(block)
        return True

    def _note(self, line: bytes, version: int) -> None:
        self.version = max(self.version, version)
        made = FeedChange(version, piece(line))
        self.changes.append(made)
        self._size += made.size
        while len(self.changes) > REMEMBERED or (self._size > REMEMBERED_BYTES and len(self.changes) > 1):
            gone = self.changes.popleft()
            self._size -= gone.size
            self._floor = gone.version
            self.first += 1
