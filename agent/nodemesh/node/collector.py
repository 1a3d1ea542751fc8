"""Brings together what the workers and the kernel have counted, and has it outlive all of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import msgspec

from ..telemetry.dump import Dump
from ..telemetry.totals import Totals
from .channel import Closed, memfd, read_memfd
from .fleet import Fleet
from .logs import Log
from .store import StoreClient

log = Log("control")

#: Seconds between collections: what a killed worker had counted since is lost.
INTERVAL = 2.0

#: The name under which the numbers stand in the supervisor's store.
TOTALS = "totals"


class Collector:
    """`take_kernel` gives what the kernel has counted since it was asked last, as a worker's dump; empty: nothing."""

    def __init__(self, fleet: Fleet, store: StoreClient, take_kernel: Callable[[], bytes]) -> None:
        self._totals = Totals()
        self._fleet = fleet
        self._store = store
        self._take_kernel = take_kernel
        if TOTALS in store.kept:
            self._totals.restore(read_memfd(store.kept[TOTALS].fd))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.collect()

    async def collect(self) -> None:
        """Fetch the newest numbers."""
        for key, data in (await self._fleet.statistics()).items():
            try:
                self._totals.update(key, data)
            except msgspec.DecodeError as error:
                log.error("worker's numbers are of another version", worker=key, error=error)
        taken = self._take_kernel()
        if taken:
            self._totals.add(taken)
        self._keep()

    def retire(self, worker: str) -> None:
        """A worker is gone; what it had counted stays."""
        self._totals.retire(worker)
        self._keep()

    def sum(self, decisions: int) -> Dump:
        """All numbers, with the last `decisions` requests."""
        return self._totals.sum(decisions)

    def _keep(self) -> None:
        """Have the numbers outlive this process, too."""
        fd = memfd("nodemesh-totals", self._totals.save())
        try:
            self._store.put(TOTALS, fd)
        except Closed:
            pass
        finally:
            os.close(fd)
