"""The suites by name. A suite is a function from Options to an Outcome; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from . import (
    cluster_suite,
    codec_suite,
    datapath_suite,
    exchange_suite,
    fairness_suite,
    fleet_suite,
    http2_suite,
    http_suite,
    instructions_suite,
    latency_suite,
    overhead_suite,
    relay_suite,
    rollout_suite,
    scrape_suite,
    shadow_suite,
    soak_suite,
    tables_suite,
    work_suite,
)
from .outcome import Options, Outcome

SUITES: dict[str, Callable[[Options], Outcome]] = {
    "http": http_suite.run,
    "http2": http2_suite.run,
    "latency": latency_suite.run,
    "overhead": overhead_suite.run,
    "relay": relay_suite.run,
    "fairness": fairness_suite.run,
    "exchange": exchange_suite.run,
    "shadow": shadow_suite.run,
    "codec": codec_suite.run,
    "instructions": instructions_suite.run,
    "work": work_suite.run,
    "tables": tables_suite.run,
    "cluster": cluster_suite.run,
    "datapath": datapath_suite.run,
    "scrape": scrape_suite.run,
    "rollout": rollout_suite.run,
    "fleet": fleet_suite.run,
    "soak": soak_suite.run,
}

#: What runs unless suites are named: all that measure; what takes many minutes only when asked for.
STANDARD = tuple(name for name in SUITES if name not in ("soak", "rollout"))
