"""Says in the cluster which of this node's pods cannot be served and why: an Event at the pod, for whoever owns it.

Each agent speaks of its own node's pods, so that nobody has to be chosen."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..registry.sources.api import Api, ApiError
from .election import Clock, micro_time, utc_now
from .enrol import Failing
from .logs import Log
from .reporter import MAX_NOTE

log = Log("control")

#: Seconds between looks: what has passed by the second one is not worth a word.
INTERVAL = 5.0

#: Seconds between two Events of one pod: its annotations may change, and with them what is wrong, as often as it likes.
PAUSE = 60.0


class PodEvents:
    """`node` is this node's name."""

    def __init__(
        self,
        api: Api,
        failing: Callable[[], Sequence[Failing]],
        node: str,
        clock: Callable[[], float],
        now: Clock = utc_now,
    ) -> None:
        self._api = api
        self._failing = failing
        self._node = node
        self._clock = clock
        self._now = now
        self._seen: dict[str, str] = {}  # by the pod's uid: why, at the last look
        self._told: dict[str, tuple[str, float]] = {}  # by the pod's uid: why, and when that was said

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.report()
            except ApiError as error:
                log.warning("pods that cannot be served could not be told", error=error)

    async def report(self) -> None:
        """Write what stands for the second time and has not been written. Raises ApiError."""
        failing = {one.pod.uid: one for one in self._failing() if one.pod.uid}
        seen, self._seen = self._seen, {uid: one.why for uid, one in failing.items()}
        self._told = {uid: told for uid, told in self._told.items() if uid in failing}
        for uid, one in failing.items():
            why, when = self._told.get(uid, ("", -PAUSE))
            if seen.get(uid) != one.why or why == one.why or self._clock() - when < PAUSE:
                continue
            await self._create(one)
            self._told[uid] = one.why, self._clock()

    async def _create(self, failing: Failing) -> None:
        event = event_of(failing, self._node, micro_time(self._now()))
        path = f"/apis/events.k8s.io/v1/namespaces/{failing.pod.namespace}/events"
        try:
            await self._api.send("POST", path, msgspec.Raw(msgspec.json.encode(event)))
        except ApiError as error:
            if error.status not in (404, 409):  # the namespace is going, or it is there already
                raise


def event_of(failing: Failing, node: str, time: str) -> dict[str, Any]:
    """An events.k8s.io/v1 Event. Its name follows from what it says, so that a restarted agent writes it once."""
    pod = failing.pod
    digest = hashlib.sha256(f"{pod.uid}\0{failing.why}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{pod.name[:200]}.{digest}", "namespace": pod.namespace},
        "eventTime": time,
        "type": "Warning",
        "reason": "NotInMesh",
        "action": "Enrol",
        "note": failing.why[:MAX_NOTE],
        "reportingController": "nodemesh.io/agent",
        "reportingInstance": node[:128],
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid,
        },
    }
