"""The instructions that were counted last and are kept in a file, and what has grown since."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("instructions.json")

#: What a figure may grow by before it counts as more work: several times what differs from run to run.
MARGIN = 0.03

#: Functions that are named where a figure grew, and the cost in instructions below which none is kept.
NAMED = 10
LEAST = 20

#: Another Python does the same with other instructions.
PYTHON = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"


class Cost(NamedTuple):
    """The instructions of one piece of work, and of those the ones of each function itself."""

    total: float
    functions: Mapping[str, float]


#: By how nodemesh was built, and by case.
Costs = dict[str, dict[str, Cost]]


def read(path: Path = FILE, python: str = PYTHON) -> Costs:
    """What is kept for this Python."""
    found = json.loads(path.read_text()) if path.exists() else {}
    if found.get("python") != python:
        return {}
    return {
        built: {case: Cost(cost["total"], cost["functions"]) for case, cost in cases.items()}
        for built, cases in found["costs"].items()
    }


def write(costs: Costs, path: Path = FILE, python: str = PYTHON) -> None:
    """Keep these from now on."""
    shown = {
        built: {
            case: {
                "total": round(cost.total),
                "functions": {
                    name: round(own)
                    for name, own in sorted(cost.functions.items(), key=lambda each: (-each[1], each[0]))
                    if own >= LEAST
                },
            }
            for case, cost in sorted(cases.items())
        }
        for built, cases in sorted(costs.items())
    }
    path.write_text(json.dumps({"python": python, "costs": shown}, indent=1) + "\n")


def growth(case: str, before: Cost, now: Cost) -> list[str]:
    """What is wrong with a case's new figure: nothing within the margin, else how much it grew and where."""
    change = now.total / before.total - 1
    if change <= MARGIN:
        return []
    grown = {name: own - before.functions.get(name, 0.0) for name, own in now.functions.items()}
    named = sorted(grown.items(), key=lambda each: -each[1])[:NAMED]
    where = "".join(f"\n    {more:+10,.0f}  {name}" for name, more in named if more > 0)
    return [
        f"{case}: {now.total:,.0f} instructions, {change:.1%} more than the {before.total:,.0f} that are kept (at most "
        f"{MARGIN:.0%} more); the functions that grew most:{where}"
    ]
