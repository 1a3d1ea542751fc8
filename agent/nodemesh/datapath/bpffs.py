"""The BPF file system: found, or mounted where the host has none."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path

MOUNT_POINT = Path("/sys/fs/bpf")
_BPF_FS_MAGIC = 0xCAFE4A11

# linux/sched.h, linux/mount.h
_CLONE_NEWNS = 0x20000
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18
_MNT_DETACH = 2

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


def mount_private(directory: Path) -> None:
    """A BPF file system at `directory` that this process alone sees: it is in a mount namespace of its own from now on.
    Raises NotMounted."""
    done = _libc.unshare(_CLONE_NEWNS) or _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    if done or _libc.mount(b"bpf", os.fsencode(directory), b"bpf", 0, b"mode=0700"):
        reason = os.strerror(ctypes.get_errno())
        raise NotMounted(f"no BPF file system of its own can be mounted ({reason}): run as root (CAP_SYS_ADMIN)")


def unmount(directory: Path) -> None:
    _libc.umount2(os.fsencode(directory), _MNT_DETACH)
