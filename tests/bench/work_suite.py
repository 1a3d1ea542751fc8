"""Suite `work`: Python calls, allocations and system calls of a request and of a relayed connection, beside what is
kept of them. tests/bench/test_work.py holds every run of the tests against the same file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from . import work
from .outcome import Figure, Options, Outcome


def run(options: Options) -> Outcome:
    outcome = Outcome([], [], [f"nodemesh is {work.built()}; counts in the worker's loop, the same on every machine"])
    with tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as folder:
        counts = work.counted(Path(folder))
    wanted = {case: kinds for case, kinds in counts.items() if options.wants(case)}
    for case, kinds in wanted.items():
        outcome.figures.extend(Figure(case, "", kind, count, "each") for kind, count in kinds.items())
    if options.keep:
        work.keep(counts)
    else:
        outcome.mistakes.extend(work.growth(wanted, work.read()))
    return outcome
