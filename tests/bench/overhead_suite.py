"""Suite `overhead`: what access log, metrics and tracing add to a request, each beside an agent that has none."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import load
from .aftermath import FULL, QUICK, subfolder
from .cases import CASES, HEADERS
from .http_suite import notes
from .measure import Task, measure
from .nodemesh import Nodemesh
from .observed import All, Log, Metrics, Observed, Off, Tracing, collecting
from .outcome import Figure, Options, Outcome
from .processes import Cores, free_port
from .proxy import Proxy
from .upstream import BODIES, Upstream

SUBJECTS: tuple[type[Observed], ...] = (Off, Log, Metrics, Tracing, All)
CASE = CASES[0]


def run(options: Options) -> Outcome:
    """One case: small bodies over 32 connections."""
    cores = Cores.share()
    outcome = Outcome([], [], notes({Nodemesh.name: None}, cores))
    if not options.wants(CASE.name):
        return outcome
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores)
        stack.callback(upstream.stop)
        batches = stack.enter_context(collecting())
        proxies: list[Proxy] = []
        for subject in SUBJECTS:
            one = subject(subfolder(folder, subject.__name__), upstream.port, cores)
            stack.callback(one.stop)
            proxies.append(one)

        def ask(proxy: Proxy, seconds: float) -> load.Load:
            return load.run(proxy.url + CASE.path, CASE.connections, seconds, HEADERS, cores.load, folder)

        for proxy in proxies:
            ask(proxy, 1)
        measure(
            Task(CASE.name, ask, BODIES[CASE.path]), proxies, Off.name, QUICK if options.quick else FULL, cores, outcome
        )
        if not batches:
            outcome.mistakes.append("no span was exported")
    outcome.figures.extend(added(outcome))
    return outcome


def added(outcome: Outcome) -> list[Figure]:
    """Microseconds that each adds to a request, by the ratios of runs side by side."""
    base = outcome.find(CASE.name, "cpu", Off.name)
    found = []
    for subject in SUBJECTS[1:]:
        ratio = outcome.find(CASE.name, "ratio", subject.name)
        if base is not None and ratio is not None:
            found.append(Figure(CASE.name, subject.name, "adds", base.value / ratio.value - base.value, "µs/req"))
    return found
