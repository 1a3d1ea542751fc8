"""All of a cluster that the mesh reads, as batches of changes; what was last good survives on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ...config.gatewayapi import GROUP, X_GROUP
from ...config.meta import Object
from ...config.problems import Problem
from ..assemble import ObjectKey
from ..slices import with_former
from ..workloads import is_ready
from .api import Api
from .backoff import Random
from .cache import Cache, SavedState
from .debounce import Debounce, Haste
from .definitions import Definitions
from .directory import SourceChanges
from .outage import Outage
from .reading import ObjectReader, Reading
from .reflector import Phase, Reflector
from .resources import Resource, resources
from .watch import ObjectHead

#: Seconds that a start waits for the API server before what is on disk serves.
PATIENCE = 10.0

#: Seconds between writings of the cluster's state to disk, if it changed.
SAVE_INTERVAL = 60.0

#: Kinds whose changes do not wait for quiet.
URGENT = frozenset({"EndpointSlice", "Pod"})


class Refusal(msgspec.Struct, frozen=True):
    """An object of the cluster that is not in force as it stands there."""

    key: ObjectKey
    head: ObjectHead
    problems: tuple[Problem, ...]


class ObjectVerdict(msgspec.Struct, frozen=True):
    """What the mesh makes of one generation of an object of its own kinds, which stands at `path`."""

    key: ObjectKey
    uid: str
    generation: int
    path: str
    problems: tuple[Problem, ...]
    held_back: Problem | None = None  # that it is not in force, for its rollout


class ResourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one list and watch stands."""

    name: str
    phase: Phase
    objects: int
    events: int
    starts: int
    failures: int
    error: str


