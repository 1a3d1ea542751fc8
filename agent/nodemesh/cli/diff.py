"""`nodemesh diff`: what a change of the configuration changes in behaviour."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from .files import read_agent, read_candidate
from .output import DEFAULT_ADMIN, CommandError, format_option, print_json
from .reach import agent_options

if TYPE_CHECKING:
    from ..registry.snapshot import Snapshot

#: What says that a side is a running agent's.
AGENT = "agent"

#: Exit code where something changes.
CHANGED = 3


@click.command(context_settings={"show_default": True})
@click.argument("old")
@click.argument("new", nargs=-1, required=True, metavar="NEW...")
@partial(agent_options, default=DEFAULT_ADMIN, meaning=f"The agent that `{AGENT}` means.")
@click.option("--over", is_flag=True, help="NEW has only what changes: the rest stays as in OLD.")
@click.option(
    "--time",
    "seconds",
    default=10.0,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="After which what is left is cut.",
)
@format_option("text", "json", "markdown")
def diff(
    old: str, new: tuple[str, ...], admin: str, everywhere: bool, over: bool, seconds: float, form: str
) -> None:  # fmt: skip
    """Say which requests are answered otherwise by NEW than by OLD.

    Each is a file or folder of YAML; - for YAML on standard input, as kubectl get -o yaml writes a cluster's; or the
    word agent for what a running agent has. Nothing is printed of what stays the same. Exit code 3 if something
    changes, 0 if not; 1 if NEW has errors, for what they refuse counts as left out."""
    from ..registry.overlay import overlay
    from ..routing.compile import compile_tables
    from ..routing.diff.compare import compare
    from ..routing.diff.render import render_markdown, render_text

    if old in new:
        raise click.UsageError("OLD and NEW are the same")
    before, after = _side((old,), admin), _side(new, admin)
    broken = any(problem.refused for problem in after.problems)
    if over or old == AGENT:
        after = overlay(before, after)
    end = time.monotonic() + seconds
    difference = compare(compile_tables(before), compile_tables(after), lambda: time.monotonic() > end)
    if form == "json":
        print_json(msgspec.to_builtins(difference))
    else:
        render = render_markdown if form == "markdown" else render_text
        click.echo(render(difference), nl=False)
    if broken:
        raise CommandError("NEW has errors: what they refuse was compared as if it were left out; mend them first")
    sys.exit(CHANGED if difference.changes else 0)


def _side(paths: tuple[str, ...], admin: str) -> Snapshot:
    return read_agent(admin) if paths == (AGENT,) else read_candidate(paths)
