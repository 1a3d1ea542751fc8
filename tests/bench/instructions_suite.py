"""Suite `instructions`: what one request costs in user-space instructions, by callgrind. The figures hold from machine
to machine and under any load, to half a percent."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from . import load
from .aftermath import subfolder
from .callgrind import Counted
from .cases import HEADERS
from .nodemesh import compiled
from .outcome import Figure, Options, Outcome
from .processes import Cores, free_port
from .upstream import Upstream

HTTP1 = "HTTP/1.1 request, 32 connections, 10 rules"

CONNECTIONS = 32
SECONDS = 6.0  # of load for each count
COUNTS = 3


def run(options: Options) -> Outcome:
    """Each case: a warm-up, then the median of several counts."""
    built = "compiled by mypyc" if compiled() else "pure Python"
    outcome = Outcome([], [], [f"nodemesh is {built}; instructions of the worker alone, without the kernel's"])
    if not options.wants(HTTP1):
        return outcome
    cores = Cores.share()
    with tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx serves as its own user
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores)
        try:
            proxy = Counted(subfolder(folder, "nodemesh"), upstream.port, cores)
            try:
                counts = [found for found in measure(proxy, cores, folder, 1 if options.quick else COUNTS) if found]
            finally:
                proxy.stop()
        finally:
            upstream.stop()
    if not counts:
        outcome.mistakes.append("no request was answered while instructions were counted")
    else:
        outcome.figures.append(Figure(HTTP1, "", "instructions", statistics.median(counts), "per request"))
        outcome.figures.append(Figure(HTTP1, "", "spread", (max(counts) / min(counts) - 1) * 100, "%"))
    return outcome


def measure(proxy: Counted, cores: Cores, folder: Path, counts: int) -> list[float]:
    """Instructions per request, several times."""

    def ask() -> int:
        return load.run(proxy.url + "/small", CONNECTIONS, SECONDS, HEADERS, cores.load, folder).requests

    ask()
    proxy.start_counting()
    ask()
    found = []
    for _ in range(counts):
        proxy.zero()
        requests = ask()
        found.append(proxy.count() / requests if requests else 0.0)
    return found
