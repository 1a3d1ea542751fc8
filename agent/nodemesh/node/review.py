"""What the objects in force mean together: `lint`'s findings across objects, looked for beside all else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ..config.problems import Problem, Severity
from ..registry.snapshot import Snapshot
from ..routing.lint import lint
from ..routing.tables import Tables
from .logs import Log

log = Log("control")

#: Seconds that tables have to be in force before they are looked at, so that a burst of changes is one.
SETTLE = 1.0

#: A review may take this share of a core: one that took a second is followed by this many seconds of rest.
IDLE_RATIO = 20.0

#: Findings that are held, and new ones that are logged one by one after each change.
HELD = 1000
LOGGED = 20

#: The codes of claims on what belongs to another namespace.
CLAIMS = frozenset({"address-of-another", "host-of-another"})

#: Findings that were logged and are not logged again when they come back.
REMEMBERED = 10_000


class Review:
    """`inputs` gives the snapshot and the tables in force, None before there are any."""

    def __init__(self, inputs: Callable[[], tuple[Snapshot, Tables] | None]) -> None:
        self.problems: tuple[Problem, ...] = ()
        self._inputs = inputs
        self._due = asyncio.Event()
        self._told: set[Problem] = set()

    @property
    def claims(self) -> list[Problem]:
        """Those of the findings that tell of one namespace's claims on what is another's."""
        return [problem for problem in self.problems if problem.code in CLAIMS]

    def due(self) -> None:
        """There are new tables."""
        self._due.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._due.wait()
            await asyncio.sleep(SETTLE)
            self._due.clear()
            await asyncio.sleep(IDLE_RATIO * await self.look())

    async def look(self) -> float:
        """Look once; returns the CPU seconds that it took."""
        inputs = self._inputs()
        if inputs is None:
            return 0.0
        try:
            problems, took = await asyncio.to_thread(_lint, *inputs)
        except Exception:
            log.exception("the configuration could not be reviewed")
            return 1.0
        self.problems = problems[:HELD]
        self._tell()
        return took

    def _tell(self) -> None:
        """Log what is new, each finding once."""
        new = [problem for problem in self.problems if problem not in self._told]
        if len(self._told) + len(new) > REMEMBERED:
            self._told = set(self.problems)
        self._told.update(new)
        for problem in new[:LOGGED]:
            say = log.error if problem.severity is Severity.ERROR else log.warning
            owner = f"{problem.kind} {problem.namespace}/{problem.name}"
            say(problem.message, code=problem.code, object=owner, at=problem.location, field=problem.path)
        if len(new) > LOGGED:
            log.warning("there are more findings", count=len(new) - LOGGED, see="nodemesh lint --admin")


def _lint(snapshot: Snapshot, tables: Tables) -> tuple[tuple[Problem, ...], float]:
    began = time.thread_time()
    return lint(snapshot, tables, live=True), time.thread_time() - began
