"""What changed lately: `history`; and the way back: `rollback`."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from typing import Any

import click

from ..config.printable import printable
from .client import fetch
from .output import CommandError, format_option, print_json
from .reach import agent_options
from .tables import show_answer, show_options

#: Characters of a line, and where the text of a change begins.
WIDTH = 80
INDENT = 28


@click.command()
@show_options
def history(**options: Any) -> None:
    """The newest changes of the configuration: what changed, who wrote it, and how long it took until all workers had
    it."""
    show_answer(lambda: fetch(options["admin"], "/changes"), options, lambda found, wide, _: _history(found, wide))


def _history(found: Any, wide: bool) -> None:
    lines = [f"{'AT':<10}{'TABLES':<8}{'AFTER':<10}CHANGED"]
    lines += [line for change in found for line in _change(change, 0 if wide else WIDTH)]
    click.echo("\n".join(lines) if found else "there was no change yet")


def _change(change: Any, width: int) -> Iterator[str]:
    """One change in lines of that width, 0: of any."""
    after = _duration(change["seconds"]) if change["seconds"] >= 0 else "not yet"
    first = f"{_clock(change['at']):<10}{change['version']:<8}{after:<10}"
    authors = {f"{row['kind']} {_name(row)}": row for row in change["objects"]}
    said = [*change["causes"], *(["…"] if change["count"] > len(change["causes"]) else [])]
    for cause in said:
        row = next((row for name, row in authors.items() if cause.startswith(f"{name} ")), None)
        text = f"{cause}, by {row['author']} at {_clock(row['written'])}" if row and row["author"] else cause
        text = printable(text)
        for line in textwrap.wrap(text, width - INDENT, break_on_hyphens=False) if width else [text]:
            yield (first + line).rstrip()
            first = " " * INDENT


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def _name(row: Any) -> str:
    return f"{row['namespace']}/{row['name']}" if row["namespace"] else str(row["name"])


@click.command()
@click.argument("what", metavar="VERSION|KIND/NAMESPACE/NAME")
@agent_options
@format_option("text", "json")
def rollback(what: str, admin: str, everywhere: bool, form: str) -> None:
    """Print as YAML what a version of the tables changed, or an object's last change, as it was before: for `kubectl
    apply -f -`. Nothing is changed by this. What was added by the change is named with the command that deletes it.
    Exit code 1 if some of it is not kept any more."""
    from ..config.yaml import write

    found = fetch(admin, "/rollback", [("version" if what.isdigit() else "object", what)])
    if form == "json":
        print_json(found)
    else:
        for row in found:
            click.echo(f"---\n# {row['kind']} {_name(row)}, {row['change']} in version {row['version']}")
            if row["later"]:
                versions = ", ".join(map(str, row["later"]))
                click.echo(f"# It has changed again since, in {versions}: that is undone, too.")
            if row["document"] is not None:
                click.echo(write(row["document"]), nl=False)
            elif row["kept"]:
                place = f" -n {row['namespace']}" if row["namespace"] else ""
                click.echo(f"# It was not there before: kubectl{place} delete {_resource(row)} {row['name']}")
    lost = [f"{row['kind']} {_name(row)}" for row in found if not row["kept"]]
    if lost:
        raise CommandError(f"not kept any more: {', '.join(lost)}")


def _resource(row: Any) -> str:
    """As kubectl takes a kind that other groups have, too."""
    kind = str(row["kind"]).lower()
    return f"{kind}.{row['group']}" if row["group"] else kind
