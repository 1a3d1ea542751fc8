"""Findings across objects: what no single object shows, such as hosts that nobody has and rules that never apply.

`findings.py` collects them with their places, `codes.py` lists their codes; the checks stand in `hosts.py`
(destinations, subsets, short names), `conflicts.py` (objects that cancel each other out), `ownership.py`
(claims on what is another namespace's), `candidates.py`, `gateways.py`, `regexes.py`, `services.py`,
`telemetries.py` and `routes.py` (the Gateway API)."""

from __future__ import annotations

from ...config.problems import Problem
from ...registry.snapshot import Snapshot
from ..compile import compile_tables
from ..tables import Tables
from . import candidates, conflicts, gateways, hosts, ownership, regexes, routes, services, telemetries
from .findings import LintFindings


def lint(snapshot: Snapshot, tables: Tables | None = None, *, live: bool = False) -> tuple[Problem, ...]:
    """All findings across objects, in the order of their places. Checks against the registry are left out where it is
    empty: then only rules were given, and every host would be unknown. `tables` are the snapshot's, where they are at
    hand. Whether a service has endpoints is looked at where it is `live`: files mostly come without."""
    findings = LintFindings(snapshot, tables if tables is not None else compile_tables(snapshot), live)
    candidates.check(findings)
    conflicts.check(findings)
    gateways.check(findings)
    routes.check(findings)
    regexes.check(findings)
    telemetries.check(findings)
    if snapshot.services:
        hosts.check(findings)
        services.check(findings)
        ownership.check(findings)
    return tuple(sorted(findings.problems, key=order))


def order(problem: Problem) -> tuple[str, int, int, str]:
    return problem.location.file, problem.location.line, problem.location.column, problem.code
