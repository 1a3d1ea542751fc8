"""`nodemesh test`: a user's tests of routing, by the simulator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import CommandError, format_option, plural, print_json

if TYPE_CHECKING:
    from ..sim.running import CaseOutcome


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE...")
@click.option(
    "--config",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True),
    help="The mesh's YAML, in the place of what the files name.",
)
@click.option("-k", "name", default="", metavar="TEXT", help="Only tests with this in their name.")
@format_option("text", "json")
def test(files: tuple[Path, ...], config: tuple[str, ...], name: str, form: str) -> None:
    """Run the tests of routing in FILE..., without root, cluster or network. Exit code 1 if one fails."""
    from ..routing.compile import compile_tables
    from ..sim.mesh import read
    from ..sim.places import MeshError
    from ..sim.running import run
    from ..sim.suite import load

    outcomes: list[CaseOutcome] = []
    for path in files_of(files):
        try:
            loaded = load(path)
            paths: tuple[str | Path, ...] = config or loaded.config
            if not paths:
                raise MeshError(f"{path} names no `config`; give the mesh's YAML there, or by --config PATH")
            tables = compile_tables(read(paths))
        except MeshError as error:
            raise CommandError(str(error)) from None
        outcomes += [run(placed, tables) for placed in loaded.tests if name in placed.test.name]
    if not outcomes:
        raise CommandError(f"no test has {name!r} in its name" if name else "there are no tests in what was read")
    if form == "json":
        print_json([as_row(outcome) for outcome in outcomes])
    else:
        show(outcomes)
    sys.exit(any(outcome.failures for outcome in outcomes))


def files_of(paths: tuple[Path, ...]) -> list[Path]:
    """The files, and those of folders that are named like tests."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("test_*.yaml")) if path.is_dir() else [path]
    if not found:
        raise CommandError("there are no tests; a folder's are in files named test_*.yaml")
    return found


def show(outcomes: list[CaseOutcome]) -> None:
    for outcome in outcomes:
        click.echo(f"{'✗' if outcome.failures else '✓'} {outcome.name}")
        for location, text in outcome.failures:
            click.echo(f"    {location}: {text}")
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    requests = sum(outcome.requests for outcome in outcomes)
    word = f"{failed} failed, {len(outcomes) - failed} passed" if failed else f"{plural(len(outcomes), 'test')} passed"
    click.echo(f"{word}: {plural(requests, 'request')}", err=True)


def as_row(outcome: CaseOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "file": outcome.location.file,
        "line": outcome.location.line,
        "passed": not outcome.failures,
        "requests": outcome.requests,
        "seconds": outcome.seconds,
        "failures": [
            {"file": location.file, "line": location.line, "message": text} for location, text in outcome.failures
        ],
    }
