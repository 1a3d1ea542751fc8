"""What a suite brings home: figures with a name each, and the mistakes that make the whole run fail."""

from __future__ import annotations

from typing import NamedTuple


class Options(NamedTuple):
    """How the user wants the run."""

    quick: bool = False  # under a minute, for a look; not for judging
    case: str = ""  # only cases whose name contains this
    beside: tuple[str, ...] = ()  # who runs beside Envoy in the HTTP suite
    keep: bool = False  # the instructions that are counted, as what later runs are held against

    def wants(self, case: str) -> bool:
        return self.case in case


class Figure(NamedTuple):
    """One measured number. `subject` is whose it is; empty for ratios and where there is but one."""

    case: str
    subject: str
    name: str
    value: float
    unit: str = ""


class Outcome(NamedTuple):
    figures: list[Figure]
    mistakes: list[str]  # wrong answers, dropped connections, spinning processes, leaks
    notes: list[str]  # what the reader must know to judge the figures

    def find(self, case: str, name: str, subject: str = "") -> Figure | None:
        return next((f for f in self.figures if (f.case, f.subject, f.name) == (case, subject, name)), None)
