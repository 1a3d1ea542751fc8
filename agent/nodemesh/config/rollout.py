"""A staged rollout: which clients get a changed object first, for how long, and what takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import Duration, Model
from .decode import decode
from .problems import Findings, path_text
from .yaml import Flaw, read

#: On a VirtualService or DestinationRule: `enabled` (as MeshConfig's rollout says), `disabled`, or a plan of its own as
#: YAML or JSON, for instance `{clients: 10, hold: 10m}`.
ROLLOUT = "nodemesh.io/rollout"
ENABLED = "enabled"
DISABLED = "disabled"

#: Kinds that can be rolled out: what clients make of these, each by itself.
STAGED_KINDS = frozenset({"VirtualService", "DestinationRule"})

#: Longer annotations are not read.
MAX_ANNOTATION = 4096

#: The shortest and the longest time that canaries keep a change before all get it, in milliseconds.
SHORTEST, LONGEST = 1000, 7 * 24 * 3600 * 1000


class RolloutPlan(Model, frozen=True, kw_only=True):
    """Canaries are so many percent of all client pods, and those of the nodes with these labels. All get the change
    when canaries have had it for `hold`; it is taken back once more than `max_errors` percent of the canaries'
    requests to the object's hosts failed, of at least `min_requests`."""

    clients: float = 0.0
    nodes: dict[str, str] = {}
    hold: Duration = Duration(600_000)
    max_errors: float = 5.0
    min_requests: int = 20


#: What `enabled` means where MeshConfig says nothing.
DEFAULT_PLAN = RolloutPlan(clients=10.0)


def read_rollout(annotations: Mapping[str, str], default: RolloutPlan | None) -> tuple[RolloutPlan | None, str]:
    """The plan that an object's annotation says, None: there is none; and what is wrong with it (empty: nothing)."""
    text = annotations.get(ROLLOUT, "").strip()
    if text in ("", DISABLED):
        return None, ""
    if text == ENABLED:
        return default or DEFAULT_PLAN, ""
    if len(text) > MAX_ANNOTATION:
        return None, f"it is longer than {MAX_ANNOTATION} characters"
    document = next(read(text, ROLLOUT), None)
    if document is None or isinstance(document, Flaw):
        return None, document.message if document is not None else "it says nothing"
    data: Any = document.root.value
    if not isinstance(data, dict):
        return None, "right is enabled, disabled, or for instance {clients: 10, hold: 10m}"
    findings = Findings()
    plan = decode(data, RolloutPlan, (), findings)
    if plan is not None:
        check_rollout(plan, (), findings)
    if findings.items:
        first = findings.items[0]
        return None, f"{path_text(first.path)}: {first.message}" if first.path else first.message
    return plan, ""


def check_rollout(plan: RolloutPlan, path: tuple[str | int, ...], findings: Findings) -> None:
    for name, value in (("clients", plan.clients), ("maxErrors", plan.max_errors)):
        if not 0 <= value <= 100:
            findings.bad_value("bad-percentage", (*path, name), f"{value:g} is not a percentage, 0 to 100")
    if not plan.clients and not plan.nodes:
        findings.error("missing-field", path, "a rollout needs its canaries: clients, or nodes, or both")
    if not SHORTEST <= plan.hold <= LONGEST:
        findings.bad_value("bad-duration", (*path, "hold"), "hold is between 1s and 168h")
    if plan.min_requests < 1:
        findings.bad_value("out-of-range", (*path, "minRequests"), "minRequests is at least 1")
