"""Brings the kernel's service maps to a plan, in an order that leaves no connect() half a service."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from . import bpf
from .maps import BACKEND_KEY, Backend, EntryMode, Maps, NetworkKey, ServiceEntry, ServiceKey
from .plan import Key, Plan, diff
from .room import fitting
from .slots import set_name

#: What the kernel says when a hash map (E2BIG), a trie (ENOSPC) or its memory (ENOMEM) is used up.
_FULL = frozenset({errno.E2BIG, errno.ENOSPC, errno.ENOMEM})


@dataclass(frozen=True)
class SyncResult:
    """What a plan's application changed, in entries. `passed` names the service ports that found no room: their
    connections pass."""

    written: int
    deleted: int
    passed: tuple[str, ...] = ()


class ServiceMaps:
    """The maps `services`, `networks` and `backends`, and what is in them. The only writer; what an earlier run left is
    read at the start and serves until the first plan."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps
        self._entries: dict[Key, ServiceEntry] = {}
        self._sets: dict[int, tuple[Backend, ...]] = {}
        self._broken: dict[int, list[int]] = {}  # slots of sets that are not what their name says
        self._read()

    @property
    def content(self) -> Plan:
        """What the maps hold now (without owners)."""
        return Plan(entries=dict(self._entries), backends=dict(self._sets))

    @property
    def fill(self) -> dict[str, tuple[int, int]]:
        """By map, the entries that there are and that it has room for."""
        used = Counter("services" if isinstance(key, ServiceKey) else "networks" for key in self._entries)
        used["backends"] = sum(len(slots) for slots in self._sets.values())
        return {name: (used[name], self._maps[name].info.max_entries) for name in ("services", "networks", "backends")}

    def apply(self, wanted: Plan) -> SyncResult:
        """Make the maps hold `wanted`. Service ports for which a map is full are left out as a whole, so that their
        connections pass, and are tried again with the next plan: first those of ServiceEntries of the namespaces that
        have more than their share."""
        wanted, crowded = fitting(wanted, {name: size for name, (_, size) in self.fill.items()})
        changes = diff(self.content, wanted)
        for key in changes.delete:
            self._delete(key)
        self._drop_broken()
        groups = _by_owner(changes.set, wanted)
        deferred = [owner for owner, keys in groups.items() if not self._write(keys, wanted)]
        every = _by_owner(wanted.entries, wanted) if deferred else {}
        for owner in deferred:  # its old entries hold the room that the new ones need: it passes in between
            self._leave_out(every[owner])
        dropped = self._drop_unused()
        passed = list(crowded)
        for owner in deferred:
            if not self._write(every[owner], wanted):
                self._leave_out(every[owner])
                passed.append(owner)
        dropped += self._drop_unused()
        written = sum(len(keys) for owner, keys in groups.items() if owner not in passed)
        return SyncResult(written, len(changes.delete) + dropped, tuple(sorted(passed)))

    def _read(self) -> None:
        for raw, value in self._maps["services"].items():
            self._entries[ServiceKey.unpack(raw)] = ServiceEntry.unpack(value)
        for raw, value in self._maps["networks"].items():
            self._entries[NetworkKey.unpack(raw)] = ServiceEntry.unpack(value)
        found: dict[int, dict[int, Backend]] = {}
        for raw, value in self._maps["backends"].items():
            name, slot = BACKEND_KEY.unpack(raw)
            found.setdefault(name, {})[slot] = Backend.unpack(value)
        for name, slots in found.items():
            ordered = tuple(slots[slot] for slot in sorted(slots))
            if set_name(ordered) == name:
                self._sets[name] = ordered
            else:
                self._broken[name] = list(slots)

    def _write(self, keys: Iterable[Key], wanted: Plan) -> bool:
        """Write one service port's entries, their sets first; False if a map is full."""
        try:
            for key in keys:
                entry = wanted.entries[key]
                if entry.slots and entry.backends not in self._sets:
                    self._write_set(entry.backends, wanted.backends[entry.backends])
                self._map(key).update(key.pack(), entry.pack())
                self._entries[key] = entry
        except OSError as error:
            if error.errno in _FULL:
                return False
            raise
        return True

    def _write_set(self, name: int, slots: tuple[Backend, ...]) -> None:
        written = 0
        try:
            for slot, backend in enumerate(slots):
                self._maps["backends"].update(BACKEND_KEY.pack(name, slot), backend.pack())
                written += 1
        except OSError:
            self._delete_slots(name, range(written))
            raise
        self._sets[name] = slots

    def _leave_out(self, keys: Iterable[Key]) -> None:
        """Take every entry of a service port away, old ones as well."""
        for key in keys:
            if key in self._entries:
                self._delete(key)

    def _delete(self, key: Key) -> None:
        self._map(key).delete(key.pack())
        del self._entries[key]

    def _drop_unused(self) -> int:
        """Delete the sets that no entry names; their number of slots."""
        used = {entry.backends for entry in self._entries.values() if entry.mode is EntryMode.KERNEL}
        unused = [name for name in self._sets if name not in used]
        return sum(self._delete_slots(name, range(len(self._sets.pop(name)))) for name in unused)

    def _drop_broken(self) -> None:
        """Sets that an earlier run left half written: nothing names them."""
        while self._broken:
            self._delete_slots(*self._broken.popitem())

    def _delete_slots(self, name: int, slots: Iterable[int]) -> int:
        return sum(self._maps["backends"].delete(BACKEND_KEY.pack(name, slot)) for slot in slots)

    def _map(self, key: Key) -> bpf.Map:
        return self._maps["services" if isinstance(key, ServiceKey) else "networks"]


def _by_owner(keys: Iterable[Key], wanted: Plan) -> dict[str, list[Key]]:
    groups: dict[str, list[Key]] = {}
    for key in keys:
        groups.setdefault(wanted.owners[key], []).append(key)
    return groups
