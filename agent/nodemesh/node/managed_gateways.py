"""Deploys a workload for each managed Gateway, by server-side apply: one agent does, and only what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from ..registry.sources.api import Api, ApiError
from .election import LEASE_SECONDS, Election
from .logs import Log
from .managed import Manifest

log = Log("control")

#: Seconds between looks, and between two objects.
INTERVAL = 2.0
PACE = 0.05

Placed = tuple[str, Manifest]


class ManagedGateways:
    """`wanted` gives every object with the path of its collection; what belongs to a Gateway that is gone is deleted by
    the cluster, whose owner it was."""

    def __init__(
        self,
        api: Api,
        wanted: Callable[[], Iterable[Placed]],
        election: Election,
        random: Callable[[], float],
        pace: float = PACE,
    ) -> None:
        self._api = api
        self._wanted = wanted
        self._election = election
        self._random = random
        self._pace = pace
        self._applied: dict[str, Manifest] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL * (0.5 + self._random()))
            try:
                if not await self.write():
                    await asyncio.sleep(LEASE_SECONDS * (0.5 + self._random()))
            except ApiError as error:
                mend = "; manifests/overlays/gateways has the rights for it" if error.status == 403 else ""
                log.warning("a Gateway's workload could not be deployed", error=f"{error}{mend}")
                await asyncio.sleep(LEASE_SECONDS / 4)

    async def write(self) -> bool:
        """Apply what has changed; False where another agent does. Raises ApiError."""
        wanted = {f"{place}/{manifest['metadata']['name']}": manifest for place, manifest in self._wanted()}
        if not wanted and not self._applied:
            return True
        if not await self._election.hold():
            self._applied.clear()
            return False
        self._applied = {path: manifest for path, manifest in self._applied.items() if path in wanted}
        for path, manifest in wanted.items():
            if self._applied.get(path) == manifest:
                continue
            if not await self._election.hold():
                return False
            await self._api.apply(path, msgspec.Raw(msgspec.json.encode(manifest)))
            self._applied[path] = manifest
            log.info("applied", object=f"{manifest['kind']} {manifest['metadata']['name']}")
            await asyncio.sleep(self._pace)
        return True
