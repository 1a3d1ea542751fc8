"""Suite `datapath`: what taking a connection over costs its app: hooked and passed, balanced by the kernel, or
redirected, beside the same connection without hooks; that many redirected connections leave nothing behind; and what it
changes when bytes between app and proxy skip TCP."""

from __future__ import annotations

import os

from . import jobs
from .outcome import Figure, Options, Outcome

LATENCY, THROUGHPUT, STORM = "connect + request", "throughput", "redirected connections"
SOCKMAP = "sockmap"
CROWD = "many connections of one pod"

#: What all the agent's processes may grow by over the greater part of a storm, in MiB: allocators round, leaks go on.
GROWTH = 4.0

#: Of all cores; what others may take of them before the reader is told.
QUIET = 0.1


def run(options: Options) -> Outcome:
    """A case each for latency and throughput, whose ways take turns round by round, and one for a storm."""
    outcome = Outcome([], [], ["client and server have a core each; the agent uses both"])
    if os.geteuid() != 0:
        outcome.notes.append("left out: the data path needs root")
        return outcome
    if options.wants(LATENCY):
        found = measure(outcome, LATENCY, "latency", *(("6", "50") if options.quick else ("150", "50")))
        outcome.figures.extend(latency_figures(found))
        outcome.mistakes.extend(failures(found))
    if options.wants(THROUGHPUT):
        found = measure(outcome, THROUGHPUT, "throughput", "10" if options.quick else "400")
        outcome.figures.extend(throughput_figures(found))
        outcome.mistakes.extend(failures(found))
    if options.wants(STORM):
        count = 3_000 if options.quick else 100_000
        found = measure(outcome, STORM, "storm", str(count))
        outcome.figures.append(Figure(STORM, f"{count:,}", "growth", found["storm growth"], "MiB"))
        outcome.mistakes.extend(storm_mistakes(found))
    if options.wants(CROWD):
        count, seconds = (3_000, 2) if options.quick else (40_000, 20)
        found = measure(outcome, CROWD, "crowd", str(count), str(seconds))
        outcome.figures.append(Figure(CROWD, f"{count:,} at once", "opened in", found["crowd took"], "s"))
        outcome.figures.append(Figure(CROWD, f"{count:,} at once", "memory of each", found["crowd resident"], "KiB"))
        outcome.figures.append(Figure(CROWD, "churn", "connections", found["churn done"], "/s"))
        outcome.figures.append(Figure(CROWD, "churn", "CPU of each", found["churn CPU"], "µs"))
        outcome.mistakes.extend(crowd_mistakes(found))
    if options.wants(SOCKMAP):
        found = measure(outcome, SOCKMAP, "sockmap", "4" if options.quick else "30")
        outcome.figures.extend(
            Figure(SOCKMAP, name.partition(" request ")[0].partition(" CPU ")[0], what, value)
            for name, value in found.items()
            if "÷" in name
            for what in [("CPU" if " CPU " in name else "request") + " on ÷ off"]
        )
    return outcome


def measure(outcome: Outcome, case: str, *arguments: str) -> dict[str, float]:
    """What datapath_job.py finds; a warning for the reader if the machine was not ours alone."""
    found = jobs.run("datapath_job", arguments, seconds=600.0)
    if found["others"] > QUIET:
        outcome.notes.append(f"{case}: others took {found['others']:.0%} of the cores")
    return found


def failures(found: dict[str, float]) -> list[str]:
    failed = {key: int(value) for key, value in found.items() if key.endswith(" failed") and value}
    return [f"{key}: {value} connections" for key, value in failed.items()]


def latency_figures(found: dict[str, float]) -> list[Figure]:
    figures = []
    for way in ("direct", "passed", "kernel", "proxy"):
        for what in ("connect", "request"):
            figures.append(Figure(LATENCY, way, what, found[f"{way} {what}"], "µs"))
            figures.append(Figure(LATENCY, way, f"{what} ÷ direct", found[f"{way} {what} ratio"]))
    return figures


def throughput_figures(found: dict[str, float]) -> list[Figure]:
    figures = []
    for way in ("direct", "passed", "kernel", "proxy"):
        figures.append(Figure(THROUGHPUT, way, "rate", found[f"{way} throughput"], "GB/s"))
        figures.append(Figure(THROUGHPUT, way, "rate ÷ direct", found[f"{way} throughput ratio"]))
    return figures


def crowd_mistakes(found: dict[str, float]) -> list[str]:
    said = {
        "crowd failed": "connections held at once failed",
        "crowd lost": "of them failed when they were used again",
        "churn failed": "connections of the churn failed",
        "crowd left in maps": "records of connections are left in the maps",
        "crowd left in namespaces": "sockets are left in the client's namespace",
    }
    return [f"{found[name]:.0f} {what}" for name, what in said.items() if found[name]]


def storm_mistakes(found: dict[str, float]) -> list[str]:
    mistakes = []
    if found["storm failed"]:
        mistakes.append(f"{found['storm failed']:.0f} redirected connections failed")
    if found["storm left in maps"]:
        mistakes.append(f"{found['storm left in maps']:.0f} records of connections are left in the maps")
    if found["storm left in namespaces"]:
        mistakes.append(f"{found['storm left in namespaces']:.0f} sockets are left in the client's namespace")
    if found["storm growth"] > GROWTH:
        mistakes.append(f"the agent has grown by {found['storm growth']:.0f} MiB")
    return mistakes
