"""How commands print: tables for people, JSON for programs, errors in one sentence."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO, TypeVar

import click
import msgspec

from .layout import Columns, lay_out

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


def as_json(value: Any) -> str:
    """JSON in one line."""
    return msgspec.json.encode(value).decode()


def namespace_option(meaning: str) -> Callable[[Command], Command]:
    """`-n`, where a command has something of one namespace to choose."""
    return click.option("--namespace", "-n", default="", metavar="NS", help=meaning)


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def terminal_width(stream: TextIO | None = None) -> int:
    """Columns of the terminal that is written to (COLUMNS, where it is set); 0 where it is none. The standard output's,
    unless another stream is meant."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else 0


def print_table(columns: Columns, rows: Sequence[Sequence[object]], empty: str, wide: bool = False) -> None:
    """A table, or the sentence `empty` where there are no rows. On a terminal it fits the width; piped or wide, each
    row is one line."""
    if not rows:
        click.echo(empty)
        return
    for line in lay_out(columns, rows, 0 if wide else terminal_width()):
        click.echo(line)
