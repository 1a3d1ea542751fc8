"""What one pod sees: routes, clusters, endpoints and listeners, as istioctl's proxy-config shows a sidecar's."""

from __future__ import annotations

from typing import Any

import click

from .layout import Columns, below, minor
from .output import Command, Row, namespace_option
from .tables import show_options, table_of

#: Who is asked about: `NS/POD`, or a namespace.
POD = click.argument("pod", default="", metavar="[NS/POD]")


def asked(pod: str, namespace: str) -> list[tuple[str, str]]:
    """The query for a pod of the command line; one without a namespace is in that of -n."""
    if not pod and not namespace:
        return []
    return [("as", pod if "/" in pod else f"{namespace or 'default'}/{pod}".rstrip("/"))]


def _ports(command: Command) -> Command:
    port = click.option("--port", default=0, help="Only this service port.")
    host = click.option("--fqdn", "host", default="", metavar="HOST", help="Only services whose host begins like this.")
    namespace = namespace_option("Where a pod without a namespace is; without a pod, what anyone there sees.")
    return host(port(namespace(command)))


def _subsets(command: Command) -> Command:
    return _ports(click.option("--subset", default="", help="Only this subset.")(command))


def _chosen(rows: Any, host: str, port: int, subset: str = "") -> list[Any]:
    return [
        row
        for row in rows
        if row.get("service", row.get("host", "")).startswith(host)
        and (not port or row["port"] == port)
        and (not subset or row.get("subset") == subset)
    ]


def _spoken_for(row: Any) -> list[str]:
    """The hosts that a rule is about; a route without hostnames is about its parents (`Service default/reviews`)."""
    parents = (parent.partition(" ")[2].split("/") for parent in row["gateways"])
    return row["hosts"] or [".".join(reversed(parent)) for parent in parents]


def _leads_to(clusters: list[str], subset: str) -> bool:
    """Whether one of the clusters (`outbound|PORT|SUBSET|HOST`) is of this subset."""
    return not subset or any(cluster.split("|")[2:3] == [subset] for cluster in clusters)


@click.command()
@click.argument("pod", metavar="NS/POD")
@_subsets
@show_options
def clusters(pod: str, host: str, port: int, subset: str, **options: Any) -> None:
    """The groups of endpoints that a pod's requests may go to, each with its DestinationRule."""

    def rows(found: Any) -> list[Row]:
        return [
            [row["host"], row["port"], row["subset"] or "-", row["type"], row["balancing"],
             f"{row['ready']}/{row['endpoints']}", row["destination_rule"]]
            for row in found
        ]  # fmt: skip

    columns: Columns = ["HOST", "PORT", "SUBSET", minor("TYPE"), minor("BALANCING"), "READY", below("DESTINATION RULE")]
    query = asked(pod, options["namespace"])
    table_of(
        "/clusters", columns, rows, "it sees no services", query, options,
        choose=lambda found: _chosen(found, host, port, subset),
    )  # fmt: skip


@click.command()
@click.argument("pod", metavar="NS/POD")
@_ports
@show_options
def listeners(pod: str, host: str, port: int, **options: Any) -> None:
    """What of a pod's connections is taken over, which way it goes, and why."""

    def rows(found: Any) -> list[Row]:
        return [
            [row["host"], row["port"], row["protocol"], row["mode"], row["mode_reason"], ",".join(row["addresses"])]
            for row in found
        ]

    columns: Columns = ["HOST", "PORT", "PROTOCOL", "MODE", below("BECAUSE"), below("ADDRESSES")]
    table_of(
        "/listeners", columns, rows, "nothing is taken over", asked(pod, options["namespace"]), options,
        choose=lambda found: _chosen(found, host, port),
    )  # fmt: skip


@click.command()
@POD
@_subsets
@click.option(
    "--status",
    "health",
    type=click.Choice(("ready", "draining", "unready", "ejected")),
    default=None,
    help="Only endpoints in this state.",
)
@show_options
def endpoints(pod: str, host: str, port: int, subset: str, health: str | None, **options: Any) -> None:
    """The addresses behind the services, with their true state; with a pod, by the clusters that it sees."""
    if pod and "/" not in pod and not options["namespace"]:
        host, pod = pod, ""  # `endpoints reviews`: a service's

    def state(row: Any) -> str:
        return f"ejected {row['ejected_for']:.0f}s ago" if row["ejected_for"] is not None else str(row["health"])

    def rows(found: Any) -> list[Row]:
        return [
            [row["service"], row["port"], row.get("subset") or "", f"{row['address']}:{row['target_port']}",
             state(row), "" if row["in_flight"] is None else row["in_flight"], row["workload"], row["locality"],
             row["weight"]]
            for row in found
        ]  # fmt: skip

    columns: Columns = [
        "SERVICE", "PORT", "SUBSET", "ENDPOINT", "STATE", "IN FLIGHT", below("WORKLOAD"), minor("LOCALITY"),
        minor("WEIGHT"),
    ]  # fmt: skip
    table_of(
        "/endpoints", columns, rows, "there are no endpoints", asked(pod, options["namespace"]), options,
        choose=lambda found: [row for row in _chosen(found, host, port, subset) if state(row).startswith(health or "")],
    )  # fmt: skip


@click.command()
@POD
@_subsets
@show_options
def routes(pod: str, host: str, port: int, subset: str, **options: Any) -> None:
    """The rules in the order in which they are tried: of all VirtualServices, or as one pod sees them."""
    query = asked(pod, options["namespace"])
    if (port or subset) and not query:
        raise click.UsageError("--port and --subset choose of what a pod sees; name the pod, or its namespace with -n")

    def all_rules(found: Any) -> list[Row]:
        return [
            [row["virtual_service"] or row["route"], ",".join(row["hosts"] or row["gateways"]), row["rule"],
             row["name"], row["when"], row["does"], row["location"]]
            for row in found
        ]  # fmt: skip

    def seen(found: Any) -> list[Row]:
        return [
            [f"{row['host']}:{row['port']}", row["virtual_service"] or "-", row["rule"], row["name"],
             row["when"], ", ".join(row["clusters"]) or row["does"], row["location"]]
            for row in found
        ]  # fmt: skip

    if query:
        columns: Columns = [
            "HOST", "VIRTUALSERVICE", "RULE", "NAME", below("MATCH"), below("LEADS TO"), below("WRITTEN AT")
        ]  # fmt: skip
        table_of(
            "/routes", columns, seen, "it sees no services", query, options,
            choose=lambda found: [row for row in _chosen(found, host, port) if _leads_to(row["clusters"], subset)],
        )  # fmt: skip
    else:
        columns = [
            "VIRTUALSERVICE OR ROUTE", "HOSTS OR PARENTS", "RULE", "NAME", below("MATCH"), below("ACTION"),
            below("WRITTEN AT")
        ]  # fmt: skip
        table_of(
            "/routes", columns, all_rules, "there are no rules", query, options,
            choose=lambda found: [row for row in found if any(each.startswith(host) for each in _spoken_for(row))],
        )  # fmt: skip
