"""What a running node says: status, services, pods, graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from .client import fetch
from .output import DEFAULT_ADMIN, Command, format_option, plural, print_json, print_table

#: Causes of the newest tables that `status` names.
CAUSES = 3


def _options(command: Command) -> Command:
    admin = click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", show_default=True, help="The agent's API.")
    return format_option("text", "json")(admin(command))


def _ago(seconds: float) -> str:
    return f"{max(0.0, time.time() - seconds):.0f}s" if seconds else ""


def _show(
    admin: str, form: str, path: str, columns: list[str], rows: Callable[[Any], list[list[object]]], empty: str
) -> None:
    found = fetch(admin, path)
    if form == "json":
        print_json(found)
    else:
        print_table(columns, rows(found), empty)


def _causes(causes: list[str]) -> str:
    """Some of them; `nodemesh history` has more."""
    more = len(causes) - CAUSES
    return "; ".join(causes[:CAUSES] + [f"{more} more"] * (more > 0)) or "-"


def _rollout(row: Any) -> str:
    """How a staged change stands, with this node's canaries."""
    since = f" since {_ago(row['since'])}" if row["since"] else ""
    why = f", {row['why']}" if row["why"] else ""
    here = f"; {row['failures_here']} of {row['requests_here']} requests failed here" if row["requests_here"] else ""
    return f"{row['object']}: {row['phase']}{since}{why}{here}"


@click.command()
@_options
def status(admin: str, form: str) -> None:
    """Whether the node serves, and with what."""
    found = fetch(admin, "/status")
    if form == "json":
        print_json(found)
        return
    lines = [
        ("ready", "yes" if found["ready"] else "no: " + "; ".join(found["missing"])),
        ("node", found["node"]),
        ("running for", _ago(found["started"])),
        ("tables", f"version {found['tables']['version']}, changed by {_causes(found['tables']['causes'])}"),
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
        if row["error"]:
            lines.append(("certificates", f"{row['used_by']}, {row['field']} ({row['at']}): {row['error']}"))
    for what, names in found["kernel"].items():
        if names:
            lines.append((what.replace("_", " "), ", ".join(names)))
    if (found["cluster"] or {}).get("lost_since"):
        lost = found["cluster"]
        lines.append(("API server", f"does not answer, for {_ago(lost['lost_since'])}: {lost['lost_why']}"))
    for network, why in ((found["cluster"] or {}).get("out_of_reach") or {}).items():
        lines.append((f"network {network}", why))
    for name, value in lines:
        click.echo(f"{name + ':':<20} {value}")
    rows = [
        [worker["number"], worker["pid"], worker["applied"], worker["restarts"], worker["error"]]
        for worker in found["workers"]
    ]
    print_table(["WORKER", "PID", "TABLES", "RESTARTS", "ERROR"], rows, "no worker is connected")
    cluster = found["cluster"] or {}
    if cluster.get("remotes"):
        rows = [[row["name"], row["state"], row["services"], row["origin"], row["error"]] for row in cluster["remotes"]]
        print_table(["CLUSTER", "STATE", "SERVICES", "BY", "ERROR"], rows, "")
    rows = [[row["destination"], row["address"], row["client"]] for row in found["listeners"] if row["address"]]
    if rows:
        print_table(["EXPOSED", "AT", "AS"], rows, "")


def _upstream(port: Any) -> str:
    """The HTTP that requests go upstream in, and the word why."""
    return f"{port['upstream_http']} ({port['http_reason']})" if port["upstream_http"] else ""


def _bypassed(port: Any) -> list[str]:
    """Connections that the port's HTTP rules could not be applied to."""
    counts = port["http_rules_bypassed"].items()
    return [f"its HTTP rules were not applied to {count} connections of {spoken}" for spoken, count in counts]


@click.command()
@_options
def services(admin: str, form: str) -> None:
    """The services with their ports, which way connections take, and what the kernel sent to which endpoint."""
    found = fetch(admin, "/services")
    if form == "json":
        print_json(found)
        return
    ports = [(service["host"], port) for service in found for port in service["ports"]]
    rows = [
        [
            host, port["port"], port["protocol"], f"{port['ready']}/{port['endpoints']}", _upstream(port),
            port["mode"], "; ".join((port["mode_reason"], *_bypassed(port))),
        ]
        for host, port in ports
    ]  # fmt: skip
    columns = ["SERVICE", "PORT", "PROTOCOL", "READY", "UPSTREAM", "MODE", "BECAUSE"]
    print_table(columns, rows, "there are no services")
    rows = [
        [
            host, port["port"], f"{end['address']}:{end['port']}", end["opened"],
            max(0, end["opened"] - end["closed"] - end["failed"]), end["failed"], end["sent"], end["received"],
        ]
        for host, port in ports
        for end in port["kernel_endpoints"]
    ]  # fmt: skip
    if rows:
        columns = ["SERVICE", "PORT", "ENDPOINT IN KERNEL MODE", "OPENED", "OPEN", "FAILED", "SENT", "RECEIVED"]
        print_table(columns, rows, "")


@click.command()
@_options
def pods(admin: str, form: str) -> None:
    """The pods of this node: enrolled, or exactly why not."""

    def rows(found: Any) -> list[list[object]]:
        return [
            [f"{row['namespace']}/{row['name']}", ",".join(row["addresses"]), "yes" if row["enrolled"] else "no",
             "yes" if row["dns"] else "no", row["why_not"] or row["dns_why_not"],
             " ".join(f"{name}={value}" for name, value in row["capture"].items()), _ago(row["since"]),
             f"{row['without_rules']:.1f}s" if row["without_rules"] is not None else ""]
            for row in found
        ]  # fmt: skip

    columns = ["POD", "ADDRESSES", "ENROLLED", "DNS", "WHY NOT", "CAPTURE", "SINCE", "BEFORE WITHOUT RULES"]
    _show(admin, form, "/pods", columns, rows, "this node has no pods")


@click.command()
@_options
def graph(admin: str, form: str) -> None:
    """The calls between workloads and services."""

    def rows(found: Any) -> list[list[object]]:
        return [
            [edge["source"], edge["target"], edge["protocol"], edge["requests"], edge["errors"], edge["p50_ms"] or "",
             edge["p99_ms"] or ""]
            for edge in found["edges"]
        ]  # fmt: skip

    columns = ["FROM", "TO", "PROTOCOL", "REQUESTS", "ERRORS", "P50 MS", "P99 MS"]
    _show(admin, form, "/graph", columns, rows, "there was no traffic yet")
