"""Suite `codec`: what heads and unary gRPC calls cost in our own code, beside python-hyper's `h2` and `hpack`."""

from __future__ import annotations

from . import jobs
from .nodemesh import compiled
from .outcome import Figure, Options, Outcome


def run(options: Options) -> Outcome:
    """Heads that are the same each time, and heads with a fresh deadline, id and trace."""
    outcome = Outcome([], [], [f"nodemesh is {'compiled by mypyc' if compiled() else 'pure Python'}; no system calls"])
    if options.wants("codec"):
        for name, value in jobs.run("codec_job", []).items():
            deed, kind, subject = name.split(" ")
            outcome.figures.append(Figure(f"codec, {kind}", subject, deed, value, "µs"))
    return outcome
