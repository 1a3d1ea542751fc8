"""What the kernel's service maps are to hold, from what the clients see: pure, the same for the same views, and how one
such content becomes another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..registry.changed import changed_keys
from ..routing.frontend import Frontend
from .maps import Backend, NetworkKey, ServiceEntry, ServiceKey
from .places import PASS, DialledPlace, PlannedEntry, ViewPlaces, is_network

Key = ServiceKey | NetworkKey

#: The view that is written once for all.
BASE = 0


class PlannedView(Protocol):
    """What plan needs of routing's view of one client."""

    def frontends(self) -> Iterable[Frontend]: ...


@dataclass(frozen=True)
class Plan:
    """The maps' contents: `entries` by their key in `services` or `networks`; `backends` has each set's slots by the
    set's name, which is made from the slots, so that a set never changes. `owners` names the service port that a key
    belongs to: its keys are in the maps all or none. `claimants` has the namespaces of those that ServiceEntries
    claim."""

    entries: Mapping[Key, ServiceEntry] = field(default_factory=dict)
    backends: Mapping[int, tuple[Backend, ...]] = field(default_factory=dict)
    owners: Mapping[Key, str] = field(default_factory=dict)
    claimants: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MapChanges:
    """What to do to the maps. Owners whose keys are set wait for their backends."""

    set: Mapping[Key, ServiceEntry]
    delete: tuple[Key, ...]
    backends: Mapping[int, tuple[Backend, ...]]
    delete_backends: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.set or self.delete or self.backends or self.delete_backends)


class Planner:
    """Makes one plan after the other; each costs what changed since the one before, and a look at the rest."""

    def __init__(self) -> None:
        self._without: frozenset[Backend] = frozenset()
        self._reverse = False
        self._given: dict[int, PlannedView] = {}  # what the views were made from
        self._views: dict[int, ViewPlaces] = {}
        self._entries: dict[Key, ServiceEntry] = {}
        self._owners: dict[Key, str] = {}
        self._claimants: dict[Key, str] = {}
        self._sets: dict[int, tuple[Backend, ...]] = {}
        self._uses: Counter[int] = Counter()  # of the sets, in entries

    def plan(
        self,
        views: Iterable[tuple[int, PlannedView]],
        reverse: bool = False,
        without: frozenset[Backend] = frozenset(),
        restless: frozenset[str] = frozenset(),
        closed: frozenset[int] = frozenset(),
    ) -> Plan:
        """The maps' contents for these (number, view) pairs; a view that was given before has the frontends that it had
        then. View 0, if given, is written once for all: the other views get what differs from it. With `reverse`,
        endpoints of services that the proxy serves lead to their service too, for hosts where another program has
        rewritten the virtual address before us. The endpoints in `without` are left out wherever others remain;
        connections to `restless` hosts are the proxy's. What the proxy should have of the views in `closed` is refused
        while nobody serves, but for services that say otherwise."""
        given, known = dict(views), self._given if reverse == self._reverse else {}
        self._given, self._reverse = given, reverse
        gone = self._views.keys() - given.keys()
        for number in gone:
            for key in self._keys(number):
                self._drop(key)
        before, self._views = (self._views if without == self._without else {}), {}
        self._without = without
        base_touched: set[DialledPlace] | None = None if BASE in gone else set()
        base: Mapping[DialledPlace, PlannedEntry] = {}
        for number in sorted(given, key=lambda number: number != BASE):
            places = before.get(number)
            if places is None or places.closed != (number in closed):
                places = ViewPlaces(without, number in closed)
            self._views[number] = places
            beside = self._views[BASE] if number and BASE in given else None
            if places is before.get(number) and given[number] is known.get(number):
                touched = places.settle(restless, beside)
            else:
                touched = places.update(given[number].frontends(), reverse, beside, restless)
            if number == BASE:
                base_touched = touched
                self._follow(number, places, {}, touched)
                base = places.wanted
            else:
                either = None if touched is None or base_touched is None else touched | base_touched
                self._follow(number, places, base, either)
        return Plan(dict(self._entries), dict(self._sets), dict(self._owners), dict(self._claimants))

    def _follow(
        self,
        number: int,
        places: ViewPlaces,
        base: Mapping[DialledPlace, PlannedEntry],
        touched: set[DialledPlace] | None,
    ) -> None:
        """Bring a view's entries up to date in these places, in all for None."""
        looked_at = places.wanted.keys() | base.keys() if touched is None else touched
        stale = set(self._keys(number)) if touched is None else set()
        for place in looked_at:
            network = is_network(place)
            wanted = places.wanted.get(place) if network else _difference(place, places, base)
            key = NetworkKey(number, *place) if network else ServiceKey(number, place.address, place.port)
            stale.discard(key)
            if wanted is not None:
                self._set(key, wanted)
            elif key in self._entries:
                self._drop(key)
        for key in stale:
            self._drop(key)

    def _keys(self, number: int) -> list[Key]:
        return [key for key in self._entries if key.view == number]

    def _set(self, key: Key, wanted: PlannedEntry) -> None:
        before = self._entries.get(key)
        if before is not wanted.entry:
            if wanted.entry.slots:
                self._sets[wanted.entry.backends] = wanted.slots
                self._uses[wanted.entry.backends] += 1
            self._entries[key] = wanted.entry
            self._release(before)
        self._owners[key] = wanted.owner
        if wanted.claimant:
            self._claimants[key] = wanted.claimant
        else:
            self._claimants.pop(key, None)

    def _drop(self, key: Key) -> None:
        self._release(self._entries.pop(key))
        del self._owners[key]
        self._claimants.pop(key, None)

    def _release(self, entry: ServiceEntry | None) -> None:
        if entry is None or not entry.slots:
            return
        self._uses[entry.backends] -= 1
        if not self._uses[entry.backends]:
            del self._uses[entry.backends], self._sets[entry.backends]


def _difference(
    place: DialledPlace, places: ViewPlaces, base: Mapping[DialledPlace, PlannedEntry]
) -> PlannedEntry | None:
    """What must be written of a view beside view 0 at an address: another entry, or where view 0 alone has one, what
    the client gets instead."""
    wanted, theirs = places.wanted.get(place), base.get(place)
    if wanted is not None:
        return wanted if wanted != theirs else None
    if theirs is None:
        return None
    instead = next((network for network in places.networks if network.covers(place)), None)
    return places.wanted[instead] if instead is not None else PlannedEntry(PASS, theirs.owner, claimant=theirs.claimant)


def diff(current: Plan, wanted: Plan) -> MapChanges:
    """From one content to the other; empty (false) where they are equal."""
    touched = changed_keys(wanted.entries, current.entries)
    return MapChanges(
        set={
            key: wanted.entries[key]
            for key in touched
            if key in wanted.entries and current.entries.get(key) != wanted.entries[key]
        },
        delete=tuple(key for key in touched if key not in wanted.entries),
        backends={name: wanted.backends[name] for name in wanted.backends.keys() - current.backends.keys()},
        delete_backends=tuple(current.backends.keys() - wanted.backends.keys()),
    )
