"""What a configuration must have for the agent to begin with it."""

from __future__ import annotations

from ..config.problems import Severity
from ..registry.snapshot import Snapshot
from .options import StartError


def check_first(snapshot: Snapshot, *, strict: bool) -> None:
    """Raises StartError where there is nothing but errors, or, if `strict`, anything that was refused."""
    errors = [problem for problem in snapshot.problems if problem.severity is Severity.ERROR]
    if errors and not snapshot.services and not snapshot.workloads and not snapshot.virtual_services:
        raise StartError(
            f"the configuration has nothing but errors ({len(errors)} in all); the first is at "
            f"{errors[0].location}: {errors[0].message}"
        )
    refused = [problem for problem in snapshot.problems if problem.refused]
    if refused and strict:
        raise StartError(
            f"{refused[0].location}: {refused[0].message} ({len(refused)} in all); mend it, or start by what is "
            "good in the configuration, with --keep-going"
        )
