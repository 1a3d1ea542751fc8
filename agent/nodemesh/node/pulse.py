"""Whether a process lives: it beats through a pipe, and its silence counts against it once a busy machine is no excuse.

Silence is counted in seconds of CLOCK_MONOTONIC, which stops while the machine is suspended. A process that could run
is charged the CPU that it has got and no more: on a crowded machine it waits without being counted as hung."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: Seconds between two beats, and between two looks at them.
BEAT = 0.5
LOOK = 1.0

#: Seconds for which a process may be stopped (SIGSTOP), and those that a start may take: it compiles programs.
STOPPED_LIMIT = 3.0
START_LIMIT = 120.0

#: The environment variable that names a child's end of the pipe.
VARIABLE = "NODEMESH_PULSE"

#: Process states of proc_pid_stat(5).
RUNNABLE, STOPPED = "R", "Tt"

_TICK = os.sysconf("SC_CLK_TCK")


class Standing(NamedTuple):
    """How the kernel sees a process: its state's letter, and the CPU seconds that it has used."""

    state: str
    cpu: float


def standing_of(pid: int) -> Standing | None:
    """None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return Standing(fields[0], (int(fields[11]) + int(fields[12])) / _TICK)


class Pulse:
    """The supervisor's side of one process. `limit` is in seconds of silence, 0 for no limit."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._allowed = START_LIMIT
        self._silent = 0.0
        self._looked = 0.0
        self._cpu = 0.0

    def began(self, now: float) -> None:
        """The process was started; until its first beat it has more time."""
        self._allowed = max(START_LIMIT, self._limit)
        self._silent = self._cpu = 0.0
        self._looked = now

    def beat(self, now: float, cpu: float = 0.0) -> None:
        self._allowed = self._limit
        self._silent = 0.0
        self._looked = now
        self._cpu = max(self._cpu, cpu)

    def look(self, now: float, standing: Standing) -> str:
        """It has not beaten since the last look: why it is to be replaced, empty where it is not. Time in which nobody
        looked is not counted: the supervisor was stopped then, or the whole machine was."""
        passed = min(now - self._looked, 2 * LOOK)
        used, self._cpu = standing.cpu - self._cpu, standing.cpu
        self._looked = now
        self._silent += min(passed, used) if standing.state == RUNNABLE else passed
        if not self._limit:
            return ""
        if standing.state in STOPPED and self._silent >= min(STOPPED_LIMIT, self._limit):
            return "it is stopped"
        if self._silent >= self._allowed:
            return f"it has not answered for {self._silent:.0f} s"
        return ""


class Heart:
    """The process's own side: `beat` is called every BEAT seconds by its event loop."""

    def __init__(self) -> None:
        self._fd = int(os.environ.pop(VARIABLE, "-1"))
        if self._fd >= 0:
            os.set_inheritable(self._fd, False)
            os.set_blocking(self._fd, False)

    def beat(self) -> None:
        if self._fd < 0:
            return
        with suppress(OSError):  # nobody reads for now, or ever more
            os.write(self._fd, b".")
