"""Whose a lab is: its name tells the owner's process, so that what a dead owner left can be found and removed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from ..datapath.cgroups import NoCgroup2, find_mount, pids
from . import cgroup

#: Each lab's own folder: its manifests, its pods' hosts files, the forwarder's socket.
RUN = Path("/run/nodemesh/lab")

#: Where a lab's agent may pin its programs and maps.
BPFFS = Path("/sys/fs/bpf")

#: In a lab's folder: it is to stay, and which nodemesh has said so.
KEPT = "kept"

#: The folder of this nodemesh: a checkout's, or where it is installed.
HOME = str(Path(__file__).resolve().parents[2])

_IDENTITY = re.compile(r"nodemesh-lab-(?P<name>[a-z0-9-]+)-(?P<pid>\d+)-(?P<started>\d+)")


class LabError(Exception):
    """The lab cannot do what it was asked to; the message says what is missing and what would mend it."""


def cgroup_mount() -> Path:
    """Where cgroup v2 is mounted; LabError if nowhere."""
    try:
        return find_mount()
    except NoCgroup2 as error:
        raise LabError(str(error)) from None


def identity(name: str) -> str:
    """The name of the lab `name` of this process, in every place where it leaves something."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise LabError(f"lab name {name!r}: lower-case letters, digits and '-' are allowed")
    return f"nodemesh-lab-{name}-{os.getpid()}-{_started(os.getpid())}"


def keep(lab: str) -> None:
    """Let `lab` outlive its owner: a sweep leaves it alone."""
    (RUN / lab / KEPT).write_text(HOME)


def kept() -> dict[str, str]:
    """The labs that are kept and whose owners have ended, each with the folder of the nodemesh that kept it."""
    return {lab: (RUN / lab / KEPT).read_text() for lab in _orphans() if (RUN / lab / KEPT).exists()}


def sweep() -> list[str]:
    """Remove the labs whose owners are dead, except those that are kept; returns their names."""
    removed = [lab for lab in _orphans() if not (RUN / lab / KEPT).exists()]
    for lab in removed:
        remove(lab)
    return removed


def _orphans() -> list[str]:
    found = [(lab, _IDENTITY.fullmatch(lab)) for lab in sorted(_labs())]
    return [lab for lab, match in found if match and not _alive(int(match["pid"]), int(match["started"]))]


def remove(lab: str) -> None:
    """Remove everything that carries the name `lab`: processes (and with them namespaces and links), cgroups, pins and
    files. Raises LabError if a process cannot be killed."""
    directory = cgroup_mount() / lab
    if not cgroup.remove(directory):
        raise LabError(f"{lab}: processes {list(pids(directory))} do not die; remove {directory} by hand")
    shutil.rmtree(BPFFS / lab, ignore_errors=True)
    shutil.rmtree(RUN / lab, ignore_errors=True)


def _labs() -> set[str]:
    return {path.name for folder in (cgroup_mount(), BPFFS, RUN) for path in folder.glob("nodemesh-lab-*")}


def _alive(pid: int, started: int) -> bool:
    """Whether the process that started then still runs; a zombie is dead, its parent has only not asked yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return _started(pid) == started and _stat(pid)[0] != "Z"
    return False


def _started(pid: int) -> int:
    """When a process started, in clock ticks since boot."""
    return int(_stat(pid)[19])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on, the process's state (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
