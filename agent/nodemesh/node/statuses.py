"""Writes into the status of Istio's objects what becomes of them, where MeshConfig's enableStatus asks for it.

The form is Istio's IstioStatus (meta/v1alpha1): the condition `Reconciled` with the generation that it is about, and in
validationMessages the code of Istio's analyzers for an object that is refused. What others have written beside this
stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from ..registry.assemble import ObjectKey
from ..registry.sources.api import Api
from ..registry.sources.cluster import ObjectVerdict
from .election import PAUSE_SECONDS, Clock, Election, utc_now
from .reconciler import Reconciler
from .subresource import update_status

#: Seconds between two objects that are looked at: a new leader looks at all of them.
PACE = 0.1

#: The longest message of a condition (meta/v1 Condition has this bound).
MAX_MESSAGE = 32768

RECONCILED = "Reconciled"

#: Istio's analyzers call this SchemaValidationError (analysis/v1alpha1 AnalysisMessageBase).
INVALID = "IST0106"
INVALID_MESSAGE = {
    "type": {"name": "SchemaValidationError", "code": INVALID},
    "level": "ERROR",
    "documentationUrl": "https://istio.io/latest/docs/reference/config/analysis/ist0106/",
}


class Opinion(NamedTuple):
    """What is to be said of one state of an object."""

    path: str
    uid: str
    generation: int
    refused: bool
    message: str
    held_back: bool = False


def opinion_of(verdict: ObjectVerdict) -> Opinion:
    told = "; ".join(f"{item.path}: {item.message}" if item.path else item.message for item in verdict.problems)
    refused = any(item.refused for item in verdict.problems)
    if refused:
        message = f"refused, the version before (if any) stays in force: {told}"
    else:
        message = f"in force; {told}" if told else "in force"
    held = verdict.held_back if not refused else None
    if held is not None:
        message = f"{held.message}; {told}" if told else held.message
    return Opinion(verdict.path, verdict.uid, verdict.generation, refused, message[:MAX_MESSAGE], held is not None)


class StatusWriter(Reconciler[ObjectKey, Opinion]):
    """`verdicts` is what is known of all objects, `enabled` whether it is to be written."""

    interval = 2.0
    pause = PAUSE_SECONDS
    failure = "statuses could not be written"
    rights = "manifests/overlays/status"

    def __init__(
        self,
        api: Api,
        verdicts: Callable[[], Iterable[ObjectVerdict]],
        enabled: Callable[[], bool],
        election: Election,
        random: Callable[[], float],
        now: Clock = utc_now,
        pace: float = PACE,
    ) -> None:
        super().__init__(election, random, pace)
        self._api = api
        self._verdicts = verdicts
        self._enabled = enabled
        self._now = now

    def wanted(self) -> dict[ObjectKey, Opinion]:
        if not self._enabled():
            return {}
        return {verdict.key: opinion_of(verdict) for verdict in self._verdicts()}

    async def put(self, key: ObjectKey, item: Opinion) -> bool:
        return await update_status(
            self._api, item.path, item.uid, item.generation, lambda status: status_with(status, item, self._now())
        )


def status_with(status: dict[str, Any], opinion: Opinion, now: datetime) -> dict[str, Any] | None:
    """A status with the opinion in it; None where it says that already."""
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    before = conditions.get(RECONCILED, {})
    given = status.get("validationMessages") or []
    messages = [item for item in given if (item.get("type") or {}).get("code") != INVALID]
    if opinion.refused:
        messages.append(INVALID_MESSAGE)
    said = {
        "type": RECONCILED,
        "status": "False" if opinion.refused or opinion.held_back else "True",
        "reason": "Refused" if opinion.refused else "Staged" if opinion.held_back else "Accepted",
        "message": opinion.message,
    }
    if (
        all(before.get(name) == value for name, value in said.items())
        and messages == given
        and str(status.get("observedGeneration", 0)) == str(opinion.generation)  # protobuf's JSON has it as a string
    ):
        return None
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    turned = moment if before.get("status") != said["status"] else before.get("lastTransitionTime", moment)
    conditions[RECONCILED] = {**said, "lastProbeTime": moment, "lastTransitionTime": turned}
    return {
        **status,
        "conditions": list(conditions.values()),
        "validationMessages": messages,
        "observedGeneration": opinion.generation,
    }
