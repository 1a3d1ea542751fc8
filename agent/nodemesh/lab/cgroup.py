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


def remove(root: Path) -> None:
    """Remove `root` and the directories below it, deepest first. No process may be left in them."""
    for directory, _, _ in os.walk(root, topdown=False):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(directory)


def _populated(root: Path) -> bool:
    try:
        return "populated 1" in (root / "cgroup.events").read_text()
    except (FileNotFoundError, OSError):
        return False
