"""The processor's part of the sizing page (manifests/docs/sizing.md), made of what runs of `http` and `relay` wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from . import relay_suite
from .cases import CASES
from .envoy import Envoy
from .nodemesh import Nodemesh

BEGIN, END = "<!-- made by tests/bench/page.py -->\n", "<!-- end -->\n"
SIDES = (Nodemesh.name, Envoy.name)
BODIES = {"/small": "small answers", "/10k": "10 kB answers", "/1m": "1 MB answers"}


class Row(NamedTuple):
    """One figure of both sides, in microseconds of processor for one of what is counted."""

    what: str
    suite: str
    case: str
    name: str


ROWS = (
    *(Row(f"{BODIES[case.path]} on {case.connections} kept connections", "http", case.name, "cpu") for case in CASES),
    *(
        Row(what, "relay", case, "CPU µs each")
        for what, case in (
            ("a TCP connection for one question", relay_suite.SHORT),
            ("the same with a TLS handshake (P-256)", relay_suite.HANDSHAKES),
            ("the same, its session resumed", relay_suite.RESUMED),
        )
    ),
)


def wanted(suite: str) -> set[tuple[str, str, str]]:
    """The figures of a suite that the table shows: case, subject and name."""
    return {(row.case, subject, row.name) for row in ROWS if row.suite == suite for subject in SIDES}


def rendered(kept: dict[str, Any], wrapped: Callable[[str], str]) -> str:
    """The table of what is kept, with how and where it was measured; nothing before the first run."""
    lines = [
        "| through the proxy | CPU each | of a core per 1,000/s | Envoy with Istio's filters, same rounds |",
        "|---|---|---|---|",
    ]
    for row in ROWS:
        values = {(f["case"], f["subject"], f["name"]): f["value"] for f in kept.get(row.suite, {}).get("figures", ())}
        own = values.get((row.case, Nodemesh.name, row.name))
        if own is not None:
            beside = values.get((row.case, Envoy.name, row.name))
            shown = f"{beside:,.0f} µs" if beside is not None else ""
            lines.append(f"| {row.what} | {own:,.0f} µs | {own / 1000:.2g} | {shown} |")
    said = [
        f"Suite `{suite}`, {run['finished']}, {run['machine']['cores']} cores, Linux {run['machine']['kernel']}, "
        f"Python {run['machine']['python']}." + "".join(f" {note[0].upper()}{note[1:]}." for note in run["notes"])
        for suite in dict.fromkeys(row.suite for row in ROWS)
        if (run := kept.get(suite)) is not None
    ]
    return "\n".join(lines) + "\n\n" + "\n\n".join(map(wrapped, said)) + "\n" if said else ""


def placed(page: str, table: str) -> str:
    """The page with this table between its marks."""
    return re.sub(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _found: BEGIN + table + END, page, count=1, flags=re.DOTALL
    )
