"""Everything that one client can dial, host by host, taken over from one version of the tables to the next."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..registry.changed import changed_keys
from .frontend import Frontend
from .lookup import Read
from .tables import Tables

#: A place in the tables: the attribute and the key in it (None: the attribute itself).
Place = tuple[str, str | None]

MAPPINGS = (
    "services", "addresses", "virtual_hosts", "virtual_services", "destination_rules", "routes", "mesh_routes",
    "backend_tls", "backend_traffic",
)  # fmt: skip
WHOLES = ("owned", "claimed_networks", "wildcard_services", "wildcard_virtual_hosts", "wildcard_destination_rules")


def changed_places(now: Tables, before: Tables) -> frozenset[Place]:
    """Where a lookup finds another object than before."""
    found: set[Place] = set()
    for attribute in MAPPINGS:
        keys = changed_keys(getattr(now, attribute), getattr(before, attribute))
        found.update((attribute, key) for key in keys)
    found.update((attribute, None) for attribute in WHOLES if getattr(now, attribute) is not getattr(before, attribute))
    return frozenset(found)


class ReadSets:
    """Sets of places, each held once however many views have read just these."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[frozenset[Place], frozenset[Place]] = {}

    def of(self, reads: Iterable[Read]) -> frozenset[Place]:
        places = frozenset((attribute, key) for attribute, key, _ in reads)
        return self._known.setdefault(places, places)

    def trim(self, bound: int) -> None:
        """Start over if there are more than `bound`: those of hosts long gone are never asked for again."""
        if len(self._known) > bound:
            self._known = {}


class Listed(NamedTuple):
    """What a client can dial of one host, and what that was made from. `unaddressed` are ports of hosts that have no
    address of their own: clients resolve them."""

    frontends: tuple[Frontend, ...]
    unaddressed: tuple[Frontend, ...]
    reads: frozenset[Place]


class TableChanges:
    """What is different in these tables from earlier ones, found when it is asked for: a worker never asks, and
    comparing would decode every service there."""

    __slots__ = ("_since", "_tables")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._since: dict[int, frozenset[Place]] = {}

    def since(self, before: Tables) -> frozenset[Place]:
        found = self._since.get(before.version)
        if found is None:
            found = self._since[before.version] = changed_places(self._tables, before)
        return found


class Listing:
    """A client's hosts. Those of `before`, the listing of an earlier version, are taken over where they still hold."""

    __slots__ = ("_hosts", "_tables")

    def __init__(self, before: Listing | None) -> None:
        self._hosts: dict[str, Listed] = before._hosts if before is not None else {}
        self._tables: Tables | None = before._tables if before is not None else None  # what they were made from

    def hosts(self, tables: Tables, changes: TableChanges, make: Callable[[str], Listed]) -> dict[str, Listed]:
        """All hosts of the registry, in its order; only those are made again whose reads changed."""
        if self._tables is not tables:
            known = self._hosts
            changed = changes.since(self._tables) if self._tables is not None else frozenset()
            holds = map(changed.isdisjoint, map(operator.attrgetter("reads"), known.values()))
            stale = set(itertools.compress(known, map(operator.not_, holds)))
            if len(known) == len(tables.services) and all(map(operator.eq, known, tables.services)):
                found = dict(known)  # as good as always, and several times as fast
                found.update((host, make(host)) for host in stale)
            else:
                found = {
                    host: known[host] if host in known and host not in stale else make(host) for host in tables.services
                }
            self._hosts, self._tables = found, tables
        return self._hosts
