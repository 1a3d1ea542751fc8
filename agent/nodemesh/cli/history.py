"""What changed lately: `history`; and the way back: `rollback`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from ..config.printable import printable
from .client import fetch
from .layout import INDENT, wrapped
from .output import CommandError, format_option, print_json, terminal_width
from .reach import agent_options
from .tables import show_answer, show_options


@click.command()
@show_options
def history(**options: Any) -> None:
    """The newest changes of the configuration: what changed, who wrote it, and how long it took until all workers had
    it."""
    show_answer(lambda: fetch(options["admin"], "/changes"), options, lambda found, wide, _: _history(found, wide))


def _history(found: Any, wide: bool) -> None:
    lines = [f"{'AT':<10}{'TABLES':<8}IN FORCE AFTER"]
    lines += [line for change in found for line in _change(change, 0 if wide else terminal_width())]
    click.echo("\n".join(lines) if found else "nothing has changed since the agent began")


def _change(change: Any, width: int) -> Iterator[str]:
    """One change, and below it what changed, in lines of that width, 0: of any."""
    after = _duration(change["seconds"]) if change["seconds"] >= 0 else "not yet at all workers"
    yield f"{_clock(change['at']):<10}{change['version']:<8}{after}"
    authors = {f"{row['kind']} {_name(row)}": row for row in change["objects"]}
    left = change["count"] - len(change["causes"])
    for cause in (*change["causes"], *([f"and {left} more"] if left > 0 else [])):
        row = next((row for name, row in authors.items() if cause.startswith(f"{name} ")), None)
        text = f"{cause}, by {row['author']} at {_clock(row['written'])}" if row and row["author"] else cause
        text = printable(text)
        yield from wrapped(text, INDENT, width).splitlines() if width else [INDENT + text]


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
