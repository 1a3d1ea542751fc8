"""What a running node says: status, services, pods, graph."""

from __future__ import annotations

import textwrap
import time
from typing import Any, Final

import click

from ..config.printable import printable
from .client import fetch
from .layout import Columns, below, in_bytes, minor
from .output import UNFIT, Row, namespace_option, plural, print_table, terminal_width
from .tables import everywhere, show_answer, show_options, table_of

#: Causes of the newest tables that `status` names.
CAUSES = 3

#: Seconds before a certificate's end in which `status` speaks of it: thirty days.
SOON = 30 * 86400.0


#: Of durations, in seconds.
UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def _ago(seconds: float) -> str:
    """Since a time, in its biggest unit and the next one: `4d2h`, `3m20s`, `4d`; empty for never."""
    if not seconds:
        return ""
    left = int(max(0.0, time.time() - seconds))
    first = next((index for index, (size, _) in enumerate(UNITS) if left >= size), len(UNITS) - 1)
    words: list[str] = []
    for size, unit in UNITS[first : first + 2]:
        if left >= size or not words:
            words.append(f"{left // size}{unit}")
        left %= size
    return "".join(words)


def _until(end: float | None) -> str:
    """How long until then, as `_ago`."""
    if end is None:
        return ""
    return _ago(2 * time.time() - end) if end > time.time() else "the past"


def _ends_soon(end: float | None) -> bool:
    return end is not None and end < time.time() + SOON


def _causes(causes: list[str]) -> str:
    """Some of them; `nodemesh history` has more."""
    more = len(causes) - CAUSES
    return "; ".join(causes[:CAUSES] + [f"{more} more"] * (more > 0)) or "-"


def _rollout(row: Any) -> str:
    """How a staged change stands, with this node's canaries."""
    since = f" since {_ago(row['since'])}" if row["since"] else ""
    why = f", {row['why']}" if row["why"] else ""
    here = f"; {row['failures_here']} of {row['requests_here']} requests failed here" if row["requests_here"] else ""
    step = f", {row['step']}" if row["step"] != "changed" else ""
    return f"{row['object']}{step}: {row['phase']}{since}{why}{here}"


@click.command()
@show_options
def status(**options: Any) -> None:
    """Whether the node serves, and with what; of a whole cluster, how its agents are."""
    if options["everywhere"]:
        columns: Columns = [
            "NODE", "READY", minor("VERSION"), "UP", "TABLES", "SINCE", "PODS", "ERRORS", "WARNINGS", below("BECAUSE")
        ]  # fmt: skip
        table_of("/agents", columns, _agents, "no agent is known", [], options)
    else:
        show_answer(lambda: fetch(options["admin"], "/status"), options, lambda found, wide, _: _status(found, wide))


def _agents(found: Any) -> list[Row]:
    return [
        [row["node"], "?" if row["error"] else "yes" if row["ready"] else "no", row["version"], _ago(row["started"]),
         row["tables"], _ago(row["changed"]), f"{row['enrolled']}/{row['pods']}", row["errors"], row["warnings"],
         row["error"] or "; ".join((*row["missing"], *([row["refused"]] if row["refused"] else ())))]
        for row in found
    ]  # fmt: skip


