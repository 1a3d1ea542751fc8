"""The lab's cgroup v2 directories: where the hierarchy is mounted, and how a subtree is killed and removed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path


def mount_point() -> Path | None:
    """Where cgroup v2 is mounted: /sys/fs/cgroup, or the unified mount of a hybrid host; None if nowhere."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4])
    return None


def processes(root: Path) -> list[int]:
    """The ids of the processes in `root` and below."""
    found: list[int] = []
    for directory, _, _ in os.walk(root):
        with contextlib.suppress(FileNotFoundError, OSError):
            found += [int(line) for line in Path(directory, "cgroup.procs").read_text().split()]
    return found


def kill(root: Path, timeout: float = 5.0) -> bool:
    """Kill every process in `root` and below, and wait until none is left; False if some outlive `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while _populated(root):
        if time.monotonic() > deadline:
            return False
        try:
            (root / "cgroup.kill").write_text("1")  # Linux 5.14
        except OSError:
            for pid in processes(root):
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
