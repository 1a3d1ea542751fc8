"""Regular expressions of a host's rules that are too costly together to be one pass over a path."""

from __future__ import annotations

from functools import lru_cache

from ...config import regex
from ..match import ATTEMPT, BUDGET, MANY
from .findings import LintFindings


def check(findings: LintFindings) -> None:
    for virtual_service in findings.tables.virtual_services.values():
        item = findings.snapshot.virtual_services[virtual_service.key]
        texts = tuple(
            match.uri.regex
            for rule in item.spec.http
            for match in rule.match
            if match.uri is not None and match.uri.regex not in (None, "*")
        )
        if len(texts) >= MANY and not one_pass(texts):
            reach = max(BUDGET // len(texts) - ATTEMPT, 0)
            message = (
                f"its {len(texts)} regular expressions for paths are too costly to be matched together: each is tried, "
                f"and a path longer than {reach} bytes that none of them matches gets 503 (rules_too_costly); use "
                "prefix or exact, or expressions without large repeats"
            )
            findings.warn("costly-regexes", item, ("spec", "http"), message)


@lru_cache(256)
def one_pass(texts: tuple[str, ...]) -> bool:
    """Whether RE2 holds a path against all of them at once."""
    try:
        return regex.PatternSet([regex.compile(text) for text in texts]).usable
    except regex.RegexError:  # which is a finding of its own
        return True
