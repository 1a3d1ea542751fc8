"""Commands that show a table of what the agent answers, once or again and again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from .client import fetch
from .output import UNFIT, WATCH, Row, print_json, print_table


def table_of(
    path: str, columns: Sequence[str], rows: Callable[[Any], list[Row]], empty: str, query: list[tuple[str, str]],
    options: dict[str, Any], choose: Callable[[Any], Any] | None = None,
) -> None:  # fmt: skip
    """Ask the agent and show what it says, as the options want it; `choose` picks rows of the answer."""

    def show() -> None:
        every = found = fetch(options["admin"], path, query)
        if choose is not None:
            found = choose(every)
        if options["watch"]:
            click.clear()
        if options["form"] == "json":
            print_json(found)
        else:
            nothing = UNFIT if isinstance(every, list) and every else empty
            print_table(columns, rows(found), nothing, wide=options["form"] == "wide")

    if options["watch"]:
        again_and_again(show, WATCH)
    else:
        show()


def again_and_again(show: Callable[[], None], pause: float) -> None:
    """Until Ctrl-C, which is the way out, and no failure."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            show()
            time.sleep(pause)
