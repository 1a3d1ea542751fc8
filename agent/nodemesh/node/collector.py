"""Brings together what the workers and the kernel have counted, and has it outlive all of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Set

import msgspec

from ..telemetry.history import History
from ..telemetry.totals import Totals
from .channel import Closed, memfd, read_memfd
from .exporter import Exporter
from .fleet import Fleet
from .logs import Log
from .store import StoreClient

log = Log("control")

#: Seconds between collections: what a killed worker had counted since is lost.
INTERVAL = 2.0

#: Seconds between collections for changes of rules, each of which is a reason to collect at once.
PAUSE = 0.25

#: The name under which the numbers stand in the supervisor's store.
TOTALS = "totals"


class Collector:
    """`take_kernel` gives what the kernel has counted since it was asked last, as a dump; empty: nothing. `expiry` are
    the seconds that a series stays in which nothing happens."""

    def __init__(
        self,
        fleet: Fleet,
        store: StoreClient,
        take_kernel: Callable[[], bytes],
        expiry: Callable[[], float],
        exporter: Exporter,
    ) -> None:
        self._exporter = exporter
        self._expiry = expiry
        self.totals = Totals()
        self.history = History()
        self._fleet = fleet
        self._store = store
        self._take_kernel = take_kernel
        self._kept: dict[str, int] = {}  # by worker, the dump that would outlive this process
        self._busy = asyncio.Lock()
        self._renewed: set[str] = set()  # hosts that have other rules since the last collection
        self._due = asyncio.Event()
        if TOTALS in store.kept:
            try:
                self.totals.restore(read_memfd(store.kept[TOTALS].fd), time.monotonic())
            except msgspec.DecodeError as error:
                log.error("numbers begin again, those kept are of another version", error=error)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), INTERVAL)
            await self.collect()
            await asyncio.sleep(PAUSE)

    def in_force(self, hosts: Set[str]) -> None:
        """All workers go by other rules for these hosts: what went by the old ones is fetched now, and kept apart."""
        if hosts:
            self._renewed |= hosts
            self._due.set()

    async def collect(self) -> None:
        """Fetch the newest numbers. A dump is counted at a time: other duties get their turn, here and in the workers,
        who give a part of many series at a time. A worker that hangs keeps each who asks waiting for as long as an
        answer may take, and none for another's sake."""
        self._due.clear()
        renewed, self._renewed = self._renewed, set()
        answered: set[str] = set()
        while await self._ask(answered):
            pass
        async with self._busy:
            taken = self._take_kernel()
            if taken:
                self.history.add(self.totals.add(taken, time.monotonic()), time.time())
            self.history.renew(renewed, time.time())
            self._tell_bypasses()
            self.totals.expire(time.monotonic() - self._expiry())
            if self._keep():
                self._kept = {key: self.totals.kept(key) for key in answered}

    async def _ask(self, answered: set[str]) -> bool:
        """Ask all workers once; whether one that answered has told a part, and the rest is to be asked for."""
        answers = await self._fleet.statistics(lambda key: self._kept.get(key, 0), self.totals.kept)
        answered.update(answers)
        more = False
        async with self._busy:
            for key, data in answers.items():
                try:
                    for dump in self.totals.update(key, data, time.monotonic()):
                        self.history.add(dump, time.time())
                        self._exporter.take(dump.spans, dump.spans_lost)
                        more = more or dump.more
                        await asyncio.sleep(0)
                except msgspec.DecodeError as error:
                    log.error("worker's numbers are of another version", worker=key, error=error)
            for key in answers.keys() - {link.key for link in self._fleet}:
                self.totals.retire(key)  # it has died since it answered
        return more

    async def canaries(self) -> dict[str, tuple[int, int]]:
        """What was counted of rollouts' canaries until now."""
        await self.collect()
        return self.totals.canaries

    def _tell_bypasses(self) -> None:
        """Once for each port and what is spoken there; the metric and `nodemesh services` go on counting."""
        for host, port, spoken in self.totals.first_bypasses:
            log.warning("HTTP rules cannot be applied to a connection", service=host, port=port, speaks=spoken)
        self.totals.first_bypasses.clear()

    def retire(self, worker: str) -> None:
        """A worker is gone; what it had counted stays."""
        self.totals.retire(worker)
        self._kept.pop(worker, None)

    def _keep(self) -> bool:
        """Have the numbers outlive this process, too."""
        fd = memfd("nodemesh-totals", self.totals.save())
        try:
            self._store.put(TOTALS, fd)
        except Closed:
            return False
        finally:
            os.close(fd)
        return True
