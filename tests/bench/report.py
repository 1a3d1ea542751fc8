"""The run as tables for people and as JSON for scripts."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .outcome import Figure, Outcome
from .thresholds import Verdict

#: Columns that a table is measured with, however narrow the terminal is.
WIDEST = 1000


def show(console: Console, suite: str, outcome: Outcome) -> None:
    """A row for each case and subject, a column for each figure's name; where the terminal is too narrow for that, a
    row for each figure and a column for each subject."""
    table = broad(suite, outcome.figures)
    if console.measure(table, options=console.options.update(max_width=WIDEST)).maximum > console.width:
        table = tall(suite, outcome.figures)
    console.print(table)
    for note in outcome.notes:
        console.print(f"  {note}", style="dim", markup=False)


def broad(suite: str, figures: Sequence[Figure]) -> Table:
    table = Table(title=suite, title_justify="left", title_style="bold")
    table.add_column("case", no_wrap=True)
    subjects = any(figure.subject for figure in figures)
    if subjects:
        table.add_column("subject", no_wrap=True)
    names = distinct(figure.name for figure in figures)
    mixed = len({figure.unit for figure in figures if figure.name == names[0]}) > 1
    units = {figure.name: figure.unit for figure in figures}
    for name in names:
        table.add_column(name if mixed else f"{name}\n{units[name]}", justify="right", no_wrap=True)
    rows: dict[tuple[str, str], dict[str, Figure]] = {}
    for figure in figures:
        rows.setdefault((figure.case, figure.subject), {})[figure.name] = figure
    last = ""
    for (case, subject), row in rows.items():
        cells = [cell(row.get(name), mixed) for name in names]
        table.add_row("" if case == last else case, *([subject] if subjects else []), *cells)
        last = case
    return table


def tall(suite: str, figures: Sequence[Figure]) -> Table:
    table = Table(title=suite, title_justify="left", title_style="bold")
    subjects = distinct(figure.subject for figure in figures)
    table.add_column("case")
    for subject in subjects:
        table.add_column(subject, justify="right", no_wrap=True)
    for case in distinct(figure.case for figure in figures):
        rows: dict[str, dict[str, Figure]] = {}
        for figure in figures:
            if figure.case == case:
                rows.setdefault(figure.name, {})[figure.subject] = figure
        if len(rows) > 1:
            table.add_section()
            table.add_row(case, style="bold")
        for name, row in rows.items():
            title = f"  {name}" if len(rows) > 1 else case
            table.add_row(title, *(cell(row.get(subject), True) for subject in subjects))
    return table


def distinct(words: Iterable[str]) -> list[str]:
    """In the order of their first coming."""
    return list(dict.fromkeys(words))


def cell(figure: Figure | None, with_unit: bool) -> str:
    if figure is None:
        return ""
    return f"{written(figure.value)} {figure.unit}".rstrip() if with_unit else written(figure.value)


def written(value: float) -> str:
    """Three significant digits, thousands in full."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def conclude(console: Console, outcomes: Mapping[str, Outcome], verdicts: list[Verdict]) -> bool:
    """Prints mistakes and verdicts; whether all is well."""
    for verdict in verdicts:
        mark, style = ("✓", "green") if verdict.met else ("✗", "red")
        console.print(f"{mark} {verdict.threshold}: {cell(verdict.figure, True)}", style=style, markup=False)
    mistakes = [f"{suite}: {mistake}" for suite, outcome in outcomes.items() for mistake in outcome.mistakes]
    for mistake in mistakes:
        console.print(f"✗ {mistake}", style="red", markup=False)
    return not mistakes and all(verdict.met for verdict in verdicts)


def document(outcomes: Mapping[str, Outcome], verdicts: list[Verdict]) -> dict[str, Any]:
    """The run as plain data."""
    return {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "kernel": platform.release(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "suites": {
            suite: {
                "figures": [figure._asdict() for figure in outcome.figures],
                "mistakes": outcome.mistakes,
                "notes": outcome.notes,
            }
            for suite, outcome in outcomes.items()
        },
        "thresholds": [
            {**v.threshold._asdict(), "value": v.figure.value, "unit": v.figure.unit, "met": v.met} for v in verdicts
        ],
        "passed": all(v.met for v in verdicts) and not any(o.mistakes for o in outcomes.values()),
    }


def write(path: Path, outcomes: Mapping[str, Outcome], verdicts: list[Verdict]) -> None:
    path.write_text(json.dumps(document(outcomes, verdicts), indent=2, ensure_ascii=False) + "\n")
