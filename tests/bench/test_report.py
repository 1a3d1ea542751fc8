"""Figures are shown whole, however narrow the terminal is."""

import io

import pytest
from rich.console import Console

from .outcome import Figure, Outcome
from .report import show

FIGURES = [
    Figure(case, subject, f"what is measured {number}", 10.0 + number, "ms")
    for case in ("one case", "another")
    for subject in ("envoy", "nodemesh")
    for number in range(6)
]


@pytest.mark.parametrize("width", [60, 80, 400])
def test_no_figure_is_cut(width):
    sink = io.StringIO()
    show(Console(file=sink, width=width), "suite", Outcome(FIGURES, [], ["a note"]))
    text = sink.getvalue()
    assert "…" not in text and max(map(len, text.splitlines())) <= width
    for number in range(6):
        assert text.count(f"{10 + number}.0") == 4
    assert len([line for line in text.splitlines() if "what is measured" in line]) == (1 if width == 400 else 12)
