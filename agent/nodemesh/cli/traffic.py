"""What goes on now: `top`, `connections`, and where the live page is."""

from __future__ import annotations

import time
from typing import Any

import click

from .client import address_of, fetch
from .output import DEFAULT_ADMIN, Row, namespace_option, print_json, show_options
from .tables import again_and_again, table_of

#: Seconds between two looks of `--follow`.
PAUSE = 1.0


def milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


@click.command()
@click.option("--window", default=60, show_default=True, help="Seconds that are looked at.")
@click.option("--failing", is_flag=True, help="Only edges on which something fails.")
@namespace_option("Only what belongs to this namespace.")
@show_options
def top(window: int, failing: bool, **options: Any) -> None:
    """The calls between workloads and services: requests a second, failures and durations, the worst first."""

    def edges(found: Any) -> Any:
        rows = [edge for edge in found["edges"] if edge["errors"] or not failing]
        return sorted(rows, key=lambda edge: (-edge["failing"], -edge["rps"]))

    def rows(found: Any) -> list[Row]:
        return [
            [edge["source"].partition("/")[2], edge["target"].partition("/")[2], edge["protocol"], f"{edge['rps']:.1f}",
             f"{edge['failing'] * 100:.1f}", milliseconds(edge["p50_ms"]), milliseconds(edge["p99_ms"])]
            for edge in found
        ]  # fmt: skip

    columns = ["FROM", "TO", "PROTOCOL", "RPS", "FAIL %", "P50 MS", "P99 MS"]
    query = [("window", str(window)), ("namespace", options["namespace"])]
    nothing = "nothing failed in that time" if failing else "there was no traffic in that time"
    table_of("/graph", columns, rows, nothing, query, options, choose=edges)


def _cells(row: Any) -> Row:
    at = time.strftime("%H:%M:%S", time.localtime(row["started"]))
    asked = f"{row['method']} {row['authority']}{row['path']}" if row["method"] else f"{row['protocol']} {row['host']}"
    return [
        at, row["client"], asked, row["status"] or "-", row["flags"], row["upstream_host"], row["rule"],
        f"{row['duration_ms']:.1f}",
    ]  # fmt: skip


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--client", default="", metavar="NS/WORKLOAD", help="Only what this workload has asked.")
@click.option("--host", default="", metavar="HOST", help="Only what was asked of the service with this host.")
@click.option("--failed", is_flag=True, help="Only failures.")
@namespace_option("Only what this namespace's workloads have asked.")
@show_options
def connections(follow: bool, client: str, host: str, failed: bool, namespace: str, **options: Any) -> None:
    """The last requests and connections, newest first."""
    query = [("client", client), ("host", host), ("failed", "1" if failed else ""), ("namespace", namespace)]
    query = [(name, value) for name, value in query if value]
    if follow:
        _follow(options["admin"], query, options["form"])
        return
    columns = ["AT", "CLIENT", "REQUEST", "STATUS", "FLAGS", "UPSTREAM", "RULE", "MS"]
    if options["form"] == "json" and not query:
        print_json(fetch(options["admin"], "/connections"))
        return
    table_of(
        "/decisions",
        columns,
        lambda found: [_cells(row) for row in found],
        "there were no such requests" if query else "there were no requests yet",
        query,
        options,
    )


def _follow(admin: str, query: list[tuple[str, str]], form: str) -> None:
    """Print each request once, oldest first."""
    from .output import as_json

    seen: set[tuple[float, str, str]] = set()

    def show() -> None:
        nonlocal seen
        rows = fetch(admin, "/decisions", query)
        for row in reversed(rows):
            key = (row["started"], row["request_id"], row["client"])
            if key not in seen:
                click.echo(as_json(row) if form == "json" else "  ".join(str(cell) for cell in _cells(row)))
        seen = {(row["started"], row["request_id"], row["client"]) for row in rows}

    again_and_again(show, PAUSE)


@click.command()
@click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", show_default=True, help="The agent's API.")
def ui(admin: str) -> None:
    """Say where the live page is, and open it where there is a browser."""
    import os
    import webbrowser

    fetch(admin, "/healthz")
    url = f"http://{address_of(admin)}/"
    click.echo(url)
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)
