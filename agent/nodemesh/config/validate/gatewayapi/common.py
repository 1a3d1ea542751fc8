"""Rules about lists and references that several kinds of the Gateway API share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from ...gatewayapi.common import BackendReference, ParentReference
from ...meta import Path
from ...problems import Findings

T = TypeVar("T")


def check_unique(values: Iterable[Hashable], path: Path, findings: Findings, what: str, *field: str) -> None:
    """Values that may not repeat; None counts for none. `field` leads from an element to its value."""
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        if value is not None and value in seen:
            findings.bad_value("duplicate-name", (*path, index, *field), f"{what} `{value}` is there twice; remove one")
        seen.add(value)


def check_parents(parents: Sequence[ParentReference], path: Path, findings: Findings) -> None:
    """Several references to one parent are told apart by sectionName, or by port, which all of them have."""
    check_told_apart(
        parents,
        lambda one: (one.group, one.kind, one.namespace, one.name),
        lambda one: (one.section_name, one.port),
        path,
        findings,
        "parentRefs that name one parent need each its own sectionName or port",
    )


def check_told_apart(
    items: Sequence[T],
    same: Callable[[T], Hashable],
    parts: Callable[[T], tuple[Hashable, ...]],
    path: Path,
    findings: Findings,
    message: str,
) -> None:
    """Of items with the same target all have the same parts, and no two the same values of them."""
    first: dict[Hashable, tuple[Hashable, ...]] = {}
    seen: set[tuple[Hashable, tuple[Hashable, ...]]] = set()
    for index, item in enumerate(items):
        target, values = same(item), parts(item)
        shape = tuple(value is None for value in values)
        if (target, values) in seen or first.setdefault(target, shape) != shape:
            findings.error("duplicate-name", (*path, index), message)
        seen.add((target, values))


def check_backend(backend: BackendReference, path: Path, findings: Findings) -> None:
    if not backend.group and backend.kind == "Service" and backend.port is None:
        findings.error("missing-field", (*path, "port"), f"port is required here: which one of Service {backend.name}?")
