"""`nodemesh migrate`: VirtualServices as routes of the Gateway API, and what has no equivalent there."""

from __future__ import annotations

import sys

import click

from ..config.problems import Severity
from .files import read_files
from .output import format_option, plural, print_json


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True), metavar="PATH...")
@format_option("text", "json")
def migrate(paths: tuple[str, ...], form: str) -> None:
    """Print HTTPRoutes for VirtualServices as YAML, each with what has no equivalent as comments. Exit code 3 if
    something is lost, 1 if files have errors."""
    from ..config.yaml import write
    from ..routing.migrate.routes import migrate as migrated

    snapshot = read_files(paths)
    found = list(migrated(snapshot))
    notes = [note for entry in found for note in entry.notes]
    if form == "json":
        rows = [
            {
                "virtualService": entry.source.meta.key,
                "routes": list(entry.routes),
                "notes": [
                    {
                        "file": note.location.file, "line": note.location.line, "column": note.location.column,
                        "path": note.path, "lost": note.lost, "message": note.message,
                    }
                    for note in entry.notes
                ],
            }
            for entry in found
        ]  # fmt: skip
        print_json(rows)
    else:
        for entry in found:
            click.echo(f"---\n# VirtualService {entry.source.meta.key} ({entry.source.location})")
            for note in entry.notes:
                click.echo(f"# {note}")
            for index, route in enumerate(entry.routes):
                click.echo(("---\n" if index else "") + write(route), nl=False)
        lost = sum(note.lost for note in notes)
        routes = sum(len(entry.routes) for entry in found)
        read = f"{plural(len(found), 'VirtualService')}, {plural(routes, 'route')}"
        click.echo(f"{read}, {plural(lost, 'thing')} without an equivalent", err=True)
    if any(problem.severity is Severity.ERROR for problem in snapshot.problems):
        sys.exit(1)
    sys.exit(3 if any(note.lost for note in notes) else 0)
