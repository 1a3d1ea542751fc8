"""Runs a measured half in a process of its own, on this tree's agent, so that time and memory are only its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from .nodemesh import AGENT
from .processes import Failed


def environment() -> dict[str, str]:
    """Has a process use this tree's agent."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(AGENT), os.environ.get("PYTHONPATH"))))}


def run(module: str, arguments: Sequence[str], seconds: float = 300.0) -> dict[str, float]:
    """The JSON object that the module of this package prints."""
    command = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=seconds)
    if ended.returncode:
        raise Failed(f"{module} {' '.join(arguments)}:\n{ended.stderr[-1500:]}")
    found: dict[str, float] = json.loads(ended.stdout)
    return found
