"""A worker whose user-space instructions are counted by valgrind's callgrind: exact where the clock is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from .nodemesh import AGENT
from .processes import Failed, Process
from .proxy import LOOPBACK

#: valgrind runs the whole start some 15 times slower.
PATIENCE = 180.0

#: A function, or one that it calls: its name, which callgrind writes once and then refers to by its number; and lines
#: of cost.
FUNCTION = re.compile(r"(c?)fn=\((\d+)\)(?: (.*))?")
COST = re.compile(r"(?:\+|-)?(?:\d+|\*) (\d+)")


class Counted:
    """The job `instructions_job` under callgrind, which counts nothing until it is told to. `ports` are where it takes
    requests, calls and connections, `pods` those of the pods behind them."""

    #: What runs the job.
    counter: ClassVar[Sequence[str]] = ("valgrind", "--tool=callgrind", "--instr-atstart=no")

    def __init__(self, folder: Path, ports: Sequence[int], pods: Sequence[int], cores: set[int]) -> None:
        self.folder = folder
        order = json.dumps([ports, pods, str(folder / "access.log")])
        counter = [*self.counter, f"--callgrind-out-file={folder}/callgrind"] if self.counter else []
        command = [*counter, sys.executable, "-m", f"{__package__}.instructions_job", order]
        # Sets of names have another order, and so another cost, by each seed.
        environment = {"PYTHONPATH": str(AGENT), "PYTHONHASHSEED": "0"}
        self.process = Process("nodemesh", command, cores, folder / "output.txt", environment)
        try:
            for port in ports:
                self.process.wait_for_port(LOOPBACK, port, PATIENCE)
        except BaseException:
            self.process.stop()
            raise

    def stop(self) -> None:
        self.process.stop()

    def start_counting(self) -> None:
        """From here on each instruction counts, and takes some 50 times as long."""
        self._control("--instr=on")

    def zero(self) -> None:
        self._control("--zero")

    def count(self) -> Counter[str]:
        """The instructions since `zero`, by the function that they stand in."""
        self._control("--dump=count")
        newest = max(self.folder.glob("callgrind*"), key=lambda path: path.stat().st_mtime_ns)
        found = functions(newest.read_text(errors="replace"))
        if not found:
            raise Failed(f"callgrind wrote no cost to {newest}")
        return found

    def _control(self, what: str) -> None:
        command = ["callgrind_control", what, str(self.process.pid)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if ended.returncode or "OK." not in ended.stdout:
            raise Failed(f"{' '.join(command)}: {(ended.stdout + ended.stderr)[-300:]}")


def functions(dump: str) -> Counter[str]:
    """The cost of each function itself in callgrind's format: what it calls is written behind a line of its own, with a
    cost that is not its own."""
    names: dict[str, str] = {}
    costs: Counter[str] = Counter()
    name = ""
    called = False
    for line in dump.splitlines():
        if found := FUNCTION.match(line):
            named = names.setdefault(found[2], found[3] or "")
            if not found[1]:
                name = named
        elif line.startswith("calls="):
            called = True
        elif cost := COST.match(line):
            if not called:
                costs[name] += int(cost[1])
            called = False
    return costs
