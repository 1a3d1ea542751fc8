"""Candidates in annotations: what is wrong with them is told where they stand, since no shadow tries those."""

from __future__ import annotations

from ...config.candidate import PATH, candidate_of, has_candidate
from ...registry.store import RULE_KINDS
from .findings import LintFindings


def check(findings: LintFindings) -> None:
    for attribute in RULE_KINDS.values():
        for item in getattr(findings.snapshot, attribute).values():
            for problem in candidate_of(item).problems if has_candidate(item) else ():
                findings.warn("bad-candidate", item, PATH, problem.message)