def _status(found: Any, wide: bool) -> None:
    lines = [
        ("ready", "yes" if found["ready"] else "no: " + "; ".join(found["missing"])),
        ("node", found["node"]),
        ("running for", _ago(found["started"])),
        ("tables", f"version {found['tables']['version']}: {_causes(found['tables']['causes'])}"),
        ("config", ", ".join(plural(found["config"][each], each[:-1]) for each in ("errors", "warnings"))),
        ("eBPF", found["ebpf"] + (f", self-test {found['self_test']}" if found["self_test"] else "")),
        ("sockmap", found["sockmap"]),
        ("pods", f"{found['pods']['enrolled']} enrolled, {found['pods']['not_enrolled']} not"),
        *(("cannot be served", line) for line in found.get("pods_not_served", ())),
        ("DNS", f"of {found['dns']['pods']} pods; dnsCapture is {'on' if found['dns']['capture'] else 'off'}"),
    ]
    lines += [("rollout", _rollout(row)) for row in found["rollouts"]]
    if found["config"]["error"]:
        lines.append(("config NOT in force", found["config"]["error"]))
    for row in found["certificates"]:
        why = row["error"] or (f"ends in {_until(row['ends'])}" if _ends_soon(row["ends"]) else "")
        if why:
            lines.append(("certificates", f"{row['used_by']}, {row['field']} ({row['at']}): {why}"))
    for what, names in found["kernel"].items():
        if names:
            lines.append((what.replace("_", " "), ", ".join(names)))
    if (found["cluster"] or {}).get("lost_since"):
        lost = found["cluster"]
        lines.append(("API server", f"does not answer, for {_ago(lost['lost_since'])}: {lost['lost_why']}"))
    for network, why in ((found["cluster"] or {}).get("out_of_reach") or {}).items():
        lines.append((f"network {network}", why))
    for name, value in lines:
        click.echo(_fact(name, printable(value)))
    click.echo()
    rows = [
        [worker["number"], worker["pid"], worker["applied"], worker["restarts"], worker["error"]]
        for worker in found["workers"]
    ]
    print_table(["WORKER", "PID", "TABLES", "RESTARTS", below("ERROR")], rows, "no worker is connected", wide)
    if wide and found["certificates"]:
        click.echo()
        rows = [
            [row["used_by"], row["field"], ", ".join((*row["secrets"], *row["files"])), _until(row["ends"]),
             row["error"]]
            for row in found["certificates"]
        ]  # fmt: skip
        print_table(["CERTIFICATES USED BY", "FIELD", "FROM", "END IN", "ERROR"], rows, "", wide)
    cluster = found["cluster"] or {}
    if cluster.get("remotes"):
        click.echo()
        rows = [[row["name"], row["state"], row["services"], row["origin"], row["error"]] for row in cluster["remotes"]]
        print_table(["CLUSTER", "STATE", "SERVICES", below("BY"), below("ERROR")], rows, "", wide)
    rows = [[row["destination"], row["address"], row["client"]] for row in found["listeners"] if row["address"]]
    if rows:
        click.echo()
        print_table(["EXPOSED", "AT", "AS"], rows, "", wide)


def _fact(name: str, value: str) -> str:
    """On a terminal, long values go on below where they begin."""
    line, width = f"{name + ':':<20} {value}", terminal_width()
    return textwrap.fill(line, max(width, 60), subsequent_indent=" " * 21, break_long_words=False) if width else line


def _upstream(port: Any) -> str:
    """The HTTP that requests go upstream in, and the word why."""
    return f"{port['upstream_http']} ({port['http_reason']})" if port["upstream_http"] else ""


def _bypassed(port: Any) -> list[str]:
    """Connections that the port's HTTP rules could not be applied to."""
    counts = port["http_rules_bypassed"].items()
    return [f"its HTTP rules were not applied to {count} connections of {spoken}" for spoken, count in counts]


@click.command()
@namespace_option("Only services of this namespace.")
@show_options
def services(namespace: str, **options: Any) -> None:
    """The services with their ports, which way connections take, and what the kernel sent to which endpoint."""

    def choose(found: Any) -> Any:
        return [service for service in found if namespace in ("", service["namespace"])]

    show_answer(lambda: fetch(options["admin"], "/services"), options, _services, choose)


