"""What is wrong with the configuration, as log and status tell it."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..config.problems import Problem, Severity
from .logs import Log

#: New findings that are logged one by one.
LOGGED = 20


def why_refused(problems: Sequence[Problem]) -> str:
    """Why some of it is not in force; empty where all is."""
    refused = [problem for problem in problems if problem.refused]
    if not refused:
        return ""
    count = "" if len(refused) == 1 else f" (and {len(refused) - 1} more)"
    return f"{refused[0].location}: {refused[0].message}{count}; what was good before stays in force"


def tell_new(log: Log, problems: Sequence[Problem], known: Container[Problem]) -> None:
    """Log what was not known before."""
    for problem in [problem for problem in problems if problem not in known][:LOGGED]:
        say = log.error if problem.severity is Severity.ERROR else log.warning
        say(problem.message, at=problem.location, field=problem.path)
