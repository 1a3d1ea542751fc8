"""`nodemesh explain`: what becomes of a request, and which rules say so."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from .client import fetch
from .files import read_files
from .layout import fitted
from .output import CommandError, format_option, print_json, terminal_width
from .reach import agent_options


@click.command(context_settings={"show_default": True})
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A request header; Host too.")
@click.option(
    "--config",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True),
    help="Ask these files instead of a running agent.",
)
@agent_options
@click.option("--as", "client", default="default", metavar="NS/POD", help="Who asks: a pod, or anyone in NS.")
@click.option(
    "--gateway", default="", show_default=False, metavar="K=V,...", help="Ask the gateway workload with these labels."
)
@click.option("--sni", default="", show_default=False, help="The server name of a TLS connection.")
@format_option("text", "json")
def explain(
    method: str, url: str, headers: tuple[str, ...], config: tuple[str, ...], admin: str, client: str, gateway: str,
    sni: str, form: str, everywhere: bool,
) -> None:  # fmt: skip
    """Say what becomes of METHOD URL, by the same matcher that serves it."""
    from ..routing.answer import Explanation, render_text
    from ..routing.question import QuestionError, question_of

    pairs = [_pair(header, ":", "-H", "'name: value'") for header in headers]
    labels = [_pair(part, "=", "--gateway", "istio=ingressgateway") for part in gateway.split(",") if part]
    try:
        question_of(method, url, pairs, sni)
    except QuestionError as error:
        raise click.UsageError(str(error)) from None
    if config:
        found = _from_files(config, method, url, pairs, client, dict(labels) if labels else None, sni)
    else:
        query = [("method", method), ("url", url), ("as", client), ("gateway", gateway), ("sni", sni)]
        found = fetch(admin, "/explain", [*query, *(("header", f"{name}:{value}") for name, value in pairs)])
    if form == "json":
        print_json(found)
    else:
        click.echo(fitted(render_text(msgspec.convert(found, Explanation)), terminal_width()), nl=False)


def _pair(text: str, separator: str, option: str, example: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise click.UsageError(f"{option} {text!r} has no {separator!r}; write it as {example}")
    return name.strip(), value.strip()


def _from_files(
    paths: tuple[str, ...], method: str, url: str, headers: list[tuple[str, str]], client: str,
    labels: dict[str, str] | None, sni: str,
) -> Any:  # fmt: skip
    from ..routing.compile import compile_tables
    from ..routing.explain import explain as ask
    from ..routing.question import QuestionError, client_for
    from ..routing.views import Views

    tables = compile_tables(read_files(paths))
    try:
        asker = client_for(tables, client, gateway_labels=labels)
        answer = ask(Views(tables), asker, method, url, headers, sni)
    except QuestionError as error:
        raise CommandError(str(error)) from None
    return msgspec.json.decode(msgspec.json.encode(answer))
