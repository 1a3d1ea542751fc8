"""Reads the files that rules name: regular ones alone, bounded, below their folders, and never on the event loop."""

from __future__ import annotations

import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..proxy.io.beneath import find
from ..registry.sources.directory import Stamp

#: A certificate bundle is no larger; all of them together, and how many there are, are bounded, too.
MAX_FILE = 1024 * 1024
MAX_TOTAL = 16 * 1024 * 1024
MAX_FILES = 1000

#: Seconds that the caller waits for what a disk gives at once, and after which a file is given up.
PATIENCE = 0.25
LIMIT = 5.0

#: Threads that wait for files that do not answer: with so many, nothing is read until one comes back.
MAX_STUCK = 8

#: Where a file may lie: below one of these folders, or anywhere.
Folders = tuple[str, ...] | None


class FileContent(NamedTuple):
    stamp: Stamp
    content: bytes


class Look(NamedTuple):
    """What one look at the files found: those that can be read, as they are now, and why the others are not."""

    files: Mapping[str, FileContent]
    faults: Mapping[str, str]


class _Round:
    """One look, in a thread of its own. `at` is the file that it has in hand since `since`."""

    def __init__(self) -> None:
        self.at = ""
        self.since = 0.0
        self.answer: queue.SimpleQueue[Look] = queue.SimpleQueue()

    def run(self, wanted: Mapping[str, Folders], known: Mapping[str, FileContent], clock: Callable[[], float]) -> None:
        files: dict[str, FileContent] = {}
        faults: dict[str, str] = {}
        read: dict[tuple[int, int], FileContent] = {}  # by device and inode: a file with two names is one
        for path, folders in sorted(wanted.items()):
            self.at, self.since = path, clock()
            try:
                files[path] = look_at(path, folders, known.get(path), read)
            except (OSError, ValueError) as error:
                faults[path] = (error.strerror if isinstance(error, OSError) else "") or str(error)
        self.at = ""
        self.answer.put(Look(files, faults))


class FileReader:
    """`look` gives what is known after a moment's patience. A file that does not answer (a network share whose server
    is gone) costs one waiting thread, and no other file."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._round: _Round | None = None
        self._stuck: dict[str, threading.Thread] = {}
        self._thread: threading.Thread | None = None

    def look(self, wanted: Mapping[str, Folders], known: Mapping[str, FileContent]) -> Look | None:
        """Read what has changed of the `wanted`; `known` is what was read before. None while that takes its time: then
        ask again."""
        patience = 0.0
        if self._round is None:
            patience = PATIENCE
            if not self._begin(wanted, known):
                return None
        assert self._round is not None
        try:
            found = self._round.answer.get(block=patience > 0, timeout=patience or None)
        except queue.Empty:
            self._give_up()
            return None
        self._round = None
        late = {path: f"it does not answer within {LIMIT:g} s" for path in self._stuck if path in wanted}
        return Look(found.files, {**found.faults, **late})

    def _begin(self, wanted: Mapping[str, Folders], known: Mapping[str, FileContent]) -> bool:
        self._stuck = {path: thread for path, thread in self._stuck.items() if thread.is_alive()}
        if len(self._stuck) >= MAX_STUCK:
            return False
        rest = {path: folders for path, folders in wanted.items() if path not in self._stuck}
        self._round = _Round()
        self._thread = threading.Thread(
            target=self._round.run, args=(rest, dict(known), self._clock), name="files", daemon=True
        )
        self._thread.start()
        return True

    def _give_up(self) -> None:
        """Leave a round alone whose file has not answered for too long."""
        assert self._round is not None and self._thread is not None
        path = self._round.at
        if path and self._clock() - self._round.since > LIMIT:
            self._stuck[path] = self._thread
            self._round = None


def look_at(
    path: str, folders: Folders, known: FileContent | None, read: dict[tuple[int, int], FileContent]
) -> FileContent:
    """One file; `read` has those of this look. Raises OSError or ValueError."""
    fd = find(path, folders)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_size > MAX_FILE:
            raise ValueError(f"it is larger than {MAX_FILE} bytes")
        stamp = Stamp.of(found)
        same = read.get(stamp[:2])
        if same is not None:
            return same
        if len(read) >= MAX_FILES:
            raise ValueError(f"rules name more than {MAX_FILES} files")
        if known is None or known.stamp != stamp:
            known = FileContent(stamp, content_of(fd))
        if sum(len(file.content) for file in read.values()) + len(known.content) > MAX_TOTAL:
            raise ValueError(f"the files that rules name have more than {MAX_TOTAL} bytes together")
        read[stamp[:2]] = known
        return known
    finally:
        os.close(fd)


def content_of(fd: int) -> bytes:
    """The bytes of the regular file that this O_PATH descriptor names: what was looked at is what is opened."""
    opened = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(opened, "rb", buffering=0) as file:
        parts, size = [], 0
        while part := file.read(MAX_FILE + 1 - size):
            parts.append(part)
            size += len(part)
            if size > MAX_FILE:
                raise ValueError(f"it is larger than {MAX_FILE} bytes")
    return b"".join(parts)
