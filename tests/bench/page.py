"""`python -m tests.bench.page RUN.json …`: the pages of numbers, made of what runs wrote.

These are manifests/docs/numbers.md, and in manifests/docs/sizing.md the table of processor time (`processor.py`). What
they show of the runs is kept beside this file, so that a run of one suite renews its own numbers and no others. A test
holds the pages to what is kept."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from . import cluster_suite, fleet_suite, latency_suite, processor, rollout_suite
from .report import written
from .thresholds import CLUSTER, FLEET

KEPT = Path(__file__).with_name("numbers.json")
PAGE = Path(__file__).parents[2] / "manifests" / "docs" / "numbers.md"
SIZING = PAGE.with_name("sizing.md")

WIDTH = 120
SUBJECTS = {"nodemesh": "nodemesh", "envoy": "one Envoy", "two envoys": "two Envoys"}


class Number(NamedTuple):
    """A line of a section: what it says, and the figure that it shows, times `scale`, in `unit`."""

    what: str
    case: str
    subject: str
    name: str
    unit: str
    scale: float = 1.0


class Section(NamedTuple):
    """Numbers of one suite, and how they were measured."""

    title: str
    suite: str
    how: str
    numbers: tuple[Number, ...]


def of_cluster(what: str, name: str, unit: str) -> Number:
    return Number(what, f"{CLUSTER}: {name}", "", "value", unit)


SECTIONS = (
    Section(
        "A change's way to the data plane",
        "cluster",
        f"One agent with one worker follows an API server (the tests' own, over HTTP) with {CLUSTER}. A changed "
        "EndpointSlice is written; it has arrived when a request reaches the new endpoint. Medians of "
        f"{cluster_suite.CHANGES}.",
        (
            of_cluster("in a quiet cluster, median", "change to worker, quiet", "ms"),
            of_cluster(f"among {cluster_suite.CHURN} other changes a second, median", "change to worker, churn", "ms"),
            of_cluster("the longest of these", "change to worker, churn, longest", "ms"),
            of_cluster(
                f"among {cluster_suite.STORM:,} a second, median",
                f"change to worker, {cluster_suite.STORM:,} changes a second",
                "ms",
            ),
            of_cluster("processor for one change, all processes", "processor for a change", "ms"),
        ),
    ),
    Section(
        "Start and memory",
        "cluster",
        "The same agent: from its start to the first request that reaches the right endpoint, and what its control "
        "process has resident at the end.",
        (
            of_cluster("start to first answer", "start to first answer", "s"),
            of_cluster("control's memory", "memory of control", "MiB"),
        ),
    ),
    Section(
        "What a request takes",
        "latency",
        f"{latency_suite.RATE:,} requests a second that come whatever is under way (Poisson, the same for all), "
        "ten rules, access log, metrics. A request counts from when it was due. What is added is the difference to the "
        "same load straight to the pods, in the same round; medians of the rounds. Each proxy has one core; two Envoys "
        "stand in a row, as a request meets them in a mesh of sidecars, without TLS between them. Memory: proportional "
        "(PSS), all of its processes: of nodemesh once for a node, of an Envoy for every pod.",
        tuple(
            Number(f"{shown}: {what}", latency_suite.CASE, subject, name, unit, scale)
            for what, name, unit, scale in (
                ("added, median", "added p50", "ms", 1.0),
                ("added, 99th percentile", "added p99", "ms", 1.0),
                ("of a core for 1,000 requests/s", "cpu", "%", 0.1),
                ("memory", "memory", "MiB", 1.0),
            )
            for subject, shown in SUBJECTS.items()
        ),
    ),
    Section(
        "What a thousand nodes cost the API server",
        "fleet",
        f"{FLEET}; each agent follows Pods (metadata), Services and EndpointSlices. Without a relay: one agent, times "
        "a thousand. With one: a relay (`nodemesh relay`) and a thousand agents that speak the protocol, in processes "
        f"of their own; {fleet_suite.RATE} changed EndpointSlices a second. Then the relay is killed amid as many, and "
        "all go on at a second one, which has just started; at the end each agent is held against the API server.",
        (
            Number("watches, without a relay", FLEET, "without", "watches at the API server", ""),
            Number("watches, with one", FLEET, "by relay", "watches at the API server", ""),
            Number("bytes when all start, without", FLEET, "without", "cold start", "MiB"),
            Number("bytes when all start, with one", FLEET, "by relay", "cold start", "MiB"),
            Number("bytes that the relay sends them", FLEET, "by relay", "cold start of agents", "MiB"),
            Number("a change is with an agent after, median", FLEET, "by relay", "a change to all, median", "ms"),
            Number("after, 99th percentile", FLEET, "by relay", "a change to all, p99", "ms"),
            Number("processor of the relay for one change to all", FLEET, "by relay", "relay's CPU for a change", "ms"),
            Number("memory of the relay", FLEET, "by relay", "relay's memory", "MiB"),
            Number(
                "relay killed: a change is with all after", FLEET, "relay killed", "a change to all, worst", "s", 1e-3
            ),
        ),
    ),
    Section(
        "Rollouts",
        "rollout",
        f"{rollout_suite.RESTARTS} rolling restarts of three pods without preStop hooks, whose app ends at SIGTERM at "
        f"once, under {rollout_suite.REQUESTS} requests/s (half of them POST) and {rollout_suite.CONNECTIONS} new TCP "
        "connections/s. Deletion, SIGTERM 10 to 50 ms later and the EndpointSlice 0.1 to 1 s later, as a real cluster "
        "has them.",
        (
            Number("pods replaced", rollout_suite.CASE, "", "pods replaced", ""),
            Number("requests", rollout_suite.CASE, "", "requests", ""),
            Number("TCP connections", rollout_suite.CASE, "", "connections", ""),
            Number("failed", rollout_suite.CASE, "", "failed", ""),
        ),
    ),
)

HEAD = """\
# Numbers

