"""One task through proxies in turn: what each of them used for a request, beside what the others did."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .aftermath import Pace, restless
from .load import Load
from .outcome import Figure, Outcome
from .processes import Cores, Usage, busy
from .proxy import Proxy

QUIET = 0.05  # of the proxy's core; what others may take of it before the reader is told
LOG_FIELDS = 21

#: Loads a proxy for so many seconds.
Ask = Callable[[Proxy, float], Load]


class Task(NamedTuple):
    """What is asked of each proxy, and the bytes of an answer's body."""

    name: str
    ask: Ask
    body: int


class Run(NamedTuple):
    """One load on one proxy: the load's view, and what the proxy used for it."""

    seen: Load
    cpu: float  # seconds
    others: float  # seconds that anything else took of the proxy's core
    after: Usage

    @property
    def microseconds(self) -> float:
        """CPU per request."""
        return self.cpu / self.seen.requests * 1e6


def measure(task: Task, proxies: Sequence[Proxy], base: str, pace: Pace, cores: Cores, outcome: Outcome) -> None:
    """Rounds in turn, then a look at what is left of the load. Ratios are those of the proxy named `base`."""
    runs: dict[Proxy, list[Run]] = {proxy: [] for proxy in proxies}
    for proxy in pace.turns(proxies):
        runs[proxy].append(one_run(task, proxy, pace.seconds, cores))
    for proxy in proxies:
        outcome.mistakes.extend(f"{task.name}: {fault}" for r in runs[proxy] for fault in faults(task, proxy, r.seen))
        outcome.figures.extend(figures(task, proxy, runs[proxy]))
    outcome.figures.extend(ratios(task, base, runs))
    outcome.notes.extend(disturbed(task, [r for each in runs.values() for r in each]))
    outcome.mistakes.extend(f"{task.name}: {fault}" for fault in restless(proxies, pace))
    for proxy in proxies:
        requests = sum(r.seen.requests for r in runs[proxy])
        outcome.mistakes.extend(f"{task.name}: {fault}" for fault in unlogged(proxy, requests))
        proxy.forget_log()


def one_run(task: Task, proxy: Proxy, seconds: float, cores: Cores) -> Run:
    (core,) = cores.proxy
    before, busy_before = proxy.process.usage(), busy(core)
    seen = task.ask(proxy, seconds)
    after, busy_after = proxy.process.usage(), busy(core)
    cpu = after.cpu - before.cpu
    return Run(seen, cpu, busy_after - busy_before - cpu, after)


def faults(task: Task, proxy: Proxy, seen: Load) -> list[str]:
    """What the load itself has noticed."""
    found = []
    if seen.dropped:
        found.append(f"{proxy.name} dropped {seen.dropped} connections")
    if seen.refused:
        found.append(f"{proxy.name} gave {seen.refused} answers with a status of 400 or more")
    if seen.unanswered:
        found.append(f"{proxy.name} left {seen.unanswered} requests unanswered for two seconds")
    if seen.bytes < seen.requests * task.body:
        found.append(f"{proxy.name} sent {seen.bytes} bytes for {seen.requests} bodies of {task.body}")
    if not seen.requests:
        found.append(f"{proxy.name} answered nothing")
    return found


def unlogged(proxy: Proxy, requests: int) -> list[str]:
    """The access log is part of the work, unless it is off: a line of Istio's fields for each request."""
    lines, fields = proxy.logged()
    if not proxy.logs:
        return [f"{proxy.name} logged {lines} lines, and should none"] if lines else []
    found = []
    if lines < requests:
        found.append(f"{proxy.name} logged {lines} lines for {requests} requests")
    if fields < LOG_FIELDS:
        found.append(f"{proxy.name} logged {fields} fields a line, Istio's format has {LOG_FIELDS}")
    return found


def figures(task: Task, proxy: Proxy, runs: list[Run]) -> list[Figure]:
    """Medians over the rounds."""

    def median(values: list[float]) -> float:
        return statistics.median(values)

    return [
        Figure(task.name, proxy.name, "cpu", median([r.microseconds for r in runs]), "µs/req"),
        Figure(task.name, proxy.name, "rate", median([r.seen.rate for r in runs]), "req/s"),
        Figure(task.name, proxy.name, "p50", median([r.seen.p50 / 1000 for r in runs]), "ms"),
        Figure(task.name, proxy.name, "p99", median([r.seen.p99 / 1000 for r in runs]), "ms"),
        Figure(task.name, proxy.name, "busy", median([r.cpu / r.seen.seconds * 100 for r in runs]), "%"),
        Figure(task.name, proxy.name, "resident", median([r.after.resident / 2**20 for r in runs]), "MiB"),
        Figure(task.name, proxy.name, "memory", median([r.after.proportional / 2**20 for r in runs]), "MiB"),
    ]


def ratios(task: Task, base_name: str, runs: Mapping[Proxy, list[Run]]) -> list[Figure]:
    """The base's CPU per request ÷ the other's: the median over the rounds, whose two runs lie side by side in time."""
    base = next(proxy for proxy in runs if proxy.name == base_name)
    found = []
    for proxy in runs:
        if proxy is not base:
            pairs = zip(runs[base], runs[proxy], strict=True)
            ratio = statistics.median(b.microseconds / own.microseconds for b, own in pairs)
            found.append(Figure(task.name, proxy.name, "ratio", ratio))
    return found


def disturbed(task: Task, runs: list[Run]) -> list[str]:
    """A warning if the machine was not ours alone: cold caches make every request dearer."""
    share = statistics.mean(r.others / r.seen.seconds for r in runs)
    return [f"{task.name}: others took {share:.0%} of the proxy's core"] if share > QUIET else []
