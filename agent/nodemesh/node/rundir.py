"""The run folder: sockets and the lock that keeps a second agent out."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from .options import Ebpf, RunOptions, StartError

DEFAULT = "/run/nodemesh"


def make(options: RunOptions) -> tuple[str, bool]:
    """The run folder, and whether it is ours to remove. With eBPF there is one per machine, since the kernel's side is
    shared; without, each agent has its own. Raises StartError."""
    if not options.run_dir and options.ebpf is Ebpf.OFF:
        return tempfile.mkdtemp(prefix="nodemesh-"), True
    path = Path(options.run_dir or DEFAULT)
    existed = path.exists()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot make {path} ({error.strerror}); name a folder to write to with --run-dir") from None
    return str(path), not existed


def sweep(run_dir: str) -> list[str]:
    """Remove the sockets that killed agents left, and say which; only for who holds the lock."""
    left = [str(path) for path in sorted(Path(run_dir).glob("*.sock"))]
    for path in left:
        os.unlink(path)
    return left


def clear(run_dir: str) -> list[str]:
    """Remove what a killed agent left, and the folder, unless somebody else has put something into it. Answers what is
    gone: the folder alone, where all of it is. Only for who holds the lock."""
    gone = sweep(run_dir)
    Path(run_dir, "lock").unlink(missing_ok=True)
    try:
        Path(run_dir).rmdir()
    except OSError:
        return gone
    return [run_dir]


def lock(run_dir: str) -> int:
    """A lock that lasts as long as this process; the descriptor holds it. Raises StartError."""
    fd = os.open(f"{run_dir}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise StartError(
            f"another nodemesh runs in {run_dir}; stop it, or name another folder with --run-dir"
        ) from None
    return fd
