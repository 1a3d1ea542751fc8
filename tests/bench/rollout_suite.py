"""Suite `rollout`: a hundred rolling restarts of three pods without preStop hooks, under steady load, with the timing
of a real cluster. Nothing may fail, and the kernel has the service before each restart and after the last."""

from __future__ import annotations

import time

from tests.netns.nodes import until
from tests.netns.rollouts import REPLICAS, rollouts

from .outcome import Figure, Options, Outcome

CASE = "rolling restarts"
RESTARTS, QUICK_RESTARTS = 100, 3
REQUESTS, CONNECTIONS = 500, 200  # a second


def run(options: Options) -> Outcome:
    if not options.wants(CASE):
        return Outcome([], [], [])
    restarts = QUICK_RESTARTS if options.quick else RESTARTS
    mistakes: list[str] = []
    with rollouts("bench-rollout") as cluster:
        began = time.monotonic()
        with cluster.load(REQUESTS, CONNECTIONS) as found:
            for _ in range(restarts):
                until(cluster.in_kernel, "the service to be calm")
                cluster.deployment.restart()
            until(cluster.in_kernel, "the service to be calm again")
        seconds = time.monotonic() - began
        if found["failed"]:
            mistakes += [str(found["kinds"]), *found["failures"], *cluster.agent.log.read_text().splitlines()[-40:]]
    figures = [
        Figure(CASE, "", "restarts", restarts),
        Figure(CASE, "", "pods replaced", restarts * REPLICAS),
        Figure(CASE, "", "requests", found["done"].get("requests", 0)),
        Figure(CASE, "", "connections", found["done"].get("connections", 0)),
        Figure(CASE, "", "failed", found["failed"]),
        Figure(CASE, "", "slowest", found["slowest"] * 1000, "ms"),
        Figure(CASE, "", "load behind", found["late"] * 1000, "ms"),
        Figure(CASE, "", "took", seconds, "s"),
    ]
    return Outcome(figures, mistakes, ["every request and connection is a new one; half of the requests are POSTs"])
