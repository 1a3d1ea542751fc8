"""The end of a cgroup v2 subtree: its processes killed, its directories removed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from ..datapath.cgroups import pids


def kill(root: Path, timeout: float = 5.0) -> bool:
    """Kill every process in `root` and below, and wait until none is left; False if some outlive `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while _populated(root):
        if time.monotonic() > deadline:
            return False
        try:
            (root / "cgroup.kill").write_text("1")  # Linux 5.14
        except OSError:
            for pid in pids(root):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    return True


def remove(root: Path, timeout: float = 5.0) -> bool:
    """Kill every process in `root` and below and remove the directories, deepest first; False if that takes longer than
    `timeout` seconds. A process that was on its way in when its cgroup was emptied is killed in the next round."""
    deadline = time.monotonic() + timeout
    while root.exists():
        if not kill(root, deadline - time.monotonic()):
            return False
        for directory, _, _ in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):  # gone, or entered meanwhile (EBUSY)
                os.rmdir(directory)
        if time.monotonic() > deadline:
            return not root.exists()
    return True


def _populated(root: Path) -> bool:
    try:
        return "populated 1" in (root / "cgroup.events").read_text()
    except (FileNotFoundError, OSError):
        return False
