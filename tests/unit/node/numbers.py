"""What an agent may know when it is scraped."""

import os

import msgspec

from nodemesh.node.metrics import GroupGauges, Numbers
from nodemesh.reasons import Reason
from nodemesh.registry.assemble import ObjectKey
from nodemesh.telemetry.histogram import Histogram
from nodemesh.telemetry.names import Names
from nodemesh.telemetry.totals import Gone

NUMBERS = Numbers(
    ready=True,
    version=7,
    errors=1,
    warnings=2,
    broken=True,
    reloads={"ok": 3, "failed": 1},
    pids={"control": os.getpid(), "worker-0": 0},
    restarts={"control": 0, "worker-0": 4},
    connected=1,
    pods={"enrolled": 2, "not_enrolled": 1},
    log_lines_lost=9,
    kernel={("connect4", "REDIRECTED"): 5},
    pods_dns=2,
    bypasses={("web.default.svc.cluster.local", 80, "tls"): 3},
    names=Names(answered=6, forwarded=5, refused=4, malformed=3, timeouts=2, unreachable=1),
)

FULL = msgspec.structs.replace(
    NUMBERS,
    reasons={int(Reason.UPSTREAM_OVERFLOW): 3},
    retries=5,
    shadow=(20, 4),
    open={"0": 7.0},
    lag={"0": 0.25},
    upstreams=[GroupGauges("reviews:80", "v1", 2, 1, 0, 1)],
    maps={"services": (3, 100)},
    expiry=[(ObjectKey("Gateway", "default", "g"), "spec.servers[0].tls", 1e9)],
    findings={("error", "no-host"): 2},
    propagation=Histogram([1] + [0] * 19, 0.25),
    gone=Gone(series=4, requests=40, connections=2, folded=9),
    series={"http": 8, "tcp": 1},
)
