"""Suite `relay`: the same TCP work through Envoy's TCP proxy and through nodemesh in turn, plain and with TLS ended."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from .aftermath import FULL, QUICK, Pace, leftovers, restless, subfolder
from .measure import QUIET
from .nodemesh import compiled
from .outcome import Figure, Options, Outcome
from .processes import Cores, Failed, Process, Usage, busy, free_port
from .proxy import Proxy
from .relay_load import Order, Seen
from .relay_proxies import Identity, Relaying, RelayingEnvoy, RelayingNodemesh
from .relay_upstream import ADDRESS

GIB = 2**30

KEPT_PIPES = 32  # descriptors of empty pipes that a worker keeps for splice(2)


class Case(NamedTuple):
    """One load; `unit` is what the proxy's CPU is divided by."""

    name: str
    order: Order  # without ports and time
    tls: bool = False

    @property
    def bulk(self) -> bool:
        return self.order.kind == "bulk"


def order(kind: str, connections: int, size: int = 0, resume: bool = False) -> Order:
    return Order(kind, 0, 0, connections, 0.0, size, resume=resume)


WRITES_16K, WRITES_1M, SHORT = "16 KB writes", "1 MB writes", "short connections"
HANDSHAKES, RESUMED = "TLS handshakes", "TLS handshakes, resumed"

CASES = (
    Case(WRITES_16K, order("bulk", 8, 16 << 10)),
    Case(WRITES_1M, order("bulk", 8, 1 << 20)),
    Case(SHORT, order("short", 8)),
    Case("1,000 connections, round trips", order("pingpong", 1000)),
    Case(HANDSHAKES, order("short", 8), tls=True),
    Case(RESUMED, order("short", 8, resume=True), tls=True),
    Case("TLS, 16 KB writes", order("bulk", 8, 16 << 10), tls=True),
)

#: Before anything is measured: every byte compared, with and without TLS.
CHECKS = (Case("check", order("compare", 4, 48 << 10)), Case("check, TLS", order("compare", 4, 48 << 10), tls=True))


class Run(NamedTuple):
    """One load on one proxy."""

    seen: Seen
    cpu: float  # seconds
    others: float  # seconds that anything else took of the proxy's core
    memory: int  # bytes, proportional


def run(options: Options) -> Outcome:
    """Starts upstream and proxies, compares every byte once, then measures case by case in alternating rounds."""
    pace, cores = QUICK if options.quick else FULL, Cores.share()
    outcome = Outcome([], [], notes())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        upstream = start_upstream(folder, cores)
        stack.callback(upstream.process.stop)
        identity = Identity(folder)
        proxies: list[Relaying] = []
        for kind in (RelayingEnvoy, RelayingNodemesh):
            one: Relaying = kind(subfolder(folder, kind.name), upstream.port, cores, identity)
            stack.callback(one.stop)
            proxies.append(one)
        before: dict[Proxy, Usage] = {proxy: proxy.process.usage() for proxy in proxies}
        for case in CHECKS:
            for proxy in proxies:
                outcome.mistakes.extend(faults(case, proxy, one_run(case, proxy, 0.5, cores)))
        sound = not outcome.mistakes  # figures of a proxy that loses bytes mean nothing
        for case in CASES:
            if sound and options.wants(case.name) and all(proxy.process.alive() for proxy in proxies):
                measure(case, proxies, pace, cores, outcome)
        upstream.process.stop()
        outcome.mistakes.extend(leftovers(proxies, before, pace, KEPT_PIPES))
    return outcome


def notes() -> list[str]:
    return [
        f"nodemesh is {'compiled by mypyc' if compiled() else 'pure Python'}",
        "one unit is a GiB for writes, else a connection or a round trip; ratio is Envoy's CPU ÷ nodemesh's, speed is "
        "nodemesh's rate ÷ Envoy's",
    ]


class Upstream(NamedTuple):
    process: Process
    port: int


def start_upstream(folder: Path, cores: Cores) -> Upstream:
    port = free_port()
    command = [sys.executable, "-m", f"{__package__}.relay_upstream", str(port)]
    process = Process("upstream", command, cores.upstream, folder / "upstream.txt")
    process.wait_for_port(ADDRESS, port)
    return Upstream(process, port)


