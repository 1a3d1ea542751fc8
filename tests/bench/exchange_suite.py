"""Suite `exchange`: what one request costs in nodemesh's own code, without sockets: a figure that a busy machine or
another kernel hardly moves, and the first to look at when `http` got slower."""

from __future__ import annotations

import tempfile
from pathlib import Path

from . import jobs
from .nodemesh import compiled
from .outcome import Figure, Options, Outcome

CASE = "small, 10 rules"


def run(options: Options) -> Outcome:
    """One case: a kept connection, one request after the other."""
    outcome = Outcome([], [], [f"nodemesh is {'compiled by mypyc' if compiled() else 'pure Python'}; no system calls"])
    if not options.wants(CASE):
        return outcome
    with tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as folder:
        found = jobs.run("exchange_job", [str(Path(folder) / "access.log")])
    outcome.figures.append(Figure(CASE, "", "cpu", found["cpu"], "µs/req"))
    outcome.figures.append(Figure(CASE, "", "least", found["least"], "µs/req"))
    outcome.figures.append(Figure(CASE, "", "calls", found["calls"], "Python functions/req"))
    return outcome
