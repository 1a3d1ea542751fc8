"""What is accounted to a process, and that nothing of it is left after its end."""

import os
import sys
import time
from pathlib import Path

import pytest
from tests.bench.processes import Failed, Process, descendants, free_port

BUSY = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint('done', flush=True)"
FAMILY = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', {BUSY + "; time.sleep(600)"!r}])
time.sleep(600)
"""


def started(tmp_path: Path, program: str) -> Process:
    return Process("program", [sys.executable, "-c", program], os.sched_getaffinity(0), tmp_path / "output.txt")


def test_the_cpu_and_descriptors_of_children_count(tmp_path: Path):
    process = started(tmp_path, FAMILY)
    try:
        process.wait_until(lambda: "done" in process.tail(), "print")
        usage = process.usage()
    finally:
        process.stop()
    assert usage.processes == 2
    assert usage.cpu >= 0.3
    assert usage.descriptors >= 6
    assert usage.resident >= usage.proportional > 0


def test_a_reaped_child_counts_through_its_parent(tmp_path: Path):
    program = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {BUSY!r}])\ntime.sleep(600)"
    process = started(tmp_path, program)
    try:
        process.wait_until(lambda: "done" in process.tail(), "print")
        process.wait_until(lambda: process.usage().processes == 1, "reap")
        assert process.usage().cpu >= 0.3
    finally:
        process.stop()


def test_stop_ends_the_children_as_well(tmp_path: Path):
    process = started(tmp_path, FAMILY)
    process.wait_until(lambda: "done" in process.tail(), "print")
    family = list(descendants(process.pid))
    process.stop()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}/exe").exists() for pid in family) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in family if Path(f"/proc/{pid}/exe").exists()]


def test_a_program_that_ends_instead_of_listening_is_quoted(tmp_path: Path):
    process = started(tmp_path, "print('port in use'); raise SystemExit(3)")
    with pytest.raises(Failed, match=r"(?s)ended with status 3.*port in use"):
        process.wait_for_port("127.0.0.1", free_port())
    process.stop()
