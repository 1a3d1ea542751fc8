"""For how long pods' connections went without rules: from a pod's start, or its last agent's last beat, until it is
served."""

from __future__ import annotations

import os
import time
from collections.abc import Set
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def started(pid: int) -> float:
    """When a process began, in seconds of CLOCK_BOOTTIME (proc_pid_stat(5), field 22). Raises OSError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # the name before may hold anything
    return int(fields[19]) / _TICK


class Gaps:
    """What this agent found at its start: the pods that were `hooked`, and when a worker last beat, in seconds of
    CLOCK_MONOTONIC (0: none ever). `limit` is how old a beat may be."""

    def __init__(self, hooked: Set[str], beat: float, limit: float) -> None:
        self._hooked = hooked
        self._beat = beat
        self._limit = limit

    def before(self, uid: str, pid: int, closed: bool) -> float:
        """Seconds that the pod with this uid and a process of this pid was without rules, if it is served from now on.
        One that was hooked and fails `closed` was refused, not let pass."""
        if uid not in self._hooked:
            try:
                return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started(pid))
            except (OSError, ValueError, IndexError):
                return 0.0  # it has ended
        silent = time.monotonic() - self._beat if self._beat and not closed else 0.0
        return silent - self._limit if silent > self._limit else 0.0
