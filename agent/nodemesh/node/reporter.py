"""Says in the cluster what was refused: an Event for each object that is not in force as it stands there.

Every agent refuses the same objects, but one writes: the chosen one, and they ask who that is only while there is
something to say. A cluster whose rules are good sees none of this."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from ..config.kinds import KINDS
from ..registry.sources.api import Api, ApiError
from ..registry.sources.cluster import Refusal
from .election import PAUSE_SECONDS, Clock, Election, micro_time, utc_now
from .logs import Log

log = Log("control")

#: Seconds between looks for something to say.
INTERVAL = 2.0

#: The longest note that an Event may have (events.k8s.io/v1).
MAX_NOTE = 1024

Mark = tuple[str, str]


class Reporter:
    """`identity` is this agent's name."""

    def __init__(
        self,
        api: Api,
        refusals: Callable[[], Iterable[Refusal]],
        election: Election,
        identity: str,
        random: Callable[[], float],
        now: Clock = utc_now,
    ) -> None:
        self._api = api
        self._refusals = refusals
        self._election = election
        self._identity = identity
        self._random = random
        self._now = now
        self._told: set[Mark] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL * (0.5 + self._random()))
            try:
                if not await self.report():
                    await asyncio.sleep(PAUSE_SECONDS * (0.5 + self._random()))
            except ApiError as error:
                log.warning("refused objects could not be told", error=error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def report(self) -> bool:
        """Write what has not been written; False where another agent does. Raises ApiError."""
        refusals = {mark(refusal): refusal for refusal in self._refusals()}
        self._told &= refusals.keys()
        due = [refusal for key, refusal in refusals.items() if key not in self._told]
        if not due:
            return True
        if not await self._election.hold():
            return False
        for refusal in due:
            event = event_of(refusal, self._identity, self._now())
            namespace = event["metadata"]["namespace"]
            await self._create(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)
            self._told.add(mark(refusal))
        return True

    async def _create(self, path: str, data: dict[str, Any]) -> bool:
        """False where it is there already."""
        try:
            await self._api.send("POST", path, msgspec.Raw(msgspec.json.encode(data)))
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True


def mark(refusal: Refusal) -> Mark:
    """This object as its author left it: what others write of its status changes its resourceVersion, and nothing that
    is refused. Kinds without generations are told apart by what is wrong with them."""
    generation = refusal.head.generation
    return refusal.head.uid, str(generation) if generation else note_of(refusal)


def note_of(refusal: Refusal) -> str:
    return "; ".join(f"{item.path}: {item.message}" if item.path else item.message for item in refusal.problems)


def event_of(refusal: Refusal, identity: str, now: datetime) -> dict[str, Any]:
    """An events.k8s.io/v1 Event. Its name follows from what it says, so that it is written once."""
    key, head = refusal.key, refusal.head
    kind = KINDS[key.group, key.kind]
    note = note_of(refusal)
    digest = hashlib.sha256("\0".join((*mark(refusal), note)).encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{key.name[:200]}.{digest}", "namespace": key.namespace or "default"},
        "eventTime": micro_time(now),
        "type": "Warning",
        "reason": "Refused",
        "action": "Validate",
        "note": note[:MAX_NOTE],
        "reportingController": "nodemesh.io/agent",
        "reportingInstance": identity[:128],
        "regarding": {
            "apiVersion": f"{kind.group}/{kind.versions[0]}" if kind.group else kind.versions[0],
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": head.uid,
            "resourceVersion": head.resource_version,
        },
    }
