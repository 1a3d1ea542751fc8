"""`nodemesh demo` as a user runs it: every row holds, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from nodemesh.cli import demo, expectations
from nodemesh.cli.scenarios import SCENARIOS
from nodemesh.datapath.cgroups import find_mount
from nodemesh.lab.owner import BPFFS, RUN

ROWS = sum(len(scenario.rows) for scenario in SCENARIOS)


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "nodemesh", "demo", "--format", "json", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def labs_of(pid: int) -> list[Path]:
    """What the lab of the demo with this process id has on the machine."""
    return [path for folder in (find_mount(), RUN, BPFFS) for path in folder.glob(f"nodemesh-lab-demo-{pid}-*")]


def test_every_row_holds_and_nothing_is_left():
    process = start()
    printed, log = process.communicate(timeout=170)
    rows = json.loads(printed)
    assert [row for row in rows if not row["holds"]] == [], log
    assert len(rows) == ROWS and process.returncode == 0
    assert labs_of(process.pid) == []


def test_a_row_that_differs_is_told_and_ends_in_failure(monkeypatch):
    (row,) = SCENARIOS[0].rows
    wrong = msgspec.structs.replace(row, expectation=expectations.version("v2"))
    monkeypatch.setattr(demo, "SCENARIOS", (msgspec.structs.replace(SCENARIOS[0], rows=(wrong, row)),))
    result = CliRunner().invoke(demo.demo, ["--format", "text"])
    assert "20 × v1" in result.output and "✗" in result.output and "✓" in result.output
    assert "1 of 2 rows" in str(result.exception) and result.exit_code == 1
    assert labs_of(os.getpid()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_removes_everything(number):
    process = start()
    deadline = time.monotonic() + 30
    while not list(RUN.glob(f"nodemesh-lab-demo-{process.pid}-*/agent.log")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert labs_of(process.pid) == []


def test_what_is_kept_can_be_used_and_removed():
    process = start("--keep")
    _, said = process.communicate(timeout=170)
    assert process.returncode == 0, said
    try:
        (enter,) = RUN.glob(f"nodemesh-lab-demo-{process.pid}-*/enter")
        page = [enter, "visitor", "curl", "-s", "http://productpage:9080/productpage"]
        answer = json.loads(subprocess.run(page, capture_output=True, timeout=30, check=True).stdout)
        assert answer["reviews"]["answer"]["version"] == "v3", "the last scenario's rules are in force"
        assert str(enter) in said.replace("\n", "") and "nodemesh demo --remove" in said
    finally:
        removing = start("--remove")
        removing.communicate(timeout=60)
    assert removing.returncode == 0
    assert labs_of(process.pid) == []
