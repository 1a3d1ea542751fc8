"""`nodemesh run` as a process of the lab: started, given YAML, asked over its admin API, killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..datapath.cgroups import pids
from . import cgroup
from .lab import Lab
from .owner import LabError
from .place import ProcessPlace
from .pod import LabPod

#: Where Python finds the agent's code: this one's.
CODE = Path(__file__).parents[2]

_POLL = 0.02  # seconds between looks at a condition that is waited for


class Agent:
    """One agent for the lab's node, in a cgroup beside the pods' and on this machine's own network.

    It reads two folders: the lab's manifests and `folder`, where `apply` puts what a user would apply. Its log and its
    access log are files in the lab's folder. It ends with the lab at the latest.
    """

    def __init__(self, lab: Lab, *, admin_port: int = 0, workers: int = 0) -> None:
        self.lab = lab
        self.code = CODE  # of the version that is started next
        self.workers = workers  # 0: as many as it has cores
        self.folder = lab.folder / "config"
        self.log = lab.folder / "agent.log"
        self.access_log = lab.folder / "access.log"
        self.admin = f"127.0.0.1:{admin_port or _free_port()}"
        self._place = ProcessPlace("agent", lab.cgroup_root / "agent")
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir()
        self._place.cgroup.mkdir()

    @property
    def arguments(self) -> list[str]:
        """The command line behind `nodemesh`."""
        return [
            "run",
            *("--config", str(self.folder)),
            *("--config", str(self.lab.manifests_folder)),
            *("--node", self.lab.node_name),
            *("--ebpf", "require"),
            *("--admin", self.admin),
            *("--access-log", str(self.access_log)),
            *("--cgroup-root", str(self.lab.cgroup_root)),
            *("--bpffs", str(self.lab.bpffs)),
            *("--run-dir", str(self.lab.folder / "run")),
            *("--workers", str(self.workers)),
        ]

    def start(self, timeout: float = 30.0) -> None:
        """Start it and wait until it is ready; LabError with the end of its log if it is not."""
        self._process = self._launch()
        self.wait_for(self.ready, "the agent to be ready", timeout)

    def upgrade(self, timeout: float = 30.0) -> None:
        """Start a successor beside it that takes over, and wait until it is ready and alone."""
        before = set(self.pids())
        predecessor, self._process = self._process, self._launch("--replace")
        self.wait_for(lambda: not before & set(self.pids()), "the predecessor to end", timeout)
        self.wait_for(self.ready, "the successor to be ready", timeout)
        if predecessor is not None:
            predecessor.wait()

    def _launch(self, *options: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return self._place.popen(
                [sys.executable, "-m", "nodemesh", *self.arguments, *options],
                env={**os.environ, "PYTHONPATH": str(self.code)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self, timeout: float = 30.0) -> int:
        """Ask it to end (SIGTERM) and return its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL every process of the agent at once."""
        cgroup.kill(self._place.cgroup)
        self._place.reap()

    def pids(self) -> list[int]:
        """The agent's processes, the supervisor among them."""
        return list(pids(self._place.cgroup))

    def get(self, path: str) -> Any:
        """The admin API's JSON answer; OSError if there is none or it is an error."""
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
            return json.load(answer)

    def ready(self) -> bool:
        try:
            return bool(self.get("/readyz")["ready"])
        except OSError:
            return False

    def apply(self, text: str, name: str = "applied", timeout: float = 10.0) -> None:
        """Put YAML in place under `name`, in the stead of what was there, and wait until all workers follow it.
        LabError if the agent refuses it or does not follow."""
        target = self.folder / f"{name}.yaml"
        if target.exists() and target.read_text() == text:
            return
        self._change(lambda: _replace(target, text), timeout, target)

    def withdraw(self, name: str = "applied", timeout: float = 10.0) -> None:
        """Remove what was applied under `name`, and wait until all workers follow."""
        self._change((self.folder / f"{name}.yaml").unlink, timeout)

    def wait_enrolled(self, pods: Iterable[LabPod], timeout: float = 10.0) -> None:
        """Wait until the pods are in the mesh."""
        wanted = {pod.key for pod in pods}

        def enrolled() -> bool:
            rows = self.get("/pods")
            return wanted <= {f"{row['namespace']}/{row['name']}" for row in rows if row["enrolled"]}

        self.wait_for(enrolled, f"{', '.join(sorted(wanted))} to be enrolled", timeout)

    def wait_for(self, condition: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
        """Wait until `condition` holds; LabError naming `what` and the log's end after `timeout` seconds, or at once if
        the agent has ended."""
        deadline = time.monotonic() + timeout
        while not condition():
            ended = self._process.poll() if self._process is not None else None
            if ended is not None:
                raise LabError(f"the agent exited with {ended} while waiting for {what}:\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise LabError(f"waited {timeout:g} s for {what}; the agent's log ends with:\n{self.log_end()}")
            time.sleep(_POLL)

    def log_end(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _change(self, deed: Callable[[], object], timeout: float, written: Path | None = None) -> None:
        if self._process is None:
            deed()
            return
        before = self.get("/status")["tables"]["version"]
        deed()
        modified = written.stat().st_mtime_ns if written is not None else 0
        self.wait_for(lambda: self._follows(before, modified), "all workers to follow the new configuration", timeout)

    def _follows(self, before: int, modified: int) -> bool:
        """Tables change for other reasons, too: what was written has to have been read."""
        status = self.get("/status")
        if status["config"]["error"]:
            raise LabError(f"the agent refuses the configuration: {status['config']['error']}\n{self.log_end()}")
        version = status["tables"]["version"]
        read = status["config"]["modified"] >= modified
        return read and version > before and all(worker["applied"] == version for worker in status["workers"])


def _replace(target: Path, text: str) -> None:
    new = target.with_name(f".{target.name}.new")
    new.write_text(text)
    os.replace(new, target)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
