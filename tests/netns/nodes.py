"""An agent for a node of a cluster, with no more privileges than the DaemonSet gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from nodemesh.lab import Lab, ProcessPlace

ROOT = Path(__file__).parents[2]
DAEMONSET = ROOT / "manifests/agent/daemonset.yaml"
PATIENCE = 30.0


def capabilities() -> list[str]:
    """Those that the DaemonSet names, as setpriv(1) writes them."""
    (container,) = yaml.safe_load(DAEMONSET.read_text())["spec"]["template"]["spec"]["containers"]
    named = container["securityContext"]["capabilities"]
    assert named["drop"] == ["ALL"]
    return [name.lower() for name in named["add"]]


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class NodeAgent:
    """`nodemesh run --kubernetes` for a node of the cluster, which is a part of the lab's pods. Several of one
    node have a `name` each."""

    def __init__(self, lab: Lab, node: str, config: Path, port: int, *options: str, name: str = "") -> None:
        self.log = lab.folder / f"{name or node}.log"
        self.admin = f"127.0.0.1:{port}"
        self._place = ProcessPlace(node, lab.cgroup_root / (name or node))
        self._place.cgroup.mkdir()
        limits = ",".join(["-all", *(f"+{name}" for name in capabilities())])
        with self.log.open("wb") as log:
            self.process = self._place.popen(
                [
                    *("setpriv", "--no-new-privs", f"--bounding-set={limits}"),
                    *(sys.executable, "-m", "nodemesh", "run", "--kubernetes", "--kubeconfig", config),
                    *("--node", node, "--ebpf", "require", "--workers", "1", "--admin", self.admin),
                    *("--cgroup-root", lab.cgroup_root, "--bpffs", lab.bpffs / node),
                    *("--run-dir", lab.folder / f"run-{node}", "--state-dir", lab.folder / f"state-{node}"),
                    *options,
                ],
                env={**os.environ, "PYTHONPATH": str(ROOT / "agent")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
            return json.load(answer)

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.get("/readyz")["ready"])
        except OSError:
            return False

    def enrolled(self) -> set[str]:
        return {row["name"] for row in self.get("/pods") if row["enrolled"]}
