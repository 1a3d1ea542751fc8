"""`nodemesh describe`: all that is about one service or pod, both ways."""

from __future__ import annotations

import time
from difflib import get_close_matches
from typing import Any

import click

from ..config.printable import printable
from .client import fetch
from .layout import DOMAIN, wrapped
from .output import CommandError, terminal_width
from .tables import everywhere, show_answer, show_options

Query = list[tuple[str, str]]

#: Kinds of failures that are shown.
FAILURES = 5


@click.command()
@click.argument("what", metavar="SERVICE|NS/POD")
@click.option("-n", "--namespace", default="", help="The namespace of a name without one.")
@show_options
def describe(what: str, namespace: str, **options: Any) -> None:
    """Say what the mesh does with a service (reviews, reviews.shop) or a pod (shop/reviews-v1-x)."""
    admin, query = options["admin"], everywhere(options)

    def ask() -> dict[str, list[str]]:
        return _pod(admin, what, query) if "/" in what else _service(admin, what, namespace, query)

    show_answer(ask, options, lambda found, _wide, _chosen: _print(found))


def _print(found: dict[str, list[str]]) -> None:
    """On a terminal, long lines go on below, further in."""
    width = terminal_width()
    for title, lines in found.items():
        if lines:
            click.echo(f"{title.replace('_', ' ')}:")
        for line in lines:
            text = printable(line)
            if width:
                text = text.replace(DOMAIN, "")
            click.echo(wrapped(text, "  ", width) if width else f"  {text}")


def _service(admin: str, what: str, namespace: str, query: Query) -> dict[str, list[str]]:
    wanted = what if "." in what else f"{what}.{namespace or 'default'}"
    services = [
        row for row in fetch(admin, "/services") if row["host"] == wanted or row["host"].startswith(f"{wanted}.")
    ]
    if not services:
        hosts = [row["host"].removesuffix(DOMAIN) for row in fetch(admin, "/services")]
        namesakes = [host for host in hosts if host.split(".")[0] == what.split(".")[0]]
        near = namesakes or get_close_matches(wanted.removesuffix(DOMAIN), hosts, 1)
        raise CommandError(f"there is no service {wanted}" + (f"; did you mean {near[0]}?" if near else ""))
    service = services[0]
    host, home = service["host"], service["namespace"]
    clusters = [row for row in fetch(admin, "/clusters", [("as", home)]) if row["host"] == host]
    routes = [row for row in fetch(admin, "/routes", [("as", home)]) if row["host"] == host]
    edges = fetch(admin, "/graph", [("window", "60"), *query])["edges"]
    own = f"service/{home}/{host.split('.')[0]}"
    rules = {row["destination_rule"] for row in clusters if row["destination_rule"]}
    endpoints = [row for row in fetch(admin, "/endpoints") if row["service"] == host]
    names = {(home, host.split(".")[0])} | {tuple(row["virtual_service"].split("/")) for row in routes}
    return {
        "service": [f"{host} ({service['kind']} in {home}, {service['location']})"],
        "ports": [
            f"{port['port']} {port['name']} {port['protocol']}: {port['mode']}, since {port['mode_reason']}"
            for port in service["ports"]
        ],
        "destination_rule": sorted(rules),
        "clusters": [
            f"{row['subset'] or 'all'}: {row['ready']}/{row['endpoints']} ready, {row['balancing']}" for row in clusters
        ],
        "rules": [_rule(row) for row in routes],
        "endpoints": [f"{row['address']}:{row['target_port']} {row['workload']} {_state(row)}" for row in endpoints],
        "asked": [_edge("by", edge["source"], edge) for edge in edges if edge["host"] == host],
        "asks": [_edge("for", edge["target"], edge) for edge in edges if edge["source"] == own],
        "problems": _problems(admin, names),
        "last_failures": _failures(admin, [("host", host), *query]),
    }


def _pod(admin: str, what: str, query: Query) -> dict[str, list[str]]:
    namespace, _, name = what.partition("/")
    pods = [row for row in fetch(admin, "/pods", query) if (row["namespace"], row["name"]) == (namespace, name)]
    modes = fetch(admin, "/listeners", [("as", what)])
    home = [f"{what}: " + (pods[0]["why_not"] or "in the mesh") if pods else f"{what} is no pod of this node"]
    behind = [row for row in fetch(admin, "/endpoints", [("as", what)]) if row["workload"] == what]
    clusters = {row["cluster"] for row in behind}
    leading = [row for row in fetch(admin, "/routes", [("as", namespace)]) if clusters & set(row["clusters"])]
    return {
        "pod": home,
        "stands_behind": [
            f"{row['service']}:{row['port']} {row['subset'] or 'all'}, at {row['address']}:{row['target_port']}: "
            + _state(row)
            for row in behind
        ],
        "rules_that_lead_to_it": [_rule(row) for row in leading],
        "sees": [
            f"{row['host']}:{row['port']} {row['protocol']}: {row['mode']}, since {row['mode_reason']}" for row in modes
        ],
        "problems": _problems(admin, {(namespace, name)}),
        "last_failures": _failures(admin, [("client", what), *query]),
    }


def _state(row: dict[str, Any]) -> str:
    return f"ejected {row['ejected_for']:.0f}s ago" if row["ejected_for"] is not None else str(row["health"])


def _rule(row: dict[str, Any]) -> str:
    parts = [
        row["virtual_service"],
        row["rule"],
        row["name"],
        f"({row['when']})" if row["when"] else "",
    ]
    leads_to = ", ".join(row["clusters"]) or row["does"]
    return f"{' '.join(part for part in parts if part)} -> {leads_to} {row['location']}".rstrip()


def _edge(way: str, end: str, edge: dict[str, Any]) -> str:
    return f"{way} {end.partition('/')[2]}: {edge['rps']:.1f}/s, {edge['failing'] * 100:.1f} % fail"


def _problems(admin: str, names: set[tuple[str, ...]]) -> list[str]:
    return [
        f"{row['severity']}: {row['message']} ({row['file']}:{row['line']})"
        for row in fetch(admin, "/config/problems")
        if (row["namespace"], row["name"]) in names
    ]


def _failures(admin: str, query: list[tuple[str, str]]) -> list[str]:
    """The newest failures, those that look the same as one: when it was last, and how often."""
    found: dict[str, list[float]] = {}
    for record in fetch(admin, "/decisions", [*query, ("failed", "1")]):
        found.setdefault(_failure(record), []).append(record["started"])
    return [
        f"{time.strftime('%H:%M:%S', time.localtime(max(times)))} {what}" + _often(len(times))
        for what, times in list(found.items())[:FAILURES]
    ]


def _often(count: int) -> str:
    return f" ({count} times lately)" if count > 1 else ""


def _failure(record: dict[str, Any]) -> str:
    asked = f"{record['method']} {record['authority']}{record['path']}" if record["method"] else record["protocol"]
    status = f"{record['status']}" if record["status"] else "no answer"
    ended = " ".join(part for part in (status, record["flags"].strip("-"), record["details"].strip("-")) if part)
    return f"{record['client']} {asked}: {ended} {record['rule']}".rstrip()
