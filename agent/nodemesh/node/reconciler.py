"""Brings into the cluster what is wanted there: one agent of all does, at a bounded rate, and nothing twice."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeVar

from ..registry.sources.api import ApiError
from .election import Election
from .logs import Log
from .refusals import FORBIDDEN, Refusals

log = Log("control")

Key = TypeVar("Key")
Item = TypeVar("Item")


class Reconciler(ABC, Generic[Key, Item]):
    """`pace` is the seconds between two objects: a new leader looks at all of them."""

    #: Seconds between looks for something to write.
    interval: ClassVar[float]

    #: About the seconds before the next look where another agent writes, and after an error.
    pause: ClassVar[float]

    #: What the log says of an error, and the file of the manifests that grants the rights.
    failure: ClassVar[str]
    rights: ClassVar[str]

    #: Whether "forbidden" may be about one object alone, as where its namespace's quota is used up.
    forbidden_alone: ClassVar[bool] = False

    def __init__(self, election: Election, random: Callable[[], float], pace: float) -> None:
        self._election = election
        self._random = random
        self._pace = pace
        self._written: dict[Key, Item] = {}  # what stands there, as far as this agent has seen to it
        self._refusals: Refusals[Key, Item] = Refusals(self.forbidden_alone)
        self.leads = False

    @abstractmethod
    def wanted(self) -> Mapping[Key, Item]:
        """All that is to stand there."""

    @abstractmethod
    async def put(self, key: Key, item: Item) -> bool:
        """Write one; False where it is to be tried again. Raises ApiError."""

    def is_due(self, item: Item, before: Item | None) -> bool:
        """Whether it is to be written, where this agent wrote `before`."""
        return item != before

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self.interval * (0.5 + self._random()))
            try:
                if not await self.write():
                    await asyncio.sleep(self.pause * (0.5 + self._random()))
            except ApiError as error:
                log.warning(self.failure, error=self._told(error))
                await asyncio.sleep(self.pause)

    async def write(self) -> bool:
        """Bring all of it up to date; False where another agent does. What is refused of one object keeps no other from
        its own. Raises ApiError."""
        wanted = self.wanted()
        if not wanted and not self._written:
            return True
        if not await self._hold():
            return False
        self._written = {key: item for key, item in self._written.items() if key in wanted}
        self._refusals.keep(wanted)
        for key, item in wanted.items():
            if not self.is_due(item, self._written.get(key)) or self._refusals.stands(key, item):
                continue
            if not await self._hold():
                return False
            try:
                if await self.put(key, item):
                    self._written[key] = item
            except ApiError as error:
                if not self._refusals.note(key, item, error):
                    raise
                log.warning("the API server refuses an object", object=str(key), error=self._told(error))
            await asyncio.sleep(self._pace)
        return True

    def _told(self, error: ApiError) -> str:
        return f"{error}; {self.rights} has the rights for it" if error.status == FORBIDDEN else str(error)

    async def _hold(self) -> bool:
        self.leads = await self._election.hold()
        if not self.leads:
            self._written.clear()  # the one who leads now may write something else
        return self.leads
