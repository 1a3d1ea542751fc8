"""A place on the lab's node where processes start: a cgroup, and the namespaces of the process that holds them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datapath.cgroups import pids
from .owner import LabError

#: Joins the cgroup before anything else runs, so that no socket is ever made outside it; the pid stays the same.
_ENTER = 'echo $$ > "$1/cgroup.procs" || exit 125; pid=$2; shift 2; '
_ENTER_HOST = _ENTER + 'exec "$@"'
_ENTER_NAMESPACES = _ENTER + 'exec nsenter --target "$pid" --net --mount --uts -- "$@"'

_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp (include/net/tcp_states.h)


class ProcessPlace:
    """Starts processes in `cgroup` and in the namespaces of process `pid` (0: those of the lab's owner).

    Processes run in a session of their own, so that Ctrl-C reaches the owner alone, which then removes them in order.
    """

    def __init__(self, name: str, cgroup: Path, pid: int = 0) -> None:
        self.name = name
        self.cgroup = cgroup
        self.pid = pid
        self._started: list[subprocess.Popen[Any]] = []

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """The command line that runs `argv` here, for subprocess or for a shell."""
        script = _ENTER_NAMESPACES if self.pid else _ENTER_HOST
        return ["sh", "-c", script, self.name, str(self.cgroup), str(self.pid), *map(str, argv)]

    def popen(self, argv: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
        """Start `argv` and return once it is in its cgroup, by which it ends with the lab at the latest; `options` are
        those of subprocess.Popen."""
        process = subprocess.Popen(self.command(argv), start_new_session=True, **options)
        while process.pid not in pids(self.cgroup) and process.poll() is None:
            time.sleep(0.0005)
        self._started = [one for one in self._started if one.poll() is None]
        self._started.append(process)
        return process

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        input: str | None = None,
        timeout: float = 30.0,
        check: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` to its end with its output captured; after `timeout` seconds it is killed (TimeoutExpired)."""
        return subprocess.run(
            self.command(argv),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
            env=None if env is None else {**os.environ, **env},
            start_new_session=True,
        )

    def python(self, code: str, *arguments: str, input: str | None = None, timeout: float = 30.0) -> str:
        """Run Python `code` (sys.argv[1:] are `arguments`) and return what it printed; LabError if it fails."""
        done = self.run([sys.executable, "-c", code, *arguments], input=input, timeout=timeout)
        if done.returncode != 0:
            raise LabError(f"{self.name}: python exited with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def listening(self, port: int) -> bool:
        """Whether a TCP socket listens on `port` in this place's network namespace (seen without connecting)."""
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid or 'self'}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
        return False

    def wait_listening(self, port: int, timeout: float = 10.0) -> None:
        """Wait until something listens on `port`; LabError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self.listening(port):
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: nothing listens on port {port} after {timeout:g} s")
            time.sleep(0.005)

    def reap(self) -> None:
        """Collect the exit status of the processes started here, once they were killed."""
        for process in self._started:
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self._started.clear()
