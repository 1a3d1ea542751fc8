"""How commands print: tables for people, JSON for programs, errors in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec

#: The agent's API where nothing else is said, and seconds between two looks of --watch.
DEFAULT_ADMIN = "127.0.0.1:15000"
WATCH = 2.0

#: What is said where there are rows, but none that was asked for.
UNFIT = "nothing fits these options"

Command = TypeVar("Command", bound=Callable[..., Any])


class CommandError(Exception):
    """What the user wanted could not be done; the message is one sentence with its mend. Exit code 1."""


def format_option(*formats: str) -> Callable[[Command], Command]:
    """`--format`, the first being the default."""
    return click.option("--format", "form", type=click.Choice(formats), default=formats[0], show_default=True)


#: One row of a table.
Row = list[object]


def plural(count: int, word: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {word}{'s' * (count != 1)}"


def compact(value: object) -> str:
    """JSON in one cell, empty where there is nothing."""
    return msgspec.json.encode(value).decode() if value else ""


def as_json(value: Any) -> str:
    """JSON in one line."""
    return msgspec.json.encode(value).decode()


def show_options(command: Command) -> Command:
    """What commands that show a running agent's rows have in common."""
    options = (
        click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", show_default=True, help="The agent's API."),
        click.option("--format", "-o", "form", type=click.Choice(("text", "wide", "json")), default="text",
                     show_default=True, help="wide: columns are never folded."),
        click.option("--watch", "-w", is_flag=True, help="Show it again every two seconds, until Ctrl-C."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def namespace_option(meaning: str) -> Callable[[Command], Command]:
    """`-n`, where a command has something of one namespace to choose."""
    return click.option("--namespace", "-n", default="", metavar="NS", help=meaning)


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str, wide: bool = False) -> None:
    """A table, or the sentence `empty` where there are no rows. Piped and wide output keeps every column whole; on a
    terminal a host's cluster domain is left out, and what is still too long is folded."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    if not wide and Console().is_terminal:
        rows = [[str(cell).replace(".svc.cluster.local", "") for cell in row] for row in rows]
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console()
    if wide or not console.is_terminal:
        console = Console(width=max(200, 1 + max(sum(len(str(cell)) + 3 for cell in row) for row in rows)))
    console.print(table)
