"""What goes on now: `top`, `connections`, and where the live page is."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import click

from ..config.printable import printable
from .client import address_of, fetch
from .layout import Columns, below, minor
from .output import Row, as_json, namespace_option
from .reach import agent_options
from .tables import again_and_again, everywhere, show_answer, show_options, table_of

#: Seconds between two looks of `--follow`, and how many requests one shows at most.
PAUSE = 1.0
MOST = 256


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

    columns: Columns = ["FROM", "TO", minor("PROTOCOL"), "RPS", "FAIL %", "P50 MS", "P99 MS"]
    query = [("window", str(window)), ("namespace", options["namespace"]), *everywhere(options)]
    nothing = "nothing failed in that time" if failing else "there was no traffic in that time"
    table_of("/graph", columns, rows, nothing, query, options, choose=edges)


def _cells(row: Any) -> Row:
    at = time.strftime("%H:%M:%S", time.localtime(row["started"]))
    asked = f"{row['method']} {row['authority']}{row['path']}" if row["method"] else f"{row['protocol']} {row['host']}"
    return [
        at, row["client"], asked, row["status"] or "-", row["flags"].strip("-"), row["upstream_host"], row["rule"],
        f"{row['duration_ms']:.1f}", *([row["node"]] if row["node"] else []),
    ]  # fmt: skip


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--client", default="", metavar="NS/NAME", help="Only what this workload or pod has asked.")
@click.option("--host", default="", metavar="HOST", help="Only what was asked of this service (reviews, reviews.shop).")
@click.option("--status", default="", metavar="503|5xx", help="Only answers with this status, or of this class.")
@click.option("--path", default="", metavar="PREFIX", help="Only requests for paths that begin like this.")
@click.option("--failed", is_flag=True, help="Only failures.")
@namespace_option("Only what this namespace's workloads have asked.")
@show_options
def connections(follow: bool, failed: bool, **options: Any) -> None:
    """The last requests and connections, newest first."""
    query = [(name, options[name]) for name in ("client", "host", "status", "path", "namespace") if options[name]]
    query += [("failed", "1")] * failed
    chosen = bool(query)
    query += everywhere(options)
    if follow:
        _follow(options["admin"], query, options["form"])
        return
    if options["form"] == "json" and not query:
        show_answer(lambda: fetch(options["admin"], "/connections"), options, lambda *_: None)
        return
    columns: Columns = ["AT", "CLIENT", "REQUEST", "STATUS", "FLAGS", below("UPSTREAM"), below("RULE"), "MS"]
    columns = [*columns, "NODE"] if options["everywhere"] else columns
    table_of(
        "/decisions",
        columns,
        lambda found: [_cells(row) for row in found],
        "there were no such requests" if chosen else "there were no requests yet",
        query,
        options,
    )


def _follow(admin: str, query: list[tuple[str, str]], form: str) -> None:
    """Print each request once, oldest first."""
    seen: set[tuple[float, str, str]] = set()

    def show() -> None:
        nonlocal seen
        rows = fetch(admin, "/decisions", query)
        keys = [(row["started"], row["request_id"], row["client"]) for row in rows]
        if seen and keys and seen.isdisjoint(keys) and len(keys) >= MOST:
            click.echo(f"(more than {MOST} came since the last look; some are not shown)", err=True)
        for row, key in zip(reversed(rows), reversed(keys), strict=True):
            if key not in seen:
                cells = (printable(cell) for cell in _cells(row))
                click.echo(as_json(row) if form == "json" else "  ".join(cell for cell in cells if cell))
        seen = set(keys) or seen

    again_and_again(show, PAUSE)


@click.command()
@agent_options
def ui(admin: str, everywhere: bool) -> None:
    """Say where the live page is, and open it where there is a browser; of a cluster, serve it until Ctrl-C."""
    import os
    import webbrowser

    fetch(admin, "/healthz")
    url = f"http://{address_of(admin)}/"
    click.echo(url)
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)
    if admin != click.get_current_context().params["admin"]:  # it is carried by this process
        click.echo("until Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