class ClusterSource:
    """`run` keeps it up to date; `next` gives what changed, first of all everything. Both are to be awaited side by
    side, each once."""

    def __init__(
        self,
        api: Api,
        node: str,
        cache: Cache | None,
        random: Random,
        wanted: tuple[Resource, ...] | None = None,
        patience: float | None = None,
    ) -> None:
        """Reads `wanted`, else everything that the agent of `node` needs of its own cluster. `patience` is in seconds,
        PATIENCE if not given."""
        self._patience = patience
        self._resources = resources(node) if wanted is None else wanted
        self._reader = ObjectReader()
        self.outage = Outage()
        self.reflectors = tuple(
            Reflector(api, item, self, self._reader, random, self.outage) for item in self._resources
        )
        self._definitions = Definitions(api, random, self.outage) if wanted is None else None
        self.save_error = ""  # why the state could not be written to disk
        self._restored = False
        self._cache = cache
        self._held: dict[str, dict[ObjectKey, Object[Any]]] = {item.name: {} for item in self._resources}
        self._noted: dict[str, dict[ObjectKey, Refusal]] = {item.name: {} for item in self._resources}
        #: What the registry does not accept of what was told, with its findings.
        self.objections: Mapping[ObjectKey, tuple[Problem, ...]] = {}
        #: What is not in force as it was told, for its rollout.
        self.held_back: Mapping[ObjectKey, Problem] = {}
        self._heads: dict[str, dict[ObjectKey, ObjectHead]] = {
            item.name: {} for item in self._resources if item.optional and item.group not in (GROUP, X_GROUP)
        }
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}  # of resources; the first that has it counts
        for item in self._resources:
            kind = (item.group, item.kind)
            self._names[kind] = (*self._names.get(kind, ()), item.name)
        self.on_leaving: Callable[[ObjectKey], None] = lambda key: None  # is called when a pod begins to leave
        self._touched: dict[ObjectKey, None] = {}
        self._debounce = Debounce()
        self._wake = asyncio.Event()
        self._started = False  # the first batch is out
        self._handed = 0.0  # when the last batch went out
        self._unsaved = False
        self._saved = SavedState({})
        self._identified = asyncio.Event()  # whether the server is that of what is saved has been told

    # life

    async def run(self) -> None:
        """Until cancelled."""
        if self._cache is not None:
            self._saved = await asyncio.to_thread(self._cache.read)
        async with asyncio.TaskGroup() as tasks:
            for reflector in self.reflectors:
                tasks.create_task(self._reflect(reflector), name=f"watch-{reflector.resource.name}")
            if self._definitions is not None:
                tasks.create_task(self._definitions.run(), name="watch-definitions")
            if self._cache is not None:
                tasks.create_task(self._save(self._cache), name="save-cluster")

    async def _reflect(self, reflector: Reflector) -> None:
        """What is saved with its resourceVersion is not read again: the watch goes on from there. It has to be the same
        cluster, which its Namespaces tell, and one that has not been set back to an older state."""
        name = reflector.resource.name
        version = self._saved.versions.get(name, "")
        if version:
            await self._identified.wait()
            if self._goes_on(version):
                self._take_saved(reflector.resource)
                reflector.resume(version, self._wake.set)
        await reflector.run()

    def _take_saved(self, resource: Resource) -> None:
        held = self._held[resource.name]
        for key, item in self._saved.objects.pop(resource.name, {}).items():
            if key not in held:
                held[key] = self._reader.again(resource, item)
                self._touch(key)

    def _goes_on(self, version: str) -> bool:
        """Whether the server's state is a later one of what was saved at that resourceVersion (comparable as numbers,
        KEP-5504)."""
        now = next(one.at for one in self.reflectors if one.resource.kind == "Namespace")
        same = bool(self._saved.cluster) and self._saved.cluster == self._cluster_id()
        return same and now.isdigit() and version.isdigit() and int(now) >= int(version)

    def _cluster_id(self) -> str:
        """The uid of the one namespace that every cluster has and nobody can make again."""
        item = self._held.get("namespaces", {}).get(ObjectKey("Namespace", "", "kube-system"))
        return item.meta.uid if item is not None else ""

    def _versions(self) -> dict[str, str]:
        """The resources that a start can go on with from what is held, with their resourceVersions. What else is kept
        of an object, its head and what was wrong with it, is not saved."""
        return {
            one.resource.name: one.at
            for one in self.reflectors
            if one.at and one.resource.kind != "Namespace" and one.resource.name not in self._heads
            and not self._noted[one.resource.name]
        }  # fmt: skip

    async def next(self) -> SourceChanges:
        """The next batch, once there is one. The first is the whole cluster, as the server has it or, where that does
        not answer, as it was when it was last saved."""
        clock = asyncio.get_running_loop().time
        if not self._started:
            await self._first(clock() + (PATIENCE if self._patience is None else self._patience))
            self._started = True
            self._saved.objects.clear()
        else:
            self._debounce.applied(clock(), clock() - self._handed)
            await self._ripe()
        self._handed = clock()
        return self._changes()

    async def _ripe(self) -> None:
        """Until there is something to hand on, and it is time."""
        clock = asyncio.get_running_loop().time
        while True:
            due = self._debounce.due()
            if due is not None and due <= clock():
                return
            await self._wait(None if due is None else due - clock())

    async def _first(self, deadline: float) -> None:
        clock = asyncio.get_running_loop().time
        while self.waiting_for():
            left = deadline - clock()
            if left > 0:
                await self._wait(left)
            elif self._restore():
                return
            else:
                await self._wait(None)

    async def _wait(self, seconds: float | None) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def waiting_for(self) -> list[str]:
        """The resources that the server has not told yet, each with the reason."""
        return [
            f"{reflector.resource.name}: {reflector.error or 'no answer yet'}"
            for reflector in self.reflectors
            if not reflector.synced
        ]

    @property
    def from_disk(self) -> bool:
        """Whether some of what is in force was read from disk and has not been told by the server since."""
        return self._restored and bool(self.waiting_for())

    def status(self) -> list[ResourceStatus]:
        return [
            ResourceStatus(
                name=reflector.resource.name,
                phase=reflector.phase,
                objects=len(self._held[reflector.resource.name]),
                events=reflector.events,
                starts=reflector.starts,
                failures=reflector.failures,
                error=reflector.error,
            )
            for reflector in self.reflectors
        ]

    def refusals(self) -> list[Refusal]:
        """The objects that are not in force as they stand in the cluster."""
        found = {
            key: refusal
            for noted in self._noted.values()
            for key, refusal in noted.items()
            if any(problem.refused for problem in refusal.problems)
        }
        for heads in self._heads.values():
            for key in self.objections.keys() & heads.keys() - found.keys():
                found[key] = Refusal(key, heads[key], self.objections[key])
        return list(found.values())

    def verdicts(self) -> Iterator[ObjectVerdict]:
        """On all objects of Istio's kinds and ours that the server has told."""
        for reflector in self.reflectors:
            resource = reflector.resource
            if resource.name not in self._heads or not reflector.synced:
                continue
            noted = self._noted[resource.name]
            for key, head in self._heads[resource.name].items():
                path = resource.object_path(reflector.version, key.namespace, key.name)
                problems = (*(noted[key].problems if key in noted else ()), *self.objections.get(key, ()))
                yield ObjectVerdict(key, head.uid, head.generation, path, problems, self.held_back.get(key))

    def path_of(self, key: ObjectKey) -> str:
        """Where an object stands at the server; empty where its kind is not followed, or not known yet."""
        for reflector in self.reflectors:
            resource = reflector.resource
            if (resource.group, resource.kind) == (key.group, key.kind) and reflector.synced:
                return resource.object_path(reflector.version, key.namespace, key.name)
        return ""

    # what the reflectors say

    def replace(self, resource: Resource, readings: Iterable[Reading]) -> None:
        held, noted = self._held[resource.name], self._noted[resource.name]
        seen = set()
        for reading in readings:
            seen.add(reading.key)
            self._put(resource, reading)
        for key in [key for key in held if key not in seen]:
            del held[key]
            self._touch(key)
        for key in [key for key in noted if key not in seen]:
            del noted[key]
            self._touch(key)
        heads = self._heads.get(resource.name, {})
        for key in heads.keys() - seen:
            del heads[key]
        if resource.kind == "Namespace":
            self._identified.set()
        self._wake.set()

    def put(self, resource: Resource, reading: Reading) -> None:
        self._put(resource, reading)
        self._wake.set()

    def remove(self, resource: Resource, key: ObjectKey, version: str = "") -> None:
        held = self._held[resource.name].pop(key, None)
        noted = self._noted[resource.name].pop(key, None)
        self._heads.get(resource.name, {}).pop(key, None)
        if held is not None or noted is not None:
            self._touch(key, leaving=key.kind == "Pod")
        self._wake.set()

    def _put(self, resource: Resource, reading: Reading) -> None:
        """A refused object leaves the one before it in force."""
        key, noted = reading.key, self._noted[resource.name]
        if resource.name in self._heads:
            self._heads[resource.name][key] = msgspec.structs.replace(reading.head, annotations=None)
        before = noted.get(key)
        if reading.problems:
            noted[key] = Refusal(key, reading.head, reading.problems)
        elif before is not None:
            del noted[key]
        if reading.problems != (before.problems if before is not None else ()):
            self._touch(key)
        held = self._held[resource.name]
        known = held.get(key)
        if reading.item is not None and known != reading.item:
            held[key] = with_former(reading.item, known) if known and key.kind == "EndpointSlice" else reading.item
            self._touch(key, leaving=known is not None and leaves(known, reading.item))

    def _touch(self, key: ObjectKey, leaving: bool = False) -> None:
        self._touched[key] = None
        self._unsaved = True
        if not self._started:
            return  # the first batch is everything, whenever it came
        haste = Haste.LEAVING if leaving else Haste.ENDPOINTS if key.kind in URGENT else Haste.RULES
        self._debounce.changed(asyncio.get_running_loop().time(), haste)
        if leaving:
            self.on_leaving(key)

    def _changes(self) -> SourceChanges:
        self._debounce.handed_on()
        changed: dict[ObjectKey, Object[Any]] = {}
        removed: list[ObjectKey] = []
        for key in self._touched:
            item = self._winner(key)
            if item is None:
                removed.append(key)
            else:
                changed[key] = item
        self._touched.clear()
        problems = (item for noted in self._noted.values() for refusal in noted.values() for item in refusal.problems)
        return SourceChanges(changed, tuple(removed), tuple(problems))

    def _winner(self, key: ObjectKey) -> Object[Any] | None:
        for name in self._names[key.group, key.kind]:
            item = self._held[name].get(key)
            if item is not None:
                return item
        return None

    # the disk

    def _restore(self) -> bool:
        """Put what is on disk in the place of what the server has not told; False where there is nothing."""
        if not self._saved.objects and self._cache is not None:
            self._saved = self._cache.read()
        if not self._saved.objects:
            return False
        for reflector in self.reflectors:
            if not reflector.synced:
                self._take_saved(reflector.resource)
        self._restored = True
        return True

    async def _save(self, cache: Cache) -> None:
        """Write what is held to disk now and then, once all of it is the server's."""
        while True:
            await asyncio.sleep(SAVE_INTERVAL if self._started and not self.waiting_for() else 1.0)
            if self.waiting_for() or not self._unsaved:
                continue
            self._unsaved = False
            try:
                kept = {item.name: dict(self._held[item.name]) for item in self._resources}
                await asyncio.to_thread(cache.save, kept, self._cluster_id(), self._versions())
                self.save_error = ""
            except OSError as error:
                self.save_error = str(error)


def leaves(before: Object[Any], after: Object[Any]) -> bool:
    """Whether a pod begins to leave, or is not ready any more: nobody is to be sent there from now on."""
    if after.kind != "Pod":
        return False
    return (after.meta.deleting and not before.meta.deleting) or (is_ready(before) and not is_ready(after))
