"""`nodemesh describe`: all that is about one service or pod, both ways."""

from __future__ import annotations

from typing import Any

import click

from .client import fetch
from .output import DEFAULT_ADMIN, CommandError, format_option, print_json


@click.command()
@click.argument("what", metavar="SERVICE|NS/POD")
@click.option("-n", "--namespace", default="", help="The namespace of a name without one.")
@click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", show_default=True, help="The agent's API.")
@format_option("text", "json")
def describe(what: str, namespace: str, admin: str, form: str) -> None:
    """Say what the mesh does with a service (reviews, reviews.shop) or a pod (shop/reviews-v1-x)."""
    found = _pod(admin, what) if "/" in what else _service(admin, what, namespace)
    if form == "json":
        print_json(found)
        return
    for title, lines in found.items():
        if lines:
            click.echo(f"{title.replace('_', ' ')}:")
            for line in lines:
                click.echo(f"  {line}")


def _service(admin: str, what: str, namespace: str) -> dict[str, list[str]]:
    wanted = what if "." in what else f"{what}.{namespace or 'default'}"
    services = [
        row for row in fetch(admin, "/services") if row["host"] == wanted or row["host"].startswith(f"{wanted}.")
    ]
    if not services:
        near = sorted(
            row["host"] for row in fetch(admin, "/services") if row["host"].split(".")[0] == what.split(".")[0]
        )
        raise CommandError(f"there is no service {wanted}" + (f"; did you mean {near[0]}?" if near else ""))
    service = services[0]
    host, home = service["host"], service["namespace"]
    clusters = [row for row in fetch(admin, "/clusters", [("as", home)]) if row["host"] == host]
    routes = [row for row in fetch(admin, "/routes", [("as", home)]) if row["host"] == host]
    edges = [edge for edge in fetch(admin, "/graph", [("window", "60")])["edges"] if edge["host"] == host]
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
        "endpoints": [
            f"{row['address']}:{row['target_port']} {row['workload']} "
            + (f"ejected {row['ejected_for']:.0f}s ago" if row["ejected_for"] is not None else row["health"])
            for row in endpoints
        ],
        "traffic": [_edge(edge) for edge in edges],
        "problems": _problems(admin, names),
        "last_failures": _failures(admin, [("host", host)]),
    }


def _pod(admin: str, what: str) -> dict[str, list[str]]:
    namespace, _, name = what.partition("/")
    pods = [row for row in fetch(admin, "/pods") if (row["namespace"], row["name"]) == (namespace, name)]
    modes = fetch(admin, "/listeners", [("as", what)])
    home = [f"{what}: " + (pods[0]["why_not"] or "in the mesh") if pods else f"{what} is no pod of this node"]
    failures = [record for record in fetch(admin, "/decisions", [("failed", "1")]) if record["client"] == what]
    return {
        "pod": home,
        "sees": [
            f"{row['host']}:{row['port']} {row['protocol']}: {row['mode']}, since {row['mode_reason']}" for row in modes
        ],
        "problems": _problems(admin, {(namespace, name)}),
        "last_failures": [_failure(record) for record in failures[:5]],
    }


def _rule(row: dict[str, Any]) -> str:
    leads_to = ", ".join(row["clusters"]) or row["action"]
    return f"{row['virtual_service'] or 'none'} {row['rule']} {row['name']} -> {leads_to} {row['location']}"


def _edge(edge: dict[str, Any]) -> str:
    return f"from {edge['source'].partition('/')[2]}: {edge['rps']:.1f}/s, {edge['failing'] * 100:.1f} % fail"


def _problems(admin: str, names: set[tuple[str, ...]]) -> list[str]:
    return [
        f"{row['severity']}: {row['message']} ({row['file']}:{row['line']})"
        for row in fetch(admin, "/config/problems")
        if (row["namespace"], row["name"]) in names
    ]


def _failures(admin: str, query: list[tuple[str, str]]) -> list[str]:
    return [_failure(record) for record in fetch(admin, "/decisions", [*query, ("failed", "1")])[:5]]


def _failure(record: dict[str, Any]) -> str:
    asked = f"{record['method']} {record['authority']}{record['path']}"
    ended = f"{record['status']} {record['flags']} {record['details']}"
    return f"{record['client']} {asked}: {ended} {record['rule']}".rstrip()
