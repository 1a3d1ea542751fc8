"""`python -m tests.bench`: runs the suites, prints the tables, exits with 1 if a limit or an answer is missed."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from . import report, thresholds
from .http_suite import SUBJECTS
from .outcome import Options, Outcome
from .processes import Failed
from .suites import STANDARD, SUITES


@click.command()
@click.option("--suite", "names", multiple=True, type=click.Choice(list(SUITES)), help="Only this suite (repeatable).")
@click.option("--case", default="", metavar="TEXT", help="Only cases whose name contains TEXT.")
@click.option("--quick", is_flag=True, help="Under a minute: one short round each, small tables.")
@click.option(
    "--beside", multiple=True, type=click.Choice(list(SUBJECTS)), help="Who runs beside Envoy [default: nodemesh]."
)
@click.option("--keep", is_flag=True, help="Hold later runs of suite instructions against what this one counts.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(
    names: tuple[str, ...], case: str, quick: bool, beside: tuple[str, ...], keep: bool, path: Path | None
) -> None:
    """Measure nodemesh, beside the real Envoy where there is one to compare with."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    options = Options(quick=quick, case=case, beside=beside, keep=keep)
    outcomes: dict[str, Outcome] = {}
    try:
        for name in names or STANDARD:
            outcomes[name] = SUITES[name](options)
            if outcomes[name].figures or outcomes[name].mistakes:
                report.show(console, name, outcomes[name])
    except Failed as error:
        sys.exit(f"bench: {error}")
    if case and not any(outcome.figures or outcome.mistakes for outcome in outcomes.values()):
        raise click.UsageError(f"no case has {case!r} in its name")
    verdicts = thresholds.judge(outcomes)
    if path is not None:
        report.write(path, outcomes, verdicts)
    sys.exit(0 if report.conclude(console, outcomes, verdicts) else 1)


main()
