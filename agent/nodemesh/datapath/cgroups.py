"""Cgroup v2: where it is mounted, which directory is a pod's, who lives in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

#: Directories between the mount and a pod's: kubelet's own parents (kind nests them), kubepods, the QoS class.
_DEPTH = 6

#: Cgroups of a pod in which its processes are looked for: it may make as many as it likes.
_MOST = 1000


class NoCgroup2(Exception):
    """The host has no cgroup v2 hierarchy mounted."""


def find_mount(mountinfo: Path = Path("/proc/self/mountinfo")) -> Path:
    """The cgroup2 mount: /sys/fs/cgroup on pure hosts, /sys/fs/cgroup/unified on hybrid ones. Raises NoCgroup2."""
    for line in mountinfo.read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split()[4].encode().decode("unicode_escape"))
    raise NoCgroup2(
        "no cgroup v2 hierarchy is mounted: boot with systemd.unified_cgroup_hierarchy=1, or mount one beside v1 "
        "(mount -t cgroup2 none /sys/fs/cgroup/unified)"
    )


def pod_directory_names(uid: str) -> tuple[str, ...]:
    """How a pod's directory ends under the cgroupfs driver (`pod<uid>`) and the systemd driver
    (`kubepods[-<qos>]-pod<uid with _>.slice`)."""
    return (f"pod{uid}", f"-pod{uid.replace('-', '_')}.slice")


#: A pod's directory under either driver, by the uid at its end; a static pod's has no dashes.
_POD = re.compile(r"(.*-)?pod[0-9a-f]{8}([-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12}(\.slice)?")


def all_pods(root: Path) -> list[Path]:
    """The directories of all pods somewhere under `root`, whoever they belong to."""
    return [directory for directory in _walk(root, _DEPTH) if _POD.fullmatch(directory.name)]


def find_pod(root: Path, uid: str) -> Path | None:
    """The pod's directory somewhere under `root`, a few levels deep; None while the kubelet has not made it."""
    plain, slice_ = pod_directory_names(uid)
    for directory in _walk(root, _DEPTH):
        if directory.name == plain or directory.name.endswith(slice_):
            return directory
    return None


def find_pods(root: Path, uids: set[str]) -> dict[str, Path]:
    """Directories by uid, for those that exist, in one walk."""
    wanted = {name: uid for uid in uids for name in pod_directory_names(uid)}
    found: dict[str, Path] = {}
    for directory in _walk(root, _DEPTH):
        name = directory.name
        uid = wanted.get(name) or wanted.get(name[max(name.rfind("-pod"), 0) :])
        if uid is not None:
            found[uid] = directory
    return found


def _walk(root: Path, depth: int) -> Iterator[Path]:
    """Directories under `root`, those of a level before the next; what vanishes meanwhile is left out. What is inside a
    pod's is the pod's own affair: it may make cgroups there, as many as it likes and by the name of another pod."""
    level = [root]
    for _ in range(depth):
        below: list[Path] = []
        for directory in level:
            try:
                with os.scandir(directory) as entries:
                    below += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue
        yield from below
        level = [directory for directory in below if not _POD.fullmatch(directory.name)]


def pids(cgroup: Path) -> Iterator[int]:
    """The processes of the subtree. A pod's own cgroup.procs is usually empty: they live in its containers'. Those of
    other pid namespaces, which the kernel shows as 0, are left out."""
    for directory, _, _ in islice(os.walk(cgroup), _MOST):
        try:
            listed = (Path(directory) / "cgroup.procs").read_text().split()
        except OSError:  # removed meanwhile, or a threaded domain
            continue
        yield from filter(None, map(int, listed))
