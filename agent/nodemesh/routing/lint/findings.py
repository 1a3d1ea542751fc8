"""Collects findings, each at its place in an object."""

from __future__ import annotations

from typing import Any

from ...config.meta import Object, Path
from ...config.problems import Problem, Severity, path_text
from ...registry.snapshot import Service, Snapshot
from ..names import covers
from ..tables import Tables


def known_hosts(tables: Tables, host: str) -> list[str]:
    """The registry's hosts that a host (or wildcard) means: itself, a wildcard over it, or all below it."""
    if host.startswith("*"):
        return [known for known in tables.services if covers(host, known)]
    exact = [host] if host in tables.services else []
    return exact + [known for known in tables.wildcard_services if covers(known, host)]


class LintFindings:
    __slots__ = ("live", "problems", "snapshot", "tables")

    def __init__(self, snapshot: Snapshot, tables: Tables, live: bool) -> None:
        self.live = live
        self.snapshot = snapshot
        self.tables = tables
        self.problems: list[Problem] = []

    def warn(self, code: str, item: Object[Any], path: Path, message: str) -> None:
        """Probably not what was meant."""
        self._add(code, item, path, message, Severity.WARNING)

    def error(self, code: str, item: Object[Any], path: Path, message: str) -> None:
        """Traffic will fail."""
        self._add(code, item, path, message, Severity.ERROR)

    def note(self, code: str, service: Service, message: str) -> None:
        """Worth knowing of a service, which may have been made from any object."""
        self.problems.append(
            Problem(
                code=code,
                message=message,
                severity=Severity.INFO,
                location=service.location,
                kind=service.kind,
                namespace=service.namespace,
                name=service.name,
            )
        )

    def _add(self, code: str, item: Object[Any], path: Path, message: str, severity: Severity) -> None:
        problem = Problem(
            code=code,
            message=message,
            severity=severity,
            location=item.locate(*path),
            kind=item.kind,
            group=item.group,
            namespace=item.meta.namespace,
            name=item.meta.name,
            path=path_text(path),
        )
        self.problems.append(problem)
