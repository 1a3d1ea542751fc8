"""Writes into the status of Istio's objects what becomes of them, where MeshConfig's enableStatus asks for it.

The form is Istio's IstioStatus (meta/v1alpha1): the condition `Reconciled` with the generation that it is about, and in
validationMessages the code of Istio's analyzers for an object that is refused. One agent writes; what others have
written beside this stays. Nothing is written that stands there already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ..registry.assemble import ObjectKey
from ..registry.sources.api import Api, ApiError
from ..registry.sources.cluster import Verdict
from .election import JSON, PAUSE_SECONDS, Clock, Election, utc_now
from .logs import Log

log = Log("control")

#: Seconds between looks for something to write.
INTERVAL = 2.0

#: Seconds between two objects that are looked at: a new leader looks at all of them.
PACE = 0.1

#: How often one object is tried where others write to it as well.
TRIES = 3

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

    uid: str
    generation: int
    refused: bool
    message: str


def opinion_of(verdict: Verdict) -> Opinion:
    told = "; ".join(f"{item.path}: {item.message}" if item.path else item.message for item in verdict.problems)
    refused = any(item.refused for item in verdict.problems)
    if refused:
        message = f"refused, the version before (if any) stays in force: {told}"
    else:
        message = f"in force; {told}" if told else "in force"
    return Opinion(verdict.uid, verdict.generation, refused, message[:MAX_MESSAGE])


class StatusWriter:
    """`verdicts` is what is known of all objects, `enabled` whether it is to be written."""

    def __init__(
        self,
        api: Api,
        verdicts: Callable[[], Iterable[Verdict]],
        enabled: Callable[[], bool],
        election: Election,
        random: Callable[[], float],
        now: Clock = utc_now,
        pace: float = PACE,
    ) -> None:
        self._api = api
        self._verdicts = verdicts
        self._enabled = enabled
        self._election = election
        self._random = random
        self._now = now
        self._pace = pace
        self._said: dict[ObjectKey, Opinion] = {}  # what stands there, as far as this agent has seen to it

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL * (0.5 + self._random()))
            if not self._enabled():
                self._said.clear()
                continue
            try:
                if not await self.write():
                    await asyncio.sleep(PAUSE_SECONDS * (0.5 + self._random()))
            except ApiError as error:
                mend = "; manifests/overlays/status has the rights for it" if error.status == 403 else ""
                log.warning("statuses could not be written", error=f"{error}{mend}")
                await asyncio.sleep(PAUSE_SECONDS)

    async def write(self) -> bool:
        """Bring all statuses up to date; False where another agent does. Raises ApiError."""
        if not await self._election.hold():
            self._said.clear()  # it may say something else meanwhile
            return False
        verdicts = {verdict.key: verdict for verdict in self._verdicts()}
        self._said = {key: opinion for key, opinion in self._said.items() if key in verdicts}
        for key, verdict in verdicts.items():
            opinion = opinion_of(verdict)
            if self._said.get(key) == opinion:
                continue
            if not await self._election.hold():
                return False
            if await self._say(verdict.path, opinion):
                self._said[key] = opinion
            await asyncio.sleep(self._pace)
        return True

    async def _say(self, path: str, opinion: Opinion) -> bool:
        """False where it is to be tried again."""
        for _ in range(TRIES):
            try:
                data = msgspec.json.decode(await self._api.get(path, {}, JSON))
                meta = data["metadata"]
                if (meta.get("uid"), meta.get("generation", 0)) != (opinion.uid, opinion.generation):
                    return False  # newer than what was judged: the watch will tell
                status = status_with(data.get("status") or {}, opinion, self._now())
                if status is not None:
                    body = msgspec.Raw(msgspec.json.encode({**data, "status": status}))
                    await self._api.send("PUT", f"{path}/status", body)
                return True
            except ApiError as error:
                if error.status == 404:
                    return True  # gone, or a CRD without statuses
                if error.status != 409:
                    raise
        return False


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
        "status": "False" if opinion.refused else "True",
        "reason": "Refused" if opinion.refused else "Accepted",
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
