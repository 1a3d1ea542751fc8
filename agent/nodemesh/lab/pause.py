"""The process that holds a pod's namespaces, as a pod's pause container does: started in its cgroup, it only sleeps."""

from __future__ import annotations

import select
import subprocess
from pathlib import Path

from .owner import LabError

#: In the cgroup first, then new namespaces; the pod's own names lie over the machine's (a private mount namespace, so
#: nobody else sees them); the word tells the owner that the place is ready.
_SCRIPT = """
echo $$ > "$1/cgroup.procs" && exec unshare --net --mount --uts --propagation private -- sh -c '
    if [ -n "$2" ]; then
        mount --bind "$2/hosts" /etc/hosts && mount --bind "$2/resolv.conf" /etc/resolv.conf || exit 1
    fi
    echo "$1" > /proc/sys/kernel/hostname && echo ready && exec sleep infinity >/dev/null 2>&1
' pause "$2" "$3"
"""


def start(cgroup: Path, hostname: str, names: Path | None = None, timeout: float = 10.0) -> subprocess.Popen[bytes]:
    """Start a pause process in `cgroup` with namespaces of its own (net, mount, uts). `names` is a folder with the
    `hosts` and `resolv.conf` that are seen there. Raises LabError with what the kernel said."""
    process = subprocess.Popen(
        ["sh", "-c", _SCRIPT, "pause", str(cgroup), hostname, str(names or "")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    with process.stdout, process.stderr:
        said, _, _ = select.select([process.stdout], [], [], timeout)
        if said and process.stdout.readline() == b"ready\n":
            return process
        process.kill()
        process.wait()
        why = process.stderr.read().decode(errors="replace").strip() or f"no answer within {timeout:g} s"
    raise LabError(f"{hostname}: cannot make namespaces: {why}")
