"""`nodemesh explain`: what becomes of a request, and which rules say so."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from .client import DEFAULT_ADMIN, fetch
from .output import Failure, format_option, print_json


@click.command(context_settings={"show_default": True})
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A request header; Host too.")
@click.option("--config", multiple=True, metavar="PATH", help="Ask these files instead of a running agent.")
@click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", help="The agent to ask.")
@click.option("--as", "client", default="default", metavar="NS/POD", help="Who asks.")
@click.option("--gateway", default="", metavar="K=V,...", help="Ask the gateway workload with these labels.")
@click.option("--sni", default="", help="The server name of a TLS connection.")
@format_option("text", "json")
def explain(
    method: str, url: str, headers: tuple[str, ...], config: tuple[str, ...], admin: str, client: str, gateway: str,
    sni: str, form: str,
) -> None:  # fmt: skip
    """Say what becomes of METHOD URL, by the same matcher that serves it."""
    pairs = [_pair(header, ":", "-H", "'name: value'") for header in headers]
    labels = [_pair(part, "=", "--gateway", "istio=ingressgateway") for part in gateway.split(",") if part]
    if config:
        found = _from_files(config, method, url, pairs, client, dict(labels) if labels else None, sni)
    else:
        query = [("method", method), ("url", url), ("as", client), ("gateway", gateway), ("sni", sni)]
        found = fetch(admin, "/explain", [*query, *(("header", f"{name}:{value}") for name, value in pairs)])
    if form == "json":
        print_json(found)
    else:
        click.echo("\n".join(lines(found)))


def _pair(text: str, separator: str, option: str, example: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise click.UsageError(f"{option} {text!r} has no {separator!r}; write it as {example}")
    return name.strip(), value.strip()


def _from_files(
    paths: tuple[str, ...], method: str, url: str, headers: list[tuple[str, str]], client: str,
    labels: dict[str, str] | None, sni: str,
) -> Any:  # fmt: skip
    from ..registry.sources.directory import DirectorySource
    from ..registry.store import Store
    from ..routing.compile import compile_tables
    from ..routing.explain import explain as ask
    from ..routing.question import QuestionError, client_for
    from ..routing.view import Views

    store = Store()
    changes = DirectorySource(paths).scan()
    if changes is not None:
        store.apply("files", changes.changed, changes.removed, changes.problems)
    for problem in store.snapshot.problems:
        click.echo(f"{problem.location}: {problem.severity.value}: {problem.message}", err=True)
    tables = compile_tables(store.snapshot)
    try:
        asker = client_for(tables, client, gateway_labels=labels)
        answer = ask(Views(tables), asker, method, url, headers, sni)
    except QuestionError as error:
        raise Failure(str(error)) from None
    return msgspec.json.decode(msgspec.json.encode(answer))


def lines(found: dict[str, Any]) -> list[str]:
    """The answer for people: the outcome, where it leads, and the steps."""
    rule = found["rule"] or {}
    place = f" ({rule['file']}:{rule['line']})" if rule.get("line") else ""
    text = [
        f"outcome:   {found['outcome']}" + (f", status {found['status']}" if found["status"] else ""),
        f"service:   {found['service'] or '-'}, mode {found['mode']}: {found['modeReason']}",
        f"rule:      {found['virtualService'] or '-'} {rule.get('path', '')}{place}",
    ]
    if found["location"]:
        text.append(f"location:  {found['location']}")
    for target in found["destinations"]:
        text.append(f"to:        {target['weight']:>3} {target['cluster']}")
        text += [f"               {end['address']}:{end['port']} {end['workload']}" for end in target["endpoints"]]
    for name in ("rewrite", "headers", "timeout", "retries", "fault", "mirrors"):
        if found[name]:
            value = found[name] if isinstance(found[name], str) else msgspec.json.encode(found[name]).decode()
            text.append(f"{name + ':':<10} {value}")
    text.append("because:")
    for step in found["steps"]:
        mark = {True: "+", False: "-", None: " "}[step["held"]]
        at = f"  [{step['file']}:{step['line']}]" if step["line"] else ""
        text.append(f"  {mark} {'  ' * step['depth']}{step['text']}{at}")
    return text
