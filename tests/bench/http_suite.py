"""Suite `http`: the same requests through Envoy and nodemesh in turn, from one load, to one upstream, on one core."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from . import load, rude, verify
from .aftermath import FULL, QUICK, Pace, leftovers, restless, subfolder
from .cases import CASES, HEADERS, Case
from .envoy import Envoy, PlainEnvoy
from .nodemesh import Nodemesh, compiled
from .outcome import Figure, Options, Outcome
from .processes import Cores, Usage, busy, free_port
from .proxy import Proxy
from .reference import Nginx
from .upstream import BODIES, Upstream

SUBJECTS: dict[str, type[Proxy]] = {proxy.name: proxy for proxy in (Envoy, PlainEnvoy, Nodemesh, Nginx)}
BASE = Envoy.name  # whose cost is divided by the others'

QUIET = 0.05  # of the proxy's core; what others may take of it before the reader is told
SHOWN = 8  # mistakes of one kind
LOG_FIELDS = 21


class Run(NamedTuple):
    """One load on one proxy: wrk's view, and what the proxy used for it."""

    seen: load.Load
    cpu: float  # seconds
    others: float  # seconds that anything else took of the proxy's core
    after: Usage

    @property
    def microseconds(self) -> float:
        """CPU per request."""
        return self.cpu / self.seen.requests * 1e6


def run(options: Options) -> Outcome:
    """Starts upstream and proxies, verifies each, then measures case by case in alternating rounds."""
    names = dict.fromkeys((BASE, *(options.beside or (Nodemesh.name,))))
    pace = QUICK if options.quick else FULL
    cores = Cores.share()
    outcome = Outcome([], [], notes(names, cores))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores)
        stack.callback(upstream.stop)
        proxies = []
        for name in names:
            proxy = SUBJECTS[name](subfolder(folder, name), upstream.port, cores)
            stack.callback(proxy.stop)
            proxies.append(proxy)
        before = {proxy: proxy.process.usage() for proxy in proxies}
        for proxy in proxies:
            outcome.mistakes.extend(verify.check(proxy, upstream)[:SHOWN])
        sound = not outcome.mistakes  # figures of a proxy that answers wrong mean nothing
        for case in CASES:
            if sound and options.wants(case.name) and all(proxy.process.alive() for proxy in proxies):
                measure(case, proxies, upstream, pace, cores, folder, outcome)
        for proxy in proxies:
            rude.visit(proxy)
            wrong = verify.check(proxy, upstream)[:SHOWN]
            outcome.mistakes.extend(f"after rude clients: {fault}" for fault in wrong)
        upstream.stop()
        outcome.mistakes.extend(leftovers(proxies, before, pace))
    return outcome


def notes(names: dict[str, None], cores: Cores) -> list[str]:
    built = "compiled by mypyc" if compiled() else "pure Python"
    shared = " (shared)" if cores.load == cores.upstream else ""
    found = [f"proxy on core {min(cores.proxy)}, load on {min(cores.load)}, upstream on {min(cores.upstream)}{shared}"]
    if Nodemesh.name in names:
        found.append(f"nodemesh is {built}")
    if Nginx.name in names:
        found.append("nginx does less: no filters, no labelled statistics, no retries")
    return found


def measure(
    case: Case, proxies: list[Proxy], upstream: Upstream, pace: Pace, cores: Cores, folder: Path, outcome: Outcome
) -> None:
    """One case: a warm-up with a verifier beside it, rounds in turn, then a look at what is left of the load."""
    for proxy in proxies:
        with verify.Sampler(proxy, upstream, case.path) as sampler:
            one_run(case, proxy, 1, cores, folder)
        outcome.mistakes.extend(sampler.wrong)
    runs: dict[Proxy, list[Run]] = {proxy: [] for proxy in proxies}
    for proxy in pace.turns(proxies):
        runs[proxy].append(one_run(case, proxy, pace.seconds, cores, folder))
    for proxy in proxies:
        outcome.mistakes.extend(f"{case.name}: {fault}" for r in runs[proxy] for fault in faults(case, proxy, r.seen))
        outcome.figures.extend(figures(case, proxy, runs[proxy]))
    outcome.figures.extend(ratios(case, runs))
    outcome.notes.extend(disturbed(case, [r for each in runs.values() for r in each]))
    outcome.mistakes.extend(f"{case.name}: {fault}" for fault in restless(proxies, pace))
    for proxy in proxies:
        requests = sum(r.seen.requests for r in runs[proxy])
        outcome.mistakes.extend(f"{case.name}: {fault}" for fault in unlogged(proxy, requests))
        proxy.forget_log()


