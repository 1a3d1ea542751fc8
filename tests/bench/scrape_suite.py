"""Suite `scrape`: the page of metrics of a big mesh, each of whose edges is used: its size, its time, how long probes
wait meanwhile, and what requests through the same core feel of it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from . import jobs, latency_suite
from .aftermath import subfolder
from .nodemesh import Nodemesh
from .outcome import Figure, Options, Outcome
from .processes import Cores, Failed, free_port
from .proxy import LOOPBACK
from .upstream import Upstream

SERVICES, CLIENTS = 200, 20
ROUNDS, ROUNDS_QUICK, SECONDS = 9, 1, 8
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
    size = [str(SERVICES), str(CLIENTS)]
    pause = jobs.run("scrape_job", ["pause", *size])["pause"]
    outcome.figures.append(Figure(f"{CASE}: a worker's pause for its counts", "", "value", pause, "ms"))
    moved(size, ROUNDS_QUICK if options.quick else ROUNDS, outcome)
    return outcome


def moved(size: list[str], rounds: int, outcome: Outcome) -> None:
    """A proxy's p99 at 1,000 requests a second, without scrapes and with one every two seconds, whose page is made and
    packed on the proxy's core: in each round one after the other."""
    cores = Cores.share()
    seen: dict[str, list[float]] = {"quiet": [], "scraped": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores)
        stack.callback(upstream.stop)
        proxy = Nodemesh(subfolder(folder, "nodemesh"), upstream.port, cores)
        stack.callback(proxy.stop)
        body = upstream.bodies[latency_suite.PATH]
        for number in range(rounds):
            for what in ("quiet", "scraped") if number % 2 == 0 else ("scraped", "quiet"):
                with ExitStack() as scraping:
                    if what == "scraped":
                        scraping.callback(scraped(size, cores))
                    found = latency_suite.load((LOOPBACK, proxy.port), body, SECONDS, cores)
                seen[what].append(found["p99"])
    for what, values in seen.items():
        outcome.figures.append(Figure(f"{CASE}: p99 of requests, {what}", "", "value", statistics.median(values), "ms"))
    ratios = [with_it / without for with_it, without in zip(seen["scraped"], seen["quiet"], strict=True)]
    outcome.figures.append(Figure(f"{CASE}: p99 by scrapes", "", "value", statistics.median(ratios), ""))


def scraped(size: list[str], cores: Cores) -> Callable[[], None]:
    """Scrapes begin; ends them."""
    pinned = ["taskset", "--cpu-list", ",".join(map(str, sorted(cores.proxy)))]
    command = [*pinned, sys.executable, "-m", f"{__package__}.scrape_job", "often", *size]
    process = subprocess.Popen(command, env=jobs.environment(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    if not process.stdout.readline():
        raise Failed("the page of metrics is not served")

    def end() -> None:
        process.kill()
        process.wait()

    return end