def _services(found: Any, wide: bool, chosen: bool) -> None:
    ports = [(service["host"], port) for service in found for port in service["ports"]]
    rows: list[Row] = [
        [
            host, port["port"], port["protocol"], f"{port['ready']}/{port['endpoints']}", _upstream(port),
            port["mode"], "; ".join((port["mode_reason"], *_bypassed(port))),
        ]
        for host, port in ports
    ]  # fmt: skip
    columns: Columns = ["SERVICE", "PORT", "PROTOCOL", "READY", minor("UPSTREAM"), "MODE", below("BECAUSE")]
    print_table(columns, rows, UNFIT if chosen else "there are no services", wide)
    rows = [
        [
            host, port["port"], f"{end['address']}:{end['port']}", end["opened"],
            max(0, end["opened"] - end["closed"] - end["failed"]), end["failed"],
            in_bytes(end["sent"]), in_bytes(end["received"]),
        ]
        for host, port in ports
        for end in port["kernel_endpoints"]
    ]  # fmt: skip
    if rows:
        click.echo()
        ends: Columns = [
            "SERVICE", "PORT", "KERNEL ENDPOINT", "OPENED", "OPEN", "FAILED", minor("SENT"), minor("RECEIVED")
        ]  # fmt: skip
        print_table(ends, rows, "", wide)


@click.command()
@namespace_option("Only pods of this namespace.")
@show_options
def pods(namespace: str, **options: Any) -> None:
    """The pods of this node, or of all: enrolled, or exactly why not."""

    def rows(found: Any) -> list[Row]:
        return [
            [f"{row['namespace']}/{row['name']}", ",".join(row["addresses"]),
             "yes" if row["enrolled"] else "no", "yes" if row["dns"] else "no", _ago(row["since"]),
             row["why_not"] or row["dns_why_not"],
             " ".join(f"{name}={value}" for name, value in row["capture"].items()),
             f"{row['without_rules']:.1f}s" if row["without_rules"] is not None else "",
             *([row["node"]] if options["everywhere"] else [])]
            for row in found
        ]  # fmt: skip

    columns: Columns = [
        "POD", below("ADDRESSES"), "ENROLLED", minor("DNS"), "SINCE", below("WHY NOT"), below("CAPTURE"),
        below("RAN WITHOUT RULES"), *(["NODE"] if options["everywhere"] else []),
    ]  # fmt: skip

    def choose(found: Any) -> Any:
        return [row for row in found if namespace in ("", row["namespace"])]

    nothing = "there are no pods" if options["everywhere"] else "this node has no pods"
    table_of("/pods", columns, rows, nothing, everywhere(options), options, choose)


def _end(identifier: str) -> str:
    """Services are marked, for workloads often have their names."""
    kind, _, name = identifier.partition("/")
    return f"svc/{name}" if kind == "service" else name


@click.command()
@namespace_option("Only calls with an end in this namespace.")
@show_options
def graph(namespace: str, **options: Any) -> None:
    """The calls between workloads and services since the agent began to count, of a cluster in the last quarter of an
    hour; `top` has those of now."""

    def choose(found: Any) -> Any:
        ends = {node["id"]: node["namespace"] for node in found["nodes"]}
        edges = [edge for edge in found["edges"]
                 if namespace in ("", ends[edge["source"]], ends[edge["target"]])]  # fmt: skip
        named = {end for edge in edges for end in (edge["source"], edge["target"])}
        return {"nodes": [node for node in found["nodes"] if not namespace or node["id"] in named], "edges": edges}

    def rows(found: Any) -> list[Row]:
        return [
            [_end(edge["source"]), _end(edge["target"]), edge["protocol"], edge["requests"], edge["errors"],
             edge["p50_ms"] or "", edge["p99_ms"] or ""]
            for edge in found["edges"]
        ]  # fmt: skip

    columns: Columns = ["FROM", "TO", "PROTOCOL", "REQUESTS", "ERRORS", minor("P50 MS"), minor("P99 MS")]
    query = [("window", "900"), *everywhere(options)] if options["everywhere"] else []
    table_of("/graph", columns, rows, "there was no traffic yet", query, options, choose)
