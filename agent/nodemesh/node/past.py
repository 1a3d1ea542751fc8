"""The objects of the configuration as they were before each of the last changes, to be applied again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from ..config.meshconfig import MeshConfigSpec
from ..config.written import document
from ..registry.assemble import ObjectKey
from ..registry.carry import without_secrets
from ..registry.store import Edit
from ..routing.question import QuestionError

#: Changes that are remembered, and bytes of all the objects in them, as JSON. Of an object that is longer than the
#: bound it is known that it changed.
STEPS = 1000
MAX_BYTES = 8 * 2**20

#: What became of an object.
ADDED, CHANGED, REMOVED = "added", "changed", "removed"


class ObjectChange(msgspec.Struct, frozen=True):
    """What a change did to one object, and who wrote it: a field manager's name and seconds since the epoch, where they
    are known."""

    kind: str
    group: str
    namespace: str
    name: str
    change: str
    author: str = ""
    written: float = 0.0
    location: str = ""


class ObjectStep(NamedTuple):
    """One object in one version; `before` is JSON, empty where it is not kept or there was none."""

    version: int
    key: ObjectKey
    change: str
    before: bytes


class Past:
    """Holds no Secret; of MeshConfig the fields are left out that are sent to collectors."""

    def __init__(self) -> None:
        self._steps: deque[ObjectStep] = deque()
        self._bytes = 0

    def add(self, version: int, edits: Iterable[Edit]) -> tuple[ObjectChange, ...]:
        """Keep what these replaced; what is said of them."""
        told = []
        for edit in edits:
            change = ADDED if edit.before is None else REMOVED if edit.after is None else CHANGED
            if edit.before is not None or version > 1:  # what was there at the start was added by nobody
                self._keep(ObjectStep(version, edit.key, change, _kept(edit)))
            told.append(_told(edit, change))
        return tuple(told)

    def of_version(self, version: int) -> list[ObjectStep]:
        return [step for step in self._steps if step.version == version]

    def of_object(self, kind: str, namespace: str, name: str) -> list[ObjectStep]:
        """The last change of the object with this name: `kind` in any case."""
        for step in reversed(self._steps):
            key = step.key
            if (key.kind.lower(), key.namespace, key.name) == (kind.lower(), namespace, name):
                return [step]
        return []

    def later(self, step: ObjectStep) -> Iterator[int]:
        """The versions that changed the same object afterwards."""
        return (other.version for other in self._steps if other.key == step.key and other.version > step.version)

    @property
    def versions(self) -> tuple[int, ...]:
        """Those that anything is known of, the oldest first."""
        return tuple(dict.fromkeys(step.version for step in self._steps))

    def _keep(self, step: ObjectStep) -> None:
        self._steps.append(step)
        self._bytes += len(step.before)
        while len(self._steps) > STEPS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._steps.popleft().before)


def rows_of(past: Past, version: int, name: str) -> list[dict[str, Any]]:
    """/rollback: what a version changed, or (0) the last change of the object `KIND/NAMESPACE/NAME`. Raises
    QuestionError."""
    if version:
        steps = past.of_version(version)
        known = past.versions
        right = f"kept are some of {known[0]} to {known[-1]}" if known else "nothing has changed since the agent began"
        missing = f"no change of an object in version {version} is kept; {right}"
    else:
        kind, *rest = name.split("/")
        if len(rest) not in (1, 2) or not all((kind, *rest)):
            raise QuestionError(f"{name!r} names no object; write it as VirtualService/default/reviews")
        steps = past.of_object(kind, *rest) if len(rest) == 2 else past.of_object(kind, "", rest[0])
        if len(rest) == 1 and not steps:
            steps = past.of_object(kind, "default", rest[0])
        missing = f"no change of {name} is kept"
    if not steps:
        raise QuestionError(missing)
    return [
        {
            "version": step.version,
            "kind": step.key.kind,
            "group": step.key.group,
            "namespace": step.key.namespace,
            "name": step.key.name,
            "change": step.change,
            "kept": bool(step.before) or step.change == ADDED,
            "later": sorted(set(past.later(step))),
            "document": msgspec.json.decode(step.before) if step.before else None,
        }
        for step in steps
    ]


def _kept(edit: Edit) -> bytes:
    item = edit.before
    if item is None:
        return b""
    if isinstance(item.spec, MeshConfigSpec):
        item = msgspec.structs.replace(item, spec=without_secrets(item.spec), marks={})
    data = msgspec.json.encode(document(item))
    return data if len(data) <= MAX_BYTES else b""


def _told(edit: Edit, change: str) -> ObjectChange:
    key, item = edit.key, edit.after
    return ObjectChange(
        kind=key.kind,
        group=key.group,
        namespace=key.namespace,
        name=key.name,
        change=change,
        author=item.meta.author if item is not None else "",
        written=item.meta.written if item is not None else 0.0,
        location=str(item.location) if item is not None and item.location.line else "",
    )
