"""The objects with their revisions, and the log of changes that watches follow."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

import msgspec

Data = dict[str, Any]
Key = tuple[str, str]  # namespace, name


class Change(NamedTuple):
    revision: int
    store: str
    type: str  # ADDED, MODIFIED or DELETED
    data: Data
    before: Data | None


class Conflict(Exception):
    """Somebody else was faster."""


def key_of(data: Data) -> Key:
    return data["metadata"].get("namespace", ""), data["metadata"]["name"]


class Etcd:
    """`remember` is how many changes the log holds; older ones are compacted away, as the real one does by time."""

    def __init__(self, remember: int = 100_000) -> None:
        self.revision = 1000
        self.compacted = 1000
        self._objects: dict[str, dict[Key, Data]] = {}
        self._log: deque[Change] = deque()
        self._remember = remember
        self._changed: dict[str, asyncio.Event] = {}  # by store

    def all(self, store: str, namespace: str = "") -> list[Data]:
        """In the order of their keys, as etcd has them."""
        found = self._objects.get(store, {})
        return [found[key] for key in sorted(found) if not namespace or key[0] == namespace]

    def get(self, store: str, key: Key) -> Data | None:
        return self._objects.get(store, {}).get(key)

    def put(self, store: str, data: Data, *, expected: str = "") -> Data:
        """Create or replace. Raises Conflict where `expected` is not the resourceVersion that is there."""
        held = self._objects.setdefault(store, {})
        key = key_of(data)
        before = held.get(key)
        if expected and (before is None or before["metadata"]["resourceVersion"] != expected):
            raise Conflict(f"the object {key[1]} has been modified; take the latest version and try again")
        meta = dict(data["metadata"])
        meta.setdefault("uid", f"00000000-0000-4000-8000-{self.revision + 1:012d}")
        meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        if before is not None:
            meta |= {field: before["metadata"][field] for field in ("uid", "creationTimestamp", "resourceVersion")}
            if {**data, "metadata": meta} == before:
                return before  # what changes nothing is not written
        self.revision += 1
        stored = {**data, "metadata": {**meta, "resourceVersion": str(self.revision)}}
        held[key] = stored
        self._append(store, "ADDED" if before is None else "MODIFIED", stored, before)
        return stored

    def delete(self, store: str, key: Key) -> Data | None:
        before = self._objects.get(store, {}).pop(key, None)
        if before is None:
            return None
        self.revision += 1
        last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.revision)}}
        self._append(store, "DELETED", last, before)
        return last

    def compact(self) -> None:
        """Forget all history: every watch from an earlier revision is 410 Gone."""
        self._log.clear()
        self.compacted = self.revision

    def since(self, revision: int, store: str) -> list[Change] | None:
        """The changes of a store after a revision; None where they are forgotten."""
        if revision < self.compacted:
            return None
        found: list[Change] = []
        for change in reversed(self._log):
            if change.revision <= revision:
                break
            if change.store == store:
                found.append(change)
        return found[::-1]

    async def wait(self, seconds: float, store: str) -> None:
        """Until something of this store changes, or for so long."""
        event = self._changed.setdefault(store, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass

    def rest(self) -> None:
        """Nobody waits any more: the next ones do on another event loop."""
        self._changed.clear()

    def _append(self, store: str, kind: str, data: Data, before: Data | None) -> None:
        self._log.append(Change(self.revision, store, kind, data, before))
        while len(self._log) > self._remember:
            self.compacted = self._log.popleft().revision
        if store in self._changed:
            self._changed.pop(store).set()


def partial(data: Data) -> Data:
    """A PartialObjectMetadata of an object, managedFields and all."""
    return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": data["metadata"]}


def encode(data: Data) -> bytes:
    return msgspec.json.encode(data)
