"""The candidate that stands beside the live configuration: an operator's, as long as the command runs, else what the
objects' annotations say. Control compiles it, the workers decide by it beside the live one, and nothing acts on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from ..proxy.messages import EndShadow, Message, SetShadow
from ..registry.candidates import Candidates
from ..registry.overlay import overlay
from ..registry.snapshot import Snapshot
from ..routing.compile import compile_beside
from ..routing.tables import Tables
from ..routing.views import Views
from ..routing.wire import encode_update
from ..telemetry.disagreement import ShadowCounts, merged
from .channel import memfd
from .fleet import Fleet
from .logs import Log

log = Log("control")

#: Workers whose last counts are held, those that have died among them.
HELD = 64


class ShadowControl:
    """One at a time. `asked_by` says in words who wants it."""

    def __init__(
        self,
        fleet: Fleet,
        live: Callable[[], tuple[Snapshot, Tables | None]],
        kernel: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`live` is what is in force, without tables at first; `kernel` counts the connections that no worker sees, by
        the service's port."""
        self.asked_by = ""
        self.since = 0.0
        self.until = 0.0  # 0: as long as annotations say so
        self.objects: tuple[str, ...] = ()
        self.tables: Tables | None = None
        self._fleet = fleet
        self._live = live
        self._kernel = kernel
        self._kernel_before: Mapping[str, int] = {}  # when the run began
        self._run = time.time_ns()  # workers may still know the runs of an earlier control process
        self._candidates = Candidates()
        self._above: Snapshot | None = None
        self._wanted: tuple[object, ...] = ()  # what the newest run is about
        self._views: Views | None = None
        self._update = b""
        self._base = 0
        self._counts: dict[str, ShadowCounts] = {}

    @property
    def on(self) -> bool:
        return self.tables is not None

    @property
    def ordered(self) -> bool:
        """Whether a command has it on."""
        return self._above is not None

    def order(self, above: Snapshot, seconds: float, asked_by: str) -> None:
        """Have this laid over what is live from the next `follow` on, in the place of what annotations say."""
        self._above = above
        self.asked_by = asked_by
        self.until = time.time() + seconds

    def withdraw(self) -> None:
        """The command has ended."""
        self._above = None

    def follow(self) -> None:
        """What is in force or what is wanted has changed; the workers know of the live tables."""
        snapshot, live = self._live()
        candidate, wanted = self._candidate(snapshot)
        if candidate is None or live is None:
            self._end()
            return
        try:
            tables = compile_beside(candidate, live, self.tables)
            update = encode_update(live, tables)
        except Exception:
            log.exception("the candidate could not be compiled, there is no shadow")
            self._end()
            return
        if wanted != self._wanted:
            self._run += 1
            self._wanted, self._counts, self.since = wanted, {}, time.time()
            self._kernel_before = dict(self._kernel())
            annotated = {"objects": len(self.objects)} if self.objects else {}
            log.info("a shadow begins", asked_by=self.asked_by, **annotated)
        self.tables, self._views = tables, None
        self._update, self._base = update, live.version
        for message, fds in self.replay():
            self._fleet.tell(message, fds)

    def _candidate(self, snapshot: Snapshot) -> tuple[Snapshot | None, tuple[object, ...]]:
        """What would be in force, and what that comes from: as long as it is the same, it is one run."""
        if self._above is not None:
            self.objects = ()
            return overlay(snapshot, self._above), (id(self._above),)
        candidate, self.objects = self._candidates.of(snapshot)
        if not self.objects:
            return None, ()
        self.asked_by, self.until = "annotations", 0.0
        return candidate, self._candidates.versions(snapshot)

    def _end(self) -> None:
        if self.tables is None:
            return
        log.info("the shadow has ended", asked_by=self.asked_by)
        self._fleet.tell(EndShadow(run=self._run))
        self.tables = self._views = None
        self._wanted, self._update, self._counts = (), b"", {}

    def replay(self) -> Iterator[tuple[Message, Sequence[int]]]:
        """What a worker with the live tables is told."""
        if self.tables is None:
            return
        fd = memfd("nodemesh-shadow", self._update)
        yield SetShadow(run=self._run, base=self._base), (fd,)
        os.close(fd)

    @property
    def views(self) -> Views | None:
        """The candidate's, made when they are asked for."""
        if self._views is None and self.tables is not None:
            self._views = Views(self.tables)
        return self._views

    async def counts(self) -> ShadowCounts:
        """The sum of all workers' counts, fetched now; of those that died, the last that were fetched."""
        if self.tables is None:
            return ShadowCounts()
        run = self._run
        for key, data in (await self._fleet.shadow(run)).items():
            counts = msgspec.msgpack.decode(data, type=ShadowCounts)
            if counts.run == run == self._run:
                self._counts.pop(key, None)
                self._counts[key] = counts
        for key in list(self._counts)[:-HELD]:
            del self._counts[key]
        return merged(self._counts.values())

    def kernel_connections(self) -> dict[str, int]:
        """Those of this run that stayed in the kernel, where nothing is decided twice."""
        return {
            place: count - self._kernel_before.get(place, 0)
            for place, count in self._kernel().items()
            if count > self._kernel_before.get(place, 0)
        }

    async def numbers(self) -> tuple[int, int] | None:
        """The requests that were decided twice, and those of them that differ; None where no shadow is on."""
        if self.tables is None:
            return None
        counts = await self.counts()
        return counts.requests, counts.differing
