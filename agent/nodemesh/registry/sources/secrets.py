"""The Secrets that rules name, and ConfigMaps in their place, each watched by its name, so that nobody needs the right
to read any other.

They go no further than the process that asked for them: no cache on disk, no Snapshot, no page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec

from ...config.core import CredentialSpec
from ...config.credential import described, kind_of, place_of
from ...config.kinds import KINDS
from ..assemble import ObjectKey
from .api import Api
from .backoff import Random
from .reading import ObjectReader, Reading
from .reflector import Reflector
from .resources import Resource, resource

#: Seconds between looks at what is still waited for.
LOOK_INTERVAL = 0.1


def by_name(key: str) -> Resource:
    """The list and watch of one, by its `credential_key`. A Role's resourceNames cover it (Kubernetes' RBAC page,
    "Referring to resources")."""
    namespace, name = place_of(key)
    found = resource(KINDS["", kind_of(key)])
    selector = f"metadata.name={name}"
    return msgspec.structs.replace(found, name=described(key), namespace=namespace, field_selector=selector)


class SecretWatch:
    """One of them: a reflector's sink that holds at most one object. What cannot be read leaves what was there."""

    def __init__(self, key: str, api: Api, random: Random, changed: Callable[[], None]) -> None:
        self.reflector = Reflector(api, by_name(key), self, ObjectReader(), random)
        self.spec: CredentialSpec | None = None
        self.refused = ""  # why the newest state is not in force
        self.task: asyncio.Task[None] | None = None
        self._changed = changed

    def replace(self, resource: Resource, readings: Iterable[Reading]) -> None:
        found = list(readings)
        if found:
            self.put(resource, found[0])
        else:
            self.remove(resource, None)

    def put(self, _: Resource, reading: Reading) -> None:
        self.refused = "; ".join(problem.message for problem in reading.problems)
        if reading.item is not None:
            self.spec = reading.item.spec
        self._changed()

    def remove(self, resource: Resource, key: ObjectKey | None, version: str = "") -> None:
        self.spec, self.refused = None, ""
        self._changed()


class SecretSource:
    """`run` keeps `secrets` equal to what the API server has of those that are wanted, each by its `credential_key`;
    `changed` is called when that is something else."""

    def __init__(self, api: Api, random: Random, changed: Callable[[], None]) -> None:
        self._api = api
        self._random = random
        self._changed = changed
        self._watches: dict[str, SecretWatch] = {}
        self._first: frozenset[str] | None = None  # what was wanted first, as long as some of it is not known
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for key, watch in self._watches.items():
                self._start(key, watch)
            while self._first is None or self._first:
                await asyncio.sleep(LOOK_INTERVAL)
                if self._first and not self.waiting_for():
                    self._changed()  # a refusal ends the waiting as well
            await asyncio.get_running_loop().create_future()

    def want(self, keys: Iterable[str]) -> None:
        """Follow these and no others."""
        wanted = frozenset(keys)
        for key in self._watches.keys() - wanted:
            task = self._watches.pop(key).task
            if task is not None:
                task.cancel()
        for key in sorted(wanted - self._watches.keys()):
            watch = self._watches[key] = SecretWatch(key, self._api, self._random, self._changed)
            self._start(key, watch)
        if self._first is None:
            self._first = wanted

    def _start(self, key: str, watch: SecretWatch) -> None:
        if self._tasks is not None and watch.task is None:
            watch.task = self._tasks.create_task(watch.reflector.run(), name=f"secret-{key}")

    @property
    def secrets(self) -> Mapping[str, CredentialSpec]:
        """Those that are there."""
        return {key: watch.spec for key, watch in self._watches.items() if watch.spec is not None}

    def why_absent(self, key: str) -> str:
        """Why one is not there, or not as it stands in the cluster; empty where nothing is known yet, or all is
        well."""
        watch = self._watches.get(key)
        if watch is None:
            return ""
        if watch.refused:
            return f"{described(key)} is not in force as it stands in the cluster: {watch.refused}"
        if watch.reflector.synced:
            return "" if watch.spec is not None else f"there is no {described(key)}"
        return f"{described(key)} is not known: {watch.reflector.error}" if watch.reflector.error else ""

    def absence_told(self, key: str) -> str:
        """The same as far as the server has said so: nothing where it does not let us look."""
        watch = self._watches.get(key)
        return self.why_absent(key) if watch is not None and watch.reflector.synced else ""

    def waiting_for(self) -> list[str]:
        """Of those that were wanted first, those of which the server has said nothing: neither what is in them
        nor that they are not to be read. Later ones are nothing to wait for: what is served goes on."""
        if not self._first:
            return []
        waiting = [key for key in self._first if (watch := self._watches.get(key)) is not None and not told(watch)]
        if not waiting:
            self._first = frozenset()
        return [described(key) for key in sorted(waiting)]


def told(watch: SecretWatch) -> bool:
    return watch.reflector.synced or watch.reflector.forbidden
