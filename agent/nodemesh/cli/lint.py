"""`nodemesh lint`: what is wrong with the configuration, without a node."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..config.meta import Location
from ..config.problems import Problem, Severity
from .client import fetch
from .output import format_option, plural, print_json
from .reach import agent_options

if TYPE_CHECKING:
    from ..registry.sources.directory import DirectorySource

#: Severities in SARIF's words (SARIF 2.1.0, section 3.27.10).
SARIF_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
#: The name under which standard input's findings stand.
STDIN = "<stdin>"

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True), metavar="PATH...")
@partial(agent_options, default="", meaning="Ask the agent there what it has found, in place of files.")
@format_option("text", "json", "sarif")
def lint(paths: tuple[str, ...], admin: str, everywhere: bool, form: str) -> None:
    """Check files and folders of YAML; - is standard input. Exit code 1 if there are errors."""
    from ..registry.sources.directory import DirectorySource

    if bool(paths) == bool(admin):
        raise click.UsageError("give files and folders to check, - for standard input, or --admin ADDR")
    read = ""
    if admin:
        problems = [as_problem(row) for row in fetch(admin, "/config/problems")]
        read = f"the agent at {admin}"
    else:
        source = DirectorySource([path for path in paths if path != "-"])
        problems = find(source, sys.stdin.buffer.read() if "-" in paths else None)
        read = said_files(len(source.files) + ("-" in paths))
    if form == "json":
        print_json([as_row(problem) for problem in problems])
    elif form == "sarif":
        print_json(as_sarif(problems))
    else:
        for problem in problems:
            click.echo(as_line(problem))
        click.echo(summary(problems, read), err=True)
    sys.exit(any(problem.severity is Severity.ERROR for problem in problems))


def find(source: DirectorySource, text: bytes | None = None) -> list[Problem]:
    """All findings in the order of files and lines; those in a text as well that was read from standard input."""
    from ..config.load import load_text
    from ..registry.store import Store
    from ..routing.lint import lint as across

    changes = source.scan()
    objects = list(changes.changed.values()) if changes is not None else []
    told = list(changes.problems) if changes is not None else []
    if text is not None:
        loaded = load_text(text, STDIN)
        objects += loaded.objects
        told += loaded.problems
    snapshot = Store().apply("files", objects, (), told)
    problems = dict.fromkeys((*snapshot.problems, *across(snapshot)))
    return sorted(problems, key=lambda problem: (problem.location.file, problem.location.line, problem.location.column))


def said_files(files: int) -> str:
    return plural(files, "file") if files else ""


def summary(problems: Sequence[Problem], read: str) -> str:
    """What was read, and how many findings of each severity there are."""
    counted = Counter(problem.severity for problem in problems)
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    said = [plural(counted[key], word) for key, word in words.items() if counted[key]]
    if not read:
        return "there is no YAML or JSON file to check"
    return f"{read}: {', '.join(said) or 'no problems found'}"


def as_problem(row: dict[str, Any]) -> Problem:
    """A finding of a running agent."""
    return Problem(
        code=row["code"],
        message=row["message"],
        severity=Severity(row["severity"]),
        refused=row["refused"],
        location=Location(row["file"], row["line"], row["column"]),
        kind=row["kind"],
        group=row["group"],
        namespace=row["namespace"],
        name=row["name"],
        path=row["path"],
    )


def as_row(problem: Problem) -> dict[str, Any]:
    """One finding of `--format json`."""
    return {
        "file": problem.location.file,
        "line": problem.location.line,
        "column": problem.location.column,
        "kind": problem.kind,
        "namespace": problem.namespace,
        "name": problem.name,
        "path": problem.path,
        "severity": problem.severity.value,
        "refused": problem.refused,
        "code": problem.code,
        "message": problem.message,
    }


def as_line(problem: Problem) -> str:
    """`file:line:column: error: message (Kind namespace/name, path) [code]`."""
    owner = "/".join(part for part in (problem.namespace, problem.name) if part)
    where = ", ".join(part for part in (f"{problem.kind} {owner}".strip(), problem.path) if part)
    shown = f" ({where})" if where else ""
    return f"{problem.location}: {problem.severity.value}: {problem.message}{shown} [{problem.code}]"


def as_sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    """SARIF 2.1.0, as code hosts show findings."""
    from ..config.codes import CODES
    from ..registry.sources.directory import FILE_CODES
    from ..routing.lint.codes import ACROSS_CODES, LIVE_CODES

    meanings = CODES | FILE_CODES | ACROSS_CODES | LIVE_CODES
    results = [
        {
            "ruleId": problem.code,
            "level": SARIF_LEVELS[problem.severity],
            "message": {"text": problem.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": problem.location.file},
                        "region": {
                            "startLine": max(1, problem.location.line),
                            "startColumn": max(1, problem.location.column),
                        },
                    }
                }
            ],
        }
        for problem in problems
    ]
    codes = sorted({problem.code for problem in problems})
    rules = [{"id": code, "shortDescription": {"text": meanings[code]}} for code in codes]
    driver = {"name": "nodemesh", "version": __version__, "rules": rules}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
