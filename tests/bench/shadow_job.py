"""The measured half of suite `shadow`: one connection each without anybody looking on, with a shadow, and recorded."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

from nodemesh.config.load import load_object
from nodemesh.proxy.recording import HeadsTap
from nodemesh.proxy.shadow import CandidateTap, Tally
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_beside
from nodemesh.routing.tables import Tables

from . import nodemesh, rules
from .exchange_job import BATCH, BATCHES, WARM_UP, Driver, Fault


def candidate(live: Tables) -> Tables:
    """All ten rules with another timeout: each request is answered otherwise."""
    objects = []
    for data in nodemesh.objects(8080):
        if data["kind"] == "VirtualService" and data["metadata"]["name"] == rules.HOST:
            for route in data["spec"]["http"]:
                if "timeout" in route:
                    route["timeout"] = f"{rules.TIMEOUT + 1}s"
        objects += load_object(data, "candidate").objects
    return compile_beside(Store().apply("bench", objects), live)


def main(log: Path) -> None:
    """One JSON object on standard output; the access log goes to the file named."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    drivers = {name: Driver(fd) for name in ("off", "shadow", "recorded")}
    shadowed, recorded = drivers["shadow"].proxy, drivers["recorded"].proxy
    live = shadowed.views.tables
    shadow = CandidateTap(live, candidate(live), {}, Tally(1, shadowed.shared.clock))
    shadowed.tap((shadow,))
    heads = HeadsTap(1, 10**9, frozenset(), recorded.shared.clock)
    recorded.tap((heads,))
    for driver in drivers.values():
        driver.batch(WARM_UP)
    times: dict[str, list[float]] = {name: [] for name in drivers}
    for _ in range(BATCHES):
        for name, driver in drivers.items():
            heads.take()
            start = time.process_time()
            driver.batch(BATCH)
            times[name].append((time.process_time() - start) / BATCH * 1e6)
    counts = shadow.counts()
    if not counts.differing == counts.requests == WARM_UP + BATCH * BATCHES or not heads.take()[0]:
        raise Fault(f"the shadow saw {counts.requests} requests, of which {counts.differing} differ")
    print(json.dumps({name: statistics.median(found) for name, found in times.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