What a platform team asks for, each with how it was measured. The page is made by `python -m tests.bench.page` of what
the suites wrote; the same commands measure your machine:

    python -m tests.bench {suites} --json run.json
    python -m tests.bench.page run.json

A small virtual machine of two cores, shared with others: figures of one machine hold for orders of magnitude and for
what stands side by side.
"""


def kept_of(runs: Iterable[dict[str, Any]], before: dict[str, Any]) -> dict[str, Any]:
    """What the pages show, by suite: of the newest run that has it."""
    found = dict(before)
    for run in runs:
        for suite, outcome in run["suites"].items():
            numbers = [number for section in SECTIONS if section.suite == suite for number in section.numbers]
            wanted = {(number.case, number.subject, number.name) for number in numbers} | processor.wanted(suite)
            figures = [f for f in outcome["figures"] if (f["case"], f["subject"], f["name"]) in wanted]
            if figures:
                found[suite] = {
                    "finished": run["finished"][:10],
                    "machine": run["machine"],
                    "notes": outcome["notes"],
                    "figures": figures,
                }
    return found


def rendered(kept: dict[str, Any]) -> str:
    """The page."""
    suites = dict.fromkeys(section.suite for section in SECTIONS)
    parts = [HEAD.format(suites=" ".join(f"--suite {suite}" for suite in suites))]
    for section in SECTIONS:
        run = kept.get(section.suite)
        if run is None:
            continue
        values = {(f["case"], f["subject"], f["name"]): f["value"] for f in run["figures"]}
        rows = []
        for number in section.numbers:
            value = values.get((number.case, number.subject, number.name))
            if value is not None:
                rows.append(f"| {number.what} | {shown(value * number.scale, number.unit)} |")
        machine = run["machine"]
        of = f"{run['finished']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}."
        notes = "".join(f" {note[0].upper()}{note[1:]}." for note in run["notes"])
        parts += [f"\n## {section.title}\n\n", wrapped(section.how), "\n\n| | |\n|---|---|\n", "\n".join(rows), "\n\n"]
        parts += [wrapped(f"Suite `{section.suite}`, {of}{notes}"), "\n"]
    return "".join(parts)


def missing(kept: dict[str, Any]) -> list[str]:
    """The lines that the page has no figure for, each as `suite: section: line`."""
    found = []
    for section in SECTIONS:
        values = {(f["case"], f["subject"], f["name"]) for f in kept.get(section.suite, {}).get("figures", ())}
        found += [
            f"{section.suite}: {section.title}: {number.what}"
            for number in section.numbers
            if (number.case, number.subject, number.name) not in values
        ]
    return found


def wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def shown(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if not unit else written(value)
    return f"{text} {unit}".rstrip()


def main(paths: list[str]) -> None:
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for path in paths:
        run = json.loads(Path(path).read_text())
        if not kept_of([run], {}):
            sys.exit(
                f"{path} has no number of the page: its suites are {', '.join(run['suites'])}, and --quick counts not"
            )
        kept = kept_of([run], kept)
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    PAGE.write_text(rendered(kept))
    for line in missing(kept):
        print(f"not measured: {line}", file=sys.stderr)
    SIZING.write_text(processor.placed(SIZING.read_text(), processor.rendered(kept, wrapped)))


if __name__ == "__main__":
    main(sys.argv[1:])
