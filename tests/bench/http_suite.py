"""Suite `http`: the same requests through Envoy and nodemesh in turn, from one load, to one upstream, on one core."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import load, rude, verify
from .aftermath import FULL, QUICK, Pace, leftovers, subfolder
from .cases import CASES, HEADERS, Case
from .envoy import Envoy, PlainEnvoy
from .measure import Task, measure
from .nodemesh import Nodemesh, compiled
from .outcome import Options, Outcome
from .processes import Cores, free_port
from .proxy import Proxy
from .reference import Nginx
from .upstream import BODIES, Upstream

SUBJECTS: dict[str, type[Proxy]] = {proxy.name: proxy for proxy in (Envoy, PlainEnvoy, Nodemesh, Nginx)}
BASE = Envoy.name  # whose cost is divided by the others'

SHOWN = 8  # mistakes of one kind


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
                measure_case(case, proxies, upstream, pace, cores, folder, outcome)
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


def measure_case(
    case: Case, proxies: list[Proxy], upstream: Upstream, pace: Pace, cores: Cores, folder: Path, outcome: Outcome
) -> None:
    """One case: a warm-up with a verifier beside it, then the rounds."""

    def ask(proxy: Proxy, seconds: float) -> load.Load:
        return load.run(proxy.url + case.path, case.connections, seconds, HEADERS, cores.load, folder)

    for proxy in proxies:
        with verify.Sampler(proxy, upstream, case.path) as sampler:
            ask(proxy, 1)
        outcome.mistakes.extend(sampler.wrong)
    measure(Task(case.name, ask, BODIES[case.path]), proxies, BASE, pace, cores, outcome)
