"""Suite `tables`: a big cluster's objects to compiled tables, whole and one change at a time, in seconds and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from .cluster import Size
from .nodemesh import AGENT
from .outcome import Figure, Options, Outcome
from .processes import Failed

FULL, FULL_OBJECTS = Size(services=10_000, rules=3_000, namespaces=100), 10_000
QUICK, QUICK_OBJECTS = Size(services=1_000, rules=300, namespaces=100), 1_000


def run(options: Options) -> Outcome:
    """A case for each size; its figures are what tables_job.py measures in a process of its own."""
    size, count = (QUICK, QUICK_OBJECTS) if options.quick else (FULL, FULL_OBJECTS)
    outcome = Outcome([], [], ["one process without a worker; a change counts from its plain data to new tables"])
    jobs = {
        str(size): ["compile", str(size.services), str(size.rules), str(size.namespaces)],
        f"{count:,} objects of YAML": ["parse", str(count)],
    }
    for case, arguments in jobs.items():
        if options.wants(case):
            for name, value in job(arguments).items():
                outcome.figures.append(figure(case, name, value))
    return outcome


def figure(case: str, name: str, value: float) -> Figure:
    if name == "memory":
        return Figure(f"{case}: {name}", "", "value", value, "MiB")
    if name.startswith("one "):
        return Figure(f"{case}: {name}", "", "value", value * 1000, "ms")
    return Figure(f"{case}: {name}", "", "value", value, "s")


def job(arguments: list[str]) -> dict[str, float]:
    """Runs tables_job.py on this tree's agent."""
    command = [sys.executable, "-m", f"{__package__}.tables_job", *arguments]
    path = os.pathsep.join(filter(None, (str(AGENT), os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=300)
    if ended.returncode:
        raise Failed(f"tables_job {' '.join(arguments)}:\n{ended.stderr[-1500:]}")
    found: dict[str, float] = json.loads(ended.stdout)
    return found
