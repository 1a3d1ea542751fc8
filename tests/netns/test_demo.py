"""`nodemesh demo` as a user runs it: every row holds, and nothing is left behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from nodemesh.cli import demo, expectations
from nodemesh.cli.scenarios import SCENARIOS
from nodemesh.datapath.cgroups import find_mount
from nodemesh.lab.owner import BPFFS, HOME, KEPT, RUN, remove

ROWS = sum(len(scenario.rows) for scenario in SCENARIOS)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nodemesh", "demo", "--format", "json", *arguments]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


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


def kept_by(pid: int) -> Path:
    (lab,) = RUN.glob(f"nodemesh-lab-demo-{pid}-*")
    return lab


def printed_commands(said: str) -> dict[str, list[str]]:
    """What it says behind each colon or heading, as a shell would take it."""
    told = said[said.index("The mesh, live") :]
    found = re.findall(r"^ *(?:\d\. )?([\w, ]+?)(?:: +|  +)(\S.*)$", told, re.MULTILINE)
    return {what: shlex.split(line) for what, line in found}


def test_where_nothing_was_kept_there_is_nothing_to_remove(monkeypatch):
    monkeypatch.setattr(demo, "kept", dict)
    done = CliRunner().invoke(demo.demo, ["--remove"])
    assert (done.exit_code, done.output) == (0, "there is nothing to remove: no demo was left running\n")


def test_what_is_kept_can_be_used_as_printed_and_removed():
    process = start("--keep")
    _, said = process.communicate(timeout=170)
    assert process.returncode == 0, said
    commands = printed_commands(said)

    def run(what: str) -> str:
        done = subprocess.run(commands[what], capture_output=True, text=True, timeout=60, env=environment(), check=True)
        return done.stdout

    try:
        answer = json.loads(run("ask from inside a pod"))
        assert answer["reviews"]["answer"]["version"] == "v3", "the last scenario's rules are in force"
        (page,) = commands["The mesh, live"]
        assert b"nodemesh" in urllib.request.urlopen(page, timeout=10).read()
        before = run("and see why it goes by proxy")
        run("give details a rule")
        deadline = time.monotonic() + 20
        while run("and see why it goes by proxy") == before:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "v3" in run("ask what a request would do")
        assert Path(*commands["Rules in force"]).is_file() and Path(*commands["Requests"]).is_file()
        whose = kept_by(process.pid) / KEPT
        whose.write_text("/elsewhere")
        assert f"left {whose.parent.name}, which the nodemesh in /elsewhere has kept" in start("--remove").communicate(
            timeout=60
        )[1].replace("\n", "")
        whose.write_text(HOME)
        subprocess.run(
            commands["Remove everything"], timeout=60, env=environment(), check=True, stdin=subprocess.DEVNULL
        )
        assert labs_of(process.pid) == []
    finally:
        for path in RUN.glob(f"nodemesh-lab-demo-{process.pid}-*"):
            remove(path.name)
