"""Commands that show a table of what the agent answers, once or again and again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import click

from .client import fetch
from .layout import Columns
from .output import UNFIT, WATCH, Command, CommandError, Row, print_json, print_table
from .reach import agent_options

#: The option of every command that shows something.
FORMAT = click.option(
    "--format", "-o", "form", type=click.Choice(("text", "wide", "json")), default="text", show_default=True,
    help="wide: all columns, each row on one line.",
)  # fmt: skip


def show_options(command: Command) -> Command:
    """What commands that show a running agent's rows have in common."""
    watch = click.option("--watch", "-w", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
    return agent_options(FORMAT(watch(command)))


def everywhere(options: dict[str, Any]) -> list[tuple[str, str]]:
    """The query by which an agent asks those of the other nodes, too, where all are meant."""
    return [("mesh", "1")] if options["everywhere"] else []


def table_of(
    path: str, columns: Columns, rows: Callable[[Any], list[Row]], empty: str, query: list[tuple[str, str]],
    options: dict[str, Any], choose: Callable[[Any], Any] | None = None,
) -> None:  # fmt: skip
    """Ask the agent and show what it says, as the options want it; `choose` picks rows of the answer."""

    def text(found: Any, wide: bool, chosen: bool) -> None:
        print_table(columns, rows(found), UNFIT if chosen else empty, wide=wide)

    show_answer(lambda: fetch(options["admin"], path, query), options, text, choose)


def show_answer(
    ask: Callable[[], Any], options: dict[str, Any], text: Callable[[Any, bool, bool], None],
    choose: Callable[[Any], Any] | None = None,
) -> None:  # fmt: skip
    """Ask, once or again and again, and have `text` print what is answered, unless it is wanted as JSON. `text` is told
    whether all columns are wanted, and whether there was more to choose from."""

    def show() -> None:
        every = found = ask()
        if choose is not None:
            found = choose(every)
        if options["watch"]:
            click.clear()
        if options["form"] == "json":
            print_json(found)
        else:
            text(found, options["form"] == "wide", isinstance(every, list) and bool(every))

    if options["watch"]:
        again_and_again(show, WATCH)
    else:
        show()


def again_and_again(show: Callable[[], None], pause: float) -> None:
    """Until Ctrl-C, which is the way out, and no failure. An agent that is away for a while is asked on."""
    with contextlib.suppress(KeyboardInterrupt):
        show()
        while True:
            time.sleep(pause)
            try:
                show()
            except CommandError as failure:
                click.echo(f"nodemesh: {failure}", err=True)
