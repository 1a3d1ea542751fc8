"""What is wrong with the configuration, as log and status tell it."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..config.problems import Problem, Severity
from .logs import Log

#: New findings that are logged one by one.
LOGGED = 20

#: Changes that are named in a line.
CAUSES = 3


def why_refused(problems: Sequence[Problem]) -> str:
    """Why some of it is not in force; empty where all is."""
    refused = [problem for problem in problems if problem.refused]
    if not refused:
        return ""
    count = "" if len(refused) == 1 else f" (and {len(refused) - 1} more)"
    return f"{refused[0].location}: {refused[0].message}{count}; what was good before stays in force"


def tell_new(log: Log, problems: Sequence[Problem], known: Container[Problem]) -> None:
    """Log what was not known before."""
    new = [problem for problem in problems if problem not in known]
    for problem in new[:LOGGED]:
        say = log.error if problem.severity is Severity.ERROR else log.warning
        where = {"at": problem.location, "object": _object(problem), "field": problem.path}
        say(problem.message, **{name: value for name, value in where.items() if str(value)})
    if len(new) > LOGGED:
        log.warning("more is found in the configuration; `nodemesh status` has all of it", more=len(new) - LOGGED)


def tell_read(log: Log, version: int, causes: Sequence[str], error: str) -> None:
    """Log that the files were read again, and what came of it; `error` says why some of it is not in force."""
    told = "; ".join(causes[:CAUSES])
    if len(causes) > CAUSES:
        told += f"; and {len(causes) - CAUSES} more"
    if error:
        log.warning("configuration read again: not all of it is in force", version=version, changed=told)
    else:
        log.info("configuration read again", version=version, changed=told)


def _object(problem: Problem) -> str:
    return f"{problem.kind} {problem.namespace}/{problem.name}" if problem.name else ""