def one_run(case: Case, proxy: Proxy, seconds: float, cores: Cores, folder: Path) -> Run:
    (core,) = cores.proxy
    before, busy_before = proxy.process.usage(), busy(core)
    seen = load.run(proxy.url + case.path, case.connections, seconds, HEADERS, cores.load, folder)
    after, busy_after = proxy.process.usage(), busy(core)
    cpu = after.cpu - before.cpu
    return Run(seen, cpu, busy_after - busy_before - cpu, after)


def faults(case: Case, proxy: Proxy, seen: load.Load) -> list[str]:
    """What the load itself has noticed."""
    found = []
    if seen.dropped:
        found.append(f"{proxy.name} dropped {seen.dropped} connections")
    if seen.refused:
        found.append(f"{proxy.name} gave {seen.refused} answers with a status of 400 or more")
    if seen.unanswered:
        found.append(f"{proxy.name} left {seen.unanswered} requests unanswered for two seconds")
    if seen.bytes < seen.requests * BODIES[case.path]:
        found.append(f"{proxy.name} sent {seen.bytes} bytes for {seen.requests} bodies of {BODIES[case.path]}")
    if not seen.requests:
        found.append(f"{proxy.name} answered nothing")
    return found


def unlogged(proxy: Proxy, requests: int) -> list[str]:
    """The access log is part of the work: a line of Istio's fields for each request."""
    lines, fields = proxy.logged()
    found = []
    if lines < requests:
        found.append(f"{proxy.name} logged {lines} lines for {requests} requests")
    if fields < LOG_FIELDS:
        found.append(f"{proxy.name} logged {fields} fields a line, Istio's format has {LOG_FIELDS}")
    return found


def figures(case: Case, proxy: Proxy, runs: list[Run]) -> list[Figure]:
    """Medians over the rounds."""

    def median(values: list[float]) -> float:
        return statistics.median(values)

    return [
        Figure(case.name, proxy.name, "cpu", median([r.microseconds for r in runs]), "µs/req"),
        Figure(case.name, proxy.name, "rate", median([r.seen.rate for r in runs]), "req/s"),
        Figure(case.name, proxy.name, "p50", median([r.seen.p50 / 1000 for r in runs]), "ms"),
        Figure(case.name, proxy.name, "p99", median([r.seen.p99 / 1000 for r in runs]), "ms"),
        Figure(case.name, proxy.name, "busy", median([r.cpu / r.seen.seconds * 100 for r in runs]), "%"),
        Figure(case.name, proxy.name, "resident", median([r.after.resident / 2**20 for r in runs]), "MiB"),
        Figure(case.name, proxy.name, "memory", median([r.after.proportional / 2**20 for r in runs]), "MiB"),
    ]


def ratios(case: Case, runs: dict[Proxy, list[Run]]) -> list[Figure]:
    """Envoy's CPU per request ÷ the other's: the median over the rounds, whose two runs lie side by side in time."""
    base = next(proxy for proxy in runs if proxy.name == BASE)
    found = []
    for proxy in runs:
        if proxy is not base:
            pairs = zip(runs[base], runs[proxy], strict=True)
            ratio = statistics.median(b.microseconds / own.microseconds for b, own in pairs)
            found.append(Figure(case.name, proxy.name, "ratio", ratio))
    return found


def disturbed(case: Case, runs: list[Run]) -> list[str]:
    """A warning if the machine was not ours alone: cold caches make every request dearer."""
    share = statistics.mean(r.others / r.seen.seconds for r in runs)
    return [f"{case.name}: others took {share:.0%} of the proxy's core"] if share > QUIET else []
