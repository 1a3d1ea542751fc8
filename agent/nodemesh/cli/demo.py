"""`nodemesh demo`: Bookinfo in a lab on this machine, scenario by scenario, expected and measured side by side."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click
import msgspec
from rich import box
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..lab import LabError
from ..lab.owner import HOME, kept
from ..lab.owner import remove as remove_lab
from .expectations import RowVerdict
from .output import CommandError, format_option, print_json
from .scenarios import SCENARIOS, Scenario, ScenarioRow
from .stage import Stage

#: MB that Istio's performance page reckons with for a sidecar.
SIDECAR = 60


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
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
            _remove(console)
            return
        outcomes = _perform(console, keep)
    except LabError as error:
        raise CommandError(str(error)) from None
    if form == "json":
        print_json(outcomes)
    wrong = sum(not outcome.holds for outcome in outcomes)
    if wrong:
        raise CommandError(f"{wrong} of {len(outcomes)} rows did not come out as expected")


def _remove(console: Console) -> None:
    """This nodemesh's labs without a word; another checkout's only where somebody says so."""
    found = kept()
    if not found:
        console.print("there is nothing to remove: no demo was left running")
    for lab, whose in found.items():
        if whose != HOME:
            question = f"{lab} was kept by the nodemesh in {whose}. Remove it?"
            if not (sys.stdin.isatty() and click.confirm(question)):
                console.print(f"left {lab}, which the nodemesh in {whose} has kept: its own demo --remove removes it")
                continue
        remove_lab(lab)
        console.print(f"removed {lab}")


def _perform(console: Console, keep: bool) -> list[DemoResult]:
    """The whole demo; with `keep` the lab and the agent live on."""
    began = time.monotonic()
    outcomes: list[DemoResult] = []
    with Stage() as stage:
        console.print(
            f"[bold]nodemesh demo[/]: {len(stage.lab.pods)} pods on the node {stage.lab.node_name}, "
            f"which know nothing of a mesh; YAML in {stage.manifests}"
        )
        with Live(console=console, refresh_per_second=8, transient=not console.is_terminal) as live:
            live.update(Spinner("dots", "starting the agent"))
            stage.start_agent()
            memory = stage.memory()
            for scenario in SCENARIOS:
                live.update(_table(outcomes, scenario.name))
                memory = max(memory, stage.memory()) if stage.agent.pids() else memory
                outcomes += _outcomes(stage, scenario)
            live.update(_table(outcomes))
        if not console.is_terminal:
            console.print(_table(outcomes))
        console.print(
            f"Memory: {memory} MiB for the node's agent; {len(stage.lab.pods)} sidecars would take "
            f"{SIDECAR * len(stage.lab.pods)} MB ({SIDECAR} MB each, by Istio's performance page)."
        )
        if keep:
            stage.agent.start()
            stage.lab.keep()
            console.print(_manual(stage), soft_wrap=True, highlight=False)
    left = (
        "left running" if keep else f"everything is removed; {command()} demo --keep leaves it running, with its page"
    )
    console.print(f"{len(outcomes)} rows in {time.monotonic() - began:.0f} s; {left}.", soft_wrap=True)
    return outcomes


def _outcomes(stage: Stage, scenario: Scenario) -> Iterator[DemoResult]:
    stage.prepare(scenario)
    for row in scenario.rows:
        began = time.monotonic()
        verdict = stage.play(row)
        yield _outcome(scenario, row, verdict, time.monotonic() - began)


def _outcome(scenario: Scenario, row: ScenarioRow, verdict: RowVerdict, seconds: float) -> DemoResult:
    return DemoResult(
        scenario=scenario.name,
        yaml=scenario.yaml,
        asked=row.asked,
        expected=row.expectation.text,
        measured=verdict.measured,
        holds=verdict.holds,
        seconds=round(seconds, 3),
    )


def _table(outcomes: list[DemoResult], running: str = "") -> Table:
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


def command() -> str:
    """What a shell takes for this command."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m nodemesh"
    found = shutil.which("nodemesh")
    return "nodemesh" if found and os.path.samefile(found, called) else shlex.quote(str(called.absolute()))


def _manual(stage: Stage) -> str:
    """How to use what was kept, and how to remove it."""
    enter = stage.lab.folder / "enter"
    rules = stage.agent.folder / "scenario.yaml"
    details = stage.scenario_folder("retries") / "virtual-services.yaml"
    return (
        f"\n[bold]The mesh, live[/]  http://{stage.agent.admin}/\n"
        "\n[bold]Three things to try[/]\n"
        f"1. ask from inside a pod:        {enter} visitor curl -s http://productpage:9080/productpage\n"
        f"2. give details a rule:          cp {details} {stage.agent.folder}/mine.yaml\n"
        f"   and see why it goes by proxy: {command()} services --admin {stage.agent.admin}\n"
        f"3. ask what a request would do:  {command()} explain GET http://reviews:9080/ --as bookinfo/visitor "
        f"--admin {stage.agent.admin}\n"
        f"\n[bold]Rules in force[/]     {rules}\n"
        f"[bold]Requests[/]           {stage.agent.access_log}\n"
        f"[bold]Remove everything[/]  {command()} demo --remove\n"
    )


def _terminate(number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: what was set up is removed on the way out."""
    sys.exit(128 + number)
