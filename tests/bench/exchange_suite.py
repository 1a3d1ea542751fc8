"""Suite `exchange`: what one request costs in nodemesh's own code, without sockets: a figure that a busy machine or
another kernel hardly moves, and the first to look at when `http` got slower."""

from __future__ import annotations

import tempfile
from pathlib import Path

from . import jobs
from .nodemesh import compiled
from .outcome import Figure, Options, Outcome

CASE = "small, 10 rules"

#: Each case, and who measures it.
CASES = {CASE: "exchange_job", "gRPC call, h2 to h2": "exchange_http2_job"}


def run(options: Options) -> Outcome:
    """Each case: a kept connection, one request after the other."""
    outcome = Outcome([], [], [f"nodemesh is {'compiled by mypyc' if compiled() else 'pure Python'}; no system calls"])
    for case, job in CASES.items():
        if not options.wants(case):
            continue
        with tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as folder:
            found = jobs.run(job, [str(Path(folder) / "access.log")])
        outcome.figures.append(Figure(case, "", "cpu", found["cpu"], "µs/req"))
        outcome.figures.append(Figure(case, "", "least", found["least"], "µs/req"))
        outcome.figures.append(Figure(case, "", "calls", found["calls"], "Python functions/req"))
    return outcome
