"""What one request and one relayed connection are in Python calls, allocations and system calls: counted, not timed,
and held against what is kept in a file."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from . import work_job
from .nodemesh import AGENT, compiled
from .processes import Failed

FILE = Path(__file__).with_name("work.json")
SOURCE = Path(__file__).with_name("allocations.c")

#: What a count may be above the kept one. Counts are the same in every run; the margin is room for a change that is
#: worth a call, and for another patch release of Python.
MARGIN = 0.02
#: Another Python, or another build, has other frames and other objects, but no more work.
FOREIGN_MARGIN = 0.25

PYTHON = f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"

#: Counts by case and by what is counted.
Counts = dict[str, dict[str, float]]

#: A line of strace: who, if several, and the call's name.
CALL = re.compile(r"(?:\d+ +)?(\w+)\(")
PATIENCE = 120.0  # seconds


def counted(folder: Path) -> Counts:
    """All counts, each by a process of its own."""
    found: Counts = {}
    library = build(folder)
    for name in ("calls", "allocations"):
        for case, count in run(folder, name, library).items():
            found.setdefault(case, {})[name] = count
    for case, calls in system_calls(folder, library).items():
        found[case]["system calls"] = sum(calls.values())
    return found


def build(folder: Path) -> Path:
    """The counter of allocations, as a library."""
    library = folder / "allocations.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    return library


def run(folder: Path, meter: str, library: Path, around: Sequence[str] = ()) -> dict[str, float]:
    command = [*around, sys.executable, "-m", work_job.__name__, str(folder / "access.log"), meter, str(library)]
    path = os.pathsep.join(filter(None, (str(AGENT), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    # Sets of names have another order, and so other work, by each seed.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE)
    if ended.returncode:
        raise Failed(f"{' '.join(command)}:\n{ended.stderr[-1500:]}")
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def system_calls(folder: Path, library: Path) -> dict[str, Counter[str]]:
    """By case what one piece of work asks of the kernel: the median one's, by name."""
    log = folder / "strace.txt"
    cases = run(folder, "marks", library, ("strace", "-f", "-qq", "-s", "40", "-o", str(log)))
    works = list(marked(log.read_text().splitlines()))
    if len(works) != len(cases) * work_job.COUNTED:
        raise Failed(f"strace saw {len(works)} pieces of work of {len(cases) * work_job.COUNTED}")
    found = {}
    for number, case in enumerate(cases):
        own = works[number * work_job.COUNTED : (number + 1) * work_job.COUNTED]
        middle = statistics.median_low(sum(calls.values()) for calls in own)
        found[case] = next(calls for calls in own if sum(calls.values()) == middle)
    return found


def marked(lines: Sequence[str]) -> Iterator[Counter[str]]:
    """The calls within the turns of each piece of work, which ends with a mark of its own."""
    calls: Counter[str] = Counter()
    within = False
    for line in lines:
        if work_job.BEGIN in line or work_job.END in line:
            within = work_job.BEGIN in line
        elif work_job.DONE in line:
            yield calls
            calls = Counter()
        elif within and (call := CALL.match(line)):
            calls[call[1]] += 1


def built() -> str:
    return "compiled" if compiled() else "plain"


def read(path: Path = FILE) -> dict[str, dict[str, Counts]]:
    """What is kept, by Python and by how nodemesh was built."""
    found: dict[str, dict[str, Counts]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(counts: Counts, path: Path = FILE, python: str = PYTHON, how: str = "") -> None:
    """Hold later runs against these."""
    known = read(path)
    known.setdefault(python, {})[how or built()] = counts
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def growth(counts: Counts, known: Mapping[str, Mapping[str, Counts]], python: str = PYTHON, how: str = "") -> list[str]:
    """What is more than what is kept allows. A Python, or a build, of which nothing is kept is held against the others:
    a compiled one calls and allocates less than a plain one."""
    own = known.get(python, {}).get(how or built())
    others = [counts for builds in known.values() for counts in builds.values()]
    bases, margin = ([own], MARGIN) if own else (others, FOREIGN_MARGIN)
    if not bases:
        return ["nothing is kept; count with --suite work --keep"]
    found = []
    for case, kinds in counts.items():
        for kind, count in kinds.items():
            limit = max(base.get(case, {}).get(kind, 0.0) for base in bases)
            if count > limit * (1 + margin):
                found.append(
                    f"{case}: {count:g} {kind}, {limit:g} are kept (at most {margin:.0%} more); "
                    "less is better, and what must be more is kept anew: --suite work --keep"
                )
    return found
