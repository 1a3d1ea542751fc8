"""Suite `shadow`: what a shadow and a recording cost for each request in nodemesh's own code, in one process, in turn.
System calls are not in it, so that the shares are larger than at a real agent."""

from __future__ import annotations

import tempfile
from pathlib import Path

from . import jobs
from .nodemesh import compiled
from .outcome import Figure, Options, Outcome

CASE = "all differ, 10 rules"


def run(options: Options) -> Outcome:
    """One case: every request is answered otherwise by the candidate."""
    outcome = Outcome([], [], [f"nodemesh is {'compiled by mypyc' if compiled() else 'pure Python'}; no system calls"])
    if not options.wants(CASE):
        return outcome
    with tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as folder:
        found = jobs.run("shadow_job", [str(Path(folder) / "access.log")])
    for name in ("off", "shadow", "recorded"):
        outcome.figures.append(Figure(CASE, name, "cpu", found[name], "µs/req"))
        if name != "off":
            outcome.figures.append(Figure(CASE, name, "more", (found[name] / found["off"] - 1) * 100, "%"))
    return outcome
