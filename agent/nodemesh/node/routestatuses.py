"""Writes the statuses of the Gateway API's objects: one agent does, at a bounded rate, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from ..registry.assemble import ObjectKey
from ..registry.sources.api import Api, ApiError
from .election import JSON, LEASE_SECONDS, Clock, Election, utc_now
from .logs import Log
from .routestatus import Wanted, joined

log = Log("control")

#: Seconds between looks for something to write.
INTERVAL = 1.0

#: Seconds between two objects: so many writes a second are the most.
PACE = 0.05

#: How often one object is tried where others write to it as well.
TRIES = 3


class RouteStatuses:
    """`wanted` tells all statuses as they should be; it is asked only by the agent that writes."""

    def __init__(
        self,
        api: Api,
        wanted: Callable[[], Iterable[Wanted]],
        election: Election,
        random: Callable[[], float],
        now: Clock = utc_now,
        pace: float = PACE,
    ) -> None:
        self._api = api
        self._wanted = wanted
        self._election = election
        self._random = random
        self._now = now
        self._pace = pace
        self._said: dict[ObjectKey, Wanted] = {}
        self.leads = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL * (0.5 + self._random()))
            try:
                if not await self.write():
                    await asyncio.sleep(LEASE_SECONDS * (0.5 + self._random()))
            except ApiError as error:
                mend = "; manifests/agent/rbac.yaml has the rights for it" if error.status == 403 else ""
                log.warning("statuses of routes could not be written", error=f"{error}{mend}")
                await asyncio.sleep(LEASE_SECONDS)

    async def write(self) -> bool:
        """Bring all statuses up to date; False where another agent does. Raises ApiError."""
        wanted = {entry.key: entry for entry in self._wanted()}
        if not wanted and not self._said:
            return True
        self.leads = await self._election.hold()
        if not self.leads:
            self._said.clear()
            return False
        self._said = {key: entry for key, entry in self._said.items() if key in wanted}
        for key, entry in wanted.items():
            before = self._said.get(key)
            if before == entry:
                continue
            if before is None and entry.entries and not entry.status[entry.entries]:
                self._said[key] = entry  # a route of others
                continue
            if not await self._election.hold():
                return False
            if await self._say(entry):
                self._said[key] = entry
            await asyncio.sleep(self._pace)
        return True

    async def _say(self, entry: Wanted) -> bool:
        """False where it is to be tried again."""
        for _ in range(TRIES):
            try:
                data = msgspec.json.decode(await self._api.get(entry.path, {}, JSON))
                meta = data["metadata"]
                if (meta.get("uid"), meta.get("generation", 0)) != (entry.uid, entry.generation):
                    return False  # newer than what was judged: the watch will tell
                status = joined(data.get("status") or {}, entry, self._now())
                if status is not None:
                    body = msgspec.Raw(msgspec.json.encode({**data, "status": status}))
                    await self._api.send("PUT", f"{entry.path}/status", body)
                return True
            except ApiError as error:
                if error.status == 404:
                    return True
                if error.status != 409:
                    raise
        return False
