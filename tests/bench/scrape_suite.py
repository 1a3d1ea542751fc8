"""Suite `scrape`: the page of metrics of a big mesh, each of whose edges is used: its size, its time, and how long
probes wait meanwhile."""

from __future__ import annotations

from . import jobs
from .outcome import Figure, Options, Outcome

SERVICES, CLIENTS = 200, 20
CASE = f"{SERVICES} services x {CLIENTS} clients"


def run(options: Options) -> Outcome:
    outcome = Outcome([], [], ["as gzip, both reporters; the client is a process of its own on the same machine"])
    if not options.wants(CASE):
        return outcome
    found = jobs.run("scrape_job", [str(SERVICES), str(CLIENTS)])
    for name, key, divisor, unit in (
        ("label sets", "series", 1, ""),
        ("page", "bytes", 1024, "KiB"),
        ("first scrape", "first", 0.001, "ms"),
        ("scrape", "seconds", 0.001, "ms"),
        ("scrape, CPU", "cpu", 0.001, "ms"),
        ("healthz, median", "healthz_median", 1, "ms"),
        ("healthz, worst", "healthz", 1, "ms"),
    ):
        outcome.figures.append(Figure(f"{CASE}: {name}", "", "value", found[key] / divisor, unit))
    return outcome
