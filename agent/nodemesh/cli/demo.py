"""`nodemesh demo`: Bookinfo in a lab on this machine, scenario by scenario, expected and measured side by side."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

import click
import msgspec
from rich import box
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..lab import LabError, sweep
from .expectations import Verdict
from .output import Failure, format_option, print_json
from .scenarios import SCENARIOS, Row, Scenario
from .stage import Stage


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the result, as `--format json` prints it; `seconds` is what the row took."""

    scenario: str
    yaml: str
    asked: str
    expected: str
    measured: str
    holds: bool
    seconds: float


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running, and say how to use and how to remove it.")
@click.option("--remove", is_flag=True, help="Remove what --keep left running, and do nothing else.")
@format_option("text", "json")
def demo(keep: bool, remove: bool, form: str) -> None:
    """Show the mesh on this machine: Bookinfo in network namespaces, real eBPF, nothing left behind.

    Needs root and cgroup v2. Exit status 0 if every row came out as expected."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores the hangup: so do we
            signal.signal(number, _terminate)
    console = Console(stderr=form == "json")
    if not console.is_terminal:
        console.width = 160
    try:
        if remove:
            for lab in sweep(kept=True):
                console.print(f"removed {lab}")
            return
        outcomes = _perform(console, keep)
    except LabError as error:
        raise Failure(str(error)) from None
    if form == "json":
        print_json(outcomes)
    wrong = sum(not outcome.holds for outcome in outcomes)
    if wrong:
        raise Failure(f"{wrong} of {len(outcomes)} rows did not come out as expected")


def _perform(console: Console, keep: bool) -> list[Outcome]:
    """The whole demo; with `keep` the lab and the agent live on."""
    began = time.monotonic()
    outcomes: list[Outcome] = []
    with Stage() as stage:
        console.print(
            f"[bold]nodemesh demo[/]: {len(stage.lab.pods)} pods on the node {stage.lab.node_name}, "
            f"which know nothing of a mesh; YAML in {stage.manifests}"
        )
        with Live(console=console, refresh_per_second=8, transient=not console.is_terminal) as live:
            live.update(Spinner("dots", "starting the agent"))
            stage.start_agent()
            for scenario in SCENARIOS:
                live.update(_table(outcomes, scenario.name))
                outcomes += _outcomes(stage, scenario)
            live.update(_table(outcomes))
        if not console.is_terminal:
            console.print(_table(outcomes))
        if keep:
            stage.agent.start()
            stage.lab.keep()
            console.print(_manual(stage), soft_wrap=True, highlight=False)
    left = "left running" if keep else "everything is removed"
    console.print(f"{len(outcomes)} rows in {time.monotonic() - began:.0f} s; {left}.")
    return outcomes


def _outcomes(stage: Stage, scenario: Scenario) -> Iterator[Outcome]:
    stage.prepare(scenario)
    for row in scenario.rows:
        began = time.monotonic()
        verdict = stage.play(row)
        yield _outcome(scenario, row, verdict, time.monotonic() - began)


def _outcome(scenario: Scenario, row: Row, verdict: Verdict, seconds: float) -> Outcome:
    return Outcome(
        scenario=scenario.name,
        yaml=scenario.yaml,
        asked=row.asked,
        expected=row.expectation.text,
        measured=verdict.measured,
        holds=verdict.holds,
        seconds=round(seconds, 3),
    )


def _table(outcomes: list[Outcome], running: str = "") -> Table:
    """What has come out so far, and which scenario runs."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Scenario", "Asked from inside a pod", "Expected", "Measured", ""):
        table.add_column(column, overflow="fold")
    last = ""
    for outcome in outcomes:
        sign = Text("✓", "bold green") if outcome.holds else Text("✗", "bold red")
        name = Text(outcome.scenario if outcome.scenario != last else "", "bold")
        measured = Text(outcome.measured, "" if outcome.holds else "red")
        table.add_row(name, Text(outcome.asked), Text(outcome.expected), measured, sign)
        last = outcome.scenario
    if running:
        table.add_row(Spinner("dots", running), "", "", "", "")
    return table


def _manual(stage: Stage) -> str:
    """How to use what was kept, and how to remove it."""
    enter = stage.lab.folder / "enter"
    return (
        f"\n[bold]Ask from inside a pod[/]  {enter} visitor curl -s http://productpage:9080/productpage\n"
        f"[bold]Change the rules[/]       {stage.agent.folder}/scenario.yaml\n"
        f"[bold]Look at the node[/]       nodemesh status --admin {stage.agent.admin}\n"
        f"[bold]Read the requests[/]      {stage.agent.access_log}\n"
        f"[bold]Remove everything[/]      nodemesh demo --remove\n"
    )


def _terminate(number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: what was set up is removed on the way out."""
    sys.exit(128 + number)
