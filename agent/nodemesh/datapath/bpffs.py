"""The BPF file system: found, or mounted where the host has none."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path

MOUNT_POINT = Path("/sys/fs/bpf")
_BPF_FS_MAGIC = 0xCAFE4A11
_libc = ctypes.CDLL(None, use_errno=True)


class NotMounted(Exception):
    """There is no BPF file system and none could be mounted."""


def is_bpffs(path: Path) -> bool:
    """Whether `path` lies on a BPF file system (statfs)."""
    buffer = ctypes.create_string_buffer(256)
    if _libc.statfs(os.fsencode(path), buffer) != 0:
        return False
    return int.from_bytes(buffer.raw[:4], "little") == _BPF_FS_MAGIC


def ensure(root: Path) -> None:
    """Have `root` (made if need be) on a BPF file system; /sys/fs/bpf is mounted if the host has not done so. Raises
    NotMounted."""
    if MOUNT_POINT in root.parents:
        _mount()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NotMounted(f"{root} cannot be made ({error.strerror}): run as root") from error
    if not is_bpffs(root):
        raise NotMounted(
            f"{root} is not on a BPF file system: mount one (mount -t bpf bpf {MOUNT_POINT}) or give another"
        )


def _mount() -> None:
    """One at a time, or two agents that start together would mount one over the other."""
    try:
        lock = os.open(MOUNT_POINT.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise NotMounted(f"{MOUNT_POINT.parent} is missing: mount sysfs at /sys") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_bpffs(MOUNT_POINT):
            return
        if _libc.mount(b"bpf", os.fsencode(MOUNT_POINT), b"bpf", 0, b"mode=0700") != 0:
            reason = os.strerror(ctypes.get_errno())
            raise NotMounted(
                f"no BPF file system at {MOUNT_POINT} and mounting one failed ({reason}): run as root, or mount it on "
                "the host and, in a container, share it with the agent"
            )
    finally:
        os.close(lock)
