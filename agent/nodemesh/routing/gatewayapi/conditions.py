"""What is to be said of an object: conditions with their reasons, before anybody writes them down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...config.gatewayapi.common import ParentReference


class Condition(NamedTuple):
    """One statement (meta/v1 Condition without times and generation)."""

    type: str
    status: bool
    reason: str
    message: str = ""


def accepted(reason: str = "Accepted", message: str = "") -> Condition:
    return Condition("Accepted", True, reason, message)


def refused(reason: str, message: str) -> Condition:
    return Condition("Accepted", False, reason, message)


def resolved() -> Condition:
    return Condition("ResolvedRefs", True, "ResolvedRefs")


def unresolved(reason: str, message: str) -> Condition:
    return Condition("ResolvedRefs", False, reason, message)


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((entry for entry in conditions if entry.type == kind), None)


def holds(conditions: Iterable[Condition], kind: str) -> bool:
    found = find(conditions, kind)
    return found is not None and found.status


class ListenerVerdict(NamedTuple):
    """One listener of a Gateway or ListenerSet."""

    name: str
    kinds: tuple[tuple[str, str], ...]  # group and kind of routes that may attach
    routes: int  # that have
    conditions: tuple[Condition, ...]


class GatewayVerdict(NamedTuple):
    """A Gateway or a ListenerSet; `sets` counts the ListenerSets that attach."""

    conditions: tuple[Condition, ...]
    listeners: tuple[ListenerVerdict, ...]
    sets: int = 0


class ParentVerdict(NamedTuple):
    """What a route is to one of its parents."""

    parent: ParentReference
    controller: str
    conditions: tuple[Condition, ...]


class AncestorVerdict(NamedTuple):
    """What a policy is to one Gateway, or one Service of the mesh, (`namespace/name`) that it matters for."""

    name: str
    controller: str
    conditions: tuple[Condition, ...]
    kind: str = "Gateway"
