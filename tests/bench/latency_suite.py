"""Suite `latency`: what a proxy adds to a request's time at 1,000 requests a second, which come whatever is under way.

Beside nodemesh stand one Envoy and two in a row: in a mesh of sidecars a request goes through the client's and through
the server's."""

from __future__ import annotations

import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import jobs, rules
from .aftermath import Pace, subfolder
from .cases import HEADERS
from .envoy import Envoy
from .envoy_pair import EnvoyPair
from .nodemesh import Nodemesh, compiled
from .outcome import Figure, Options, Outcome
from .processes import Cores, free_port
from .proxy import LOOPBACK, Proxy
from .upstream import Upstream

RATE = 1_000  # requests a second
PATH = "/small"
CASE = f"{RATE:,} requests/s, open loop"
DIRECT = "direct"
FULL = Pace(rounds=7, seconds=8, idle=1.0)
QUICK = Pace(rounds=1, seconds=2, idle=0.5)
BEHIND = 1.0  # ms; a load that is later than that measures itself


def run(options: Options) -> Outcome:
    if not options.wants(CASE):
        return Outcome([], [], [])
    pace, cores = QUICK if options.quick else FULL, Cores.share()
    built = "compiled by mypyc" if compiled() else "pure Python"
    outcome = Outcome(
        [], [], [f"nodemesh is {built}; arrivals are drawn (Poisson), the same for all; a keep-alive pool"]
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores)
        stack.callback(upstream.stop)
        proxies: list[Proxy] = []
        for kind in (Nodemesh, Envoy, EnvoyPair):
            proxies.append(kind(subfolder(folder, kind.name), upstream.port, cores))
            stack.callback(proxies[-1].stop)
        measure(proxies, upstream, pace, cores, outcome)
    return outcome


def measure(proxies: list[Proxy], upstream: Upstream, pace: Pace, cores: Cores, outcome: Outcome) -> None:
    """In each round everybody once, and the pods without a proxy: what is added is the difference in the same round."""
    pod = next(iter(rules.pods().values()))[0]
    places = {DIRECT: (pod, upstream.port), **{proxy.name: (LOOPBACK, proxy.port) for proxy in proxies}}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    spent: dict[str, list[float]] = {name: [] for name in places}
    for number in range(pace.rounds):
        for name in places if number % 2 == 0 else reversed(places):
            own = [proxy for proxy in proxies if proxy.name == name]
            before = sum(proxy.process.usage().cpu for proxy in own)
            found = load(places[name], upstream.bodies[PATH], pace.seconds, cores)
            cpu = sum(proxy.process.usage().cpu for proxy in own) - before
            spent[name].append(cpu / found["requests"] * 1e6)
            seen[name].append(found)
            if found["failed"]:
                outcome.mistakes.append(f"{CASE}: {name} failed {found['failed']:.0f} requests")
    for name, rounds in seen.items():
        for title in ("p50", "p99"):
            outcome.figures.append(Figure(CASE, name, title, middle(rounds, title), "ms"))
        if name == DIRECT:
            continue
        for title in ("p50", "p99"):
            more = [own[title] - bare[title] for own, bare in zip(rounds, seen[DIRECT], strict=True)]
            outcome.figures.append(Figure(CASE, name, f"added {title}", statistics.median(more), "ms"))
        outcome.figures.append(Figure(CASE, name, "cpu", statistics.median(spent[name]), "µs/req"))
    for proxy in proxies:
        outcome.figures.append(Figure(CASE, proxy.name, "memory", proxy.process.usage().proportional / 2**20, "MiB"))
    late = max(found["behind"] for rounds in seen.values() for found in rounds)
    if late > BEHIND:
        outcome.notes.append(
            f"the load itself was up to {late:.1f} ms late (99th percentile): the machine was not quiet"
        )


def middle(rounds: list[dict[str, float]], title: str) -> float:
    return statistics.median(found[title] for found in rounds)


def load(place: tuple[str, int], body: bytes, seconds: float, cores: Cores) -> dict[str, float]:
    order = {
        "host": place[0], "port": place[1], "path": PATH, "headers": HEADERS, "body": body.hex(), "rate": RATE,
        "seconds": seconds, "cores": sorted(cores.load),
    }  # fmt: skip
    return jobs.run("latency_load", [json.dumps(order)], seconds + 60)