def measure(case: Case, proxies: list[Relaying], pace: Pace, cores: Cores, outcome: Outcome) -> None:
    """One case: a warm-up, rounds in turn, then a look at what is left of the load."""
    for proxy in proxies:
        one_run(case, proxy, 0.5, cores)
    runs: dict[Relaying, list[Run]] = {proxy: [] for proxy in proxies}
    for proxy in pace.turns(proxies):
        runs[proxy].append(one_run(case, proxy, pace.seconds, cores))
    for proxy in proxies:
        outcome.mistakes.extend(fault for each in runs[proxy] for fault in faults(case, proxy, each))
        outcome.figures.extend(figures(case, proxy, runs[proxy]))
    envoy, nodemesh = proxies
    pairs = list(zip(runs[envoy], runs[nodemesh], strict=True))
    ratio = statistics.median(cost(case, base) / cost(case, own) for base, own in pairs)
    speed = statistics.median(rate(case, own) / rate(case, base) for base, own in pairs)
    outcome.figures.append(Figure(case.name, nodemesh.name, "ratio", ratio))
    outcome.figures.append(Figure(case.name, nodemesh.name, "speed", speed))
    share = statistics.mean(r.others / r.seen.seconds for each in runs.values() for r in each)
    if share > QUIET:
        outcome.notes.append(f"{case.name}: others took {share:.0%} of the proxy's core")
    outcome.mistakes.extend(f"{case.name}: {fault}" for fault in restless(proxies, pace))
    for proxy in proxies:
        proxy.forget_log()


def one_run(case: Case, proxy: Relaying, seconds: float, cores: Cores) -> Run:
    (core,) = cores.proxy
    authority = str(proxy.identity.authority) if case.tls else ""
    port = proxy.tls_port if case.tls else proxy.port
    given = dataclasses.replace(
        case.order, port=port, upstream=proxy.upstream_port, seconds=seconds, authority=authority
    )
    before, busy_before = proxy.process.usage(), busy(core)
    seen = load(given, cores)
    after, busy_after = proxy.process.usage(), busy(core)
    cpu = after.cpu - before.cpu
    return Run(seen, cpu, busy_after - busy_before - cpu, after.proportional)


def load(given: Order, cores: Cores) -> Seen:
    """Runs the load as a process of its own."""
    cpus = ",".join(map(str, sorted(cores.load)))
    program = [sys.executable, "-m", f"{__package__}.relay_load", json.dumps(dataclasses.asdict(given))]
    command = ["taskset", "--cpu-list", cpus, *program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=given.seconds + 120)
    if ended.returncode:
        raise Failed(f"the load ended with status {ended.returncode}:\n{ended.stderr[-1500:]}")
    return Seen(**json.loads(ended.stdout))


def faults(case: Case, proxy: Relaying, found: Run) -> list[str]:
    """What the load has noticed."""
    wrong = [f"{case.name}: {proxy.name}: {fault}" for fault in found.seen.mistakes]
    if not found.seen.count:
        wrong.append(f"{case.name}: {proxy.name} did no work")
    elif case.order.resume and found.seen.resumed < (found.seen.count - case.order.connections) * 0.9:
        wrong.append(f"{case.name}: {proxy.name} resumed {found.seen.resumed} of {found.seen.count} sessions")
    return wrong


def cost(case: Case, found: Run) -> float:
    """CPU seconds per GiB; microseconds per connection or round trip."""
    return found.cpu / found.seen.count * (GIB if case.bulk else 1e6)


def rate(case: Case, found: Run) -> float:
    """GiB, connections or round trips a second."""
    return found.seen.count / found.seen.seconds / (GIB if case.bulk else 1)


def figures(case: Case, proxy: Relaying, runs: list[Run]) -> list[Figure]:
    """Medians over the rounds."""
    what = "CPU s/GiB" if case.bulk else "CPU µs each"
    return [
        Figure(case.name, proxy.name, what, statistics.median(cost(case, r) for r in runs)),
        Figure(case.name, proxy.name, "rate", statistics.median(rate(case, r) for r in runs), "/s"),
        Figure(case.name, proxy.name, "busy", statistics.median(r.cpu / r.seen.seconds * 100 for r in runs), "%"),
        Figure(case.name, proxy.name, "memory", statistics.median(r.memory / 2**20 for r in runs), "MiB"),
    ]
