"""Objects from files and folders of YAML, read again when they change.

The caller polls: `scan()` costs one stat per file while nothing changes, so that five times a second is cheap for a
thousand files, and it works on any file system (ConfigMap mounts, network shares), which inotify does not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...config.load import load_text
from ...config.meta import Location, Object
from ...config.meta import Path as FieldPath
from ...config.problems import Problem, path_text
from ...config.validate.updates import changed_field
from ..assemble import ObjectKey, key_of

#: The codes of what can be wrong with files and between them.
FILE_CODES: dict[str, str] = {
    "duplicate-object": "An object is defined twice; the first one counts, in the order of the files' names.",
    "immutable-field": "A field has changed that stays as it was created; the object before stays in force.",
    "no-such-path": "There is no such file or folder.",
    "unreadable-file": "The file cannot be read.",
}

SUFFIXES = (".yaml", ".yml", ".json")


class Stamp(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    modified: int  # ns
    size: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        return cls(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


class SourceChanges(NamedTuple):
    """What a source hands over: objects that are new or different, keys of those gone, and all problems as they are
    now."""

    changed: Mapping[ObjectKey, Object[Any]]
    removed: tuple[ObjectKey, ...]
    problems: tuple[Problem, ...]


class ScannedFile(NamedTuple):
    stamp: Stamp
    objects: dict[ObjectKey, Object[Any]]
    problems: tuple[Problem, ...]


class DirectorySource:
    """Reads `paths`: files as they are named, folders with every YAML and JSON file below them (hidden ones aside)."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._paths = tuple(str(path) for path in paths)
        self._files: dict[str, ScannedFile] = {}
        self._shrunk: dict[str, Stamp] = {}
        self._objects: dict[ObjectKey, Object[Any]] = {}
        self._problems: tuple[Problem, ...] = ()
        self._missing: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the last scan found."""
        return tuple(self._files)

    @property
    def modified(self) -> int:
        """When the newest of them was written, in ns."""
        return max((file.stamp.modified for file in self._files.values()), default=0)

    def scan(self) -> SourceChanges | None:
        """What changed since the last scan; None if nothing did. A file that cannot be read any more, or an object in
        it that has become invalid, stays as it last was, and so does all of a path that was asked for and is not there;
        a file that is gone from its folder takes its objects along."""
        stamps = dict(self._stamps())
        missing = tuple(path for path in self._paths if not os.path.exists(path))
        due = {path for path, stamp in stamps.items() if self._is_due(path, stamp)}
        gone = {path for path in self._files.keys() - stamps.keys() if not any(holds(each, path) for each in missing)}
        for path in gone:
            del self._files[path]
        for path in due:
            self._files[path] = read_file(path, stamps[path], self._files.get(path))
        if not due and not gone and missing == self._missing:
            return None
        self._missing = missing
        return self._advance()

    def _stamps(self) -> Iterator[tuple[str, Stamp]]:
        for path in self._paths:
            if os.path.isdir(path):
                for folder, folders, names in os.walk(path):
                    folders[:] = sorted(name for name in folders if not name.startswith("."))
                    for name in sorted(names):
                        if name.endswith(SUFFIXES) and not name.startswith("."):
                            yield from stamp_of(os.path.join(folder, name), regular=True)
            else:
                yield from stamp_of(path)

    def _is_due(self, path: str, stamp: Stamp) -> bool:
        """Whether to read the file. One that shrank may be in the middle of being written: it is read when it looks
        the same at the next scan."""
        known = self._files.get(path)
        if known is None:
            return True
        if known.stamp == stamp:
            self._shrunk.pop(path, None)
            return False
        if stamp.inode == known.stamp.inode and stamp.size < known.stamp.size and self._shrunk.get(path) != stamp:
            self._shrunk[path] = stamp
            return False
        self._shrunk.pop(path, None)
        return True

    def _merged(self) -> tuple[dict[ObjectKey, Object[Any]], list[Problem]]:
        """All objects; one that an earlier file has already is a problem of the later file."""
        objects: dict[ObjectKey, Object[Any]] = {}
        clashes: list[Problem] = []
        for _, file in sorted(self._files.items()):
            for key, item in file.objects.items():
                first = objects.setdefault(key, item)
                if first is not item:
                    clashes.append(duplicate(key, item, first))
        return objects, clashes

    def _advance(self) -> SourceChanges | None:
        before = self._objects
        objects, clashes = self._merged()
        changed = {}
        for key, item in objects.items():
            held = before.get(key)
            if held is not None and held == item:
                objects[key] = held
            else:
                changed[key] = item
        removed = tuple(key for key in before if key not in objects)
        of_files = (problem for _, file in sorted(self._files.items()) for problem in file.problems)
        problems = (*(no_such_path(path) for path in self._missing), *of_files, *clashes)
        if not changed and not removed and problems == self._problems:
            return None
        self._objects, self._problems = objects, problems
        return SourceChanges(changed, removed, problems)


def stamp_of(path: str, *, regular: bool = False) -> Iterator[tuple[str, Stamp]]:
    """Nothing for a file that has vanished in between; with `regular` nothing for pipes and devices either, which would
    be waited for."""
    try:
        found = os.stat(path)
    except OSError:
        return
    if regular and not stat.S_ISREG(found.st_mode):
        return
    yield path, Stamp.of(found)


def holds(path: str, file: str) -> bool:
    """Whether the file is the one that `path` names, or lies below the folder."""
    return file == path or file.startswith(os.path.join(path, ""))


def read_file(path: str, stamp: Stamp, before: ScannedFile | None) -> ScannedFile:
    """The file's objects, with the last good ones in the place of those that were refused."""
    kept = before.objects if before is not None else {}
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        problem = Problem(
            code="unreadable-file",
            message=f"{path} cannot be read: {error.strerror}",
            refused=True,
            location=Location(path),
        )
        return ScannedFile(stamp, kept, (problem,))
    loaded = load_text(data, path)
    objects: dict[ObjectKey, Object[Any]] = {}
    clashes: list[Problem] = []
    for item in loaded.objects:
        key = key_of(item)
        changed = changed_field(kept[key], item) if key in kept else None
        if changed is not None:
            clashes.append(immutable(key, item, changed))
            item = kept[key]
        first = objects.setdefault(key, item)
        if first is not item:
            clashes.append(duplicate(key, item, first))
    for problem in loaded.problems:
        if not problem.refused:
            continue
        for key, item in kept.items():
            # A flaw without a name may be in any object: all that the file had stays.
            if not problem.name or (problem.group, problem.kind, *named(problem)) == (key.group, key.kind, *names(key)):
                objects.setdefault(key, item)
    return ScannedFile(stamp, objects, (*loaded.problems, *clashes))


def named(problem: Problem) -> tuple[str, str]:
    return problem.namespace, problem.name


def names(key: ObjectKey) -> tuple[str, str]:
    return key.namespace, key.name


def duplicate(key: ObjectKey, item: Object[Any], first: Object[Any]) -> Problem:
    return Problem(
        code="duplicate-object",
        message=f"{key} is already defined at {first.location}; that one counts",
        refused=True,
        location=item.location,
        kind=key.kind,
        group=key.group,
        namespace=key.namespace,
        name=key.name,
    )


def immutable(key: ObjectKey, item: Object[Any], path: FieldPath) -> Problem:
    return Problem(
        code="immutable-field",
        message=f"{path_text(path)} cannot be changed; remove {key} first, or name the new one otherwise",
        refused=True,
        location=item.locate(*path),
        kind=key.kind,
        group=key.group,
        namespace=key.namespace,
        name=key.name,
        path=path_text(path),
    )


def no_such_path(path: str) -> Problem:
    return Problem(
        code="no-such-path",
        message=f"{path} does not exist; right is a file or a folder of YAML",
        refused=True,
        location=Location(path),
    )
