"""Leads staged rollouts: one agent of all decides by what every agent has counted of its canaries.

What is decided stands in one ConfigMap, which all nodes obey (registry/staging.py); what an agent has counted, in one
of its own, written while a rollout is on. A leader that takes over finds all of it there."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from ..registry.assemble import ObjectKey
from ..registry.sources.api import Api, ApiError
from ..registry.staging import ABSENT, STATE, RolloutEntry, RolloutPhase, RolloutStep, Staging
from .election import JSON, PAUSE_SECONDS, Clock, Election, micro_time, utc_now
from .logs import Log
from .rollout import CanaryTally, Entries, decided, is_settled

log = Log("control")

#: Seconds between looks, and between an agent's reports where no more of its canaries' requests failed.
INTERVAL = 1.0
REPORT_PAUSE = 5.0

#: The most reports a second of a big cluster's agents together, and where more requests failed: the first few are
#: enough to take a change back.
REPORTS_OF_ALL = 20.0
WORSE_REPORTS = 200.0

#: Seconds that count as lately.
RECENT = 30.0

MAPS = f"/api/v1/namespaces/{STATE.namespace}/configmaps"

#: The label and the key of reports.
REPORTS = "nodemesh.io/canaries"
COUNTS = "counts"

#: Bytes of a report that are read: agents have no more than a few rollouts.
MAX_REPORT = 64 * 1024

Counts = Mapping[str, tuple[int, int]]

#: What an Event says of a phase: its type and its reason.
EVENTS = {
    RolloutPhase.CANARY: ("Normal", "RolloutBegan"),
    RolloutPhase.COMPLETE: ("Normal", "RolloutComplete"),
    RolloutPhase.BACK: ("Warning", "RolloutTakenBack"),
}

#: What all clients have afterwards.
AFTERWARDS = {
    (RolloutStep.CHANGED, RolloutPhase.COMPLETE): "all clients have the change",
    (RolloutStep.CREATED, RolloutPhase.COMPLETE): "all clients have the new object",
    (RolloutStep.REMOVED, RolloutPhase.COMPLETE): "no client has the object any more",
    (RolloutStep.CHANGED, RolloutPhase.BACK): "what was before is in force for all clients",
    (RolloutStep.CREATED, RolloutPhase.BACK): "no client has the new object",
    (RolloutStep.REMOVED, RolloutPhase.BACK): "the object is in force for all clients, though it was removed",
}


class Rollouts:
    """`staging` is what this agent knows of rollouts, `counts` what its workers have counted of canaries, by rollout.
    `ready` is that the cluster is known."""

    def __init__(
        self,
        api: Api,
        node: str,
        ready: Callable[[], bool],
        staging: Callable[[], Staging],
        counts: Callable[[], Awaitable[Counts]],
        election: Election,
        random: Callable[[], float],
        monotonic: Callable[[], float],
        now: Clock = utc_now,
    ) -> None:
        self._api = api
        self._node = node
        self._ready = ready
        self._staging = staging
        self._counts = counts
        self._election = election
        self._random = random
        self._monotonic = monotonic
        self._now = now
        self._look_at = 0.0  # when to ask again who leads
        self._reported: Counts = {}
        self._reported_at = 0.0
        self._samples: deque[tuple[float, Counts]] = deque()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            if not self._ready():
                continue
            try:
                await self.report()
                if self._monotonic() >= self._look_at and not await self.lead():
                    self._look_at = self._monotonic() + PAUSE_SECONDS * (0.5 + self._random())
            except ApiError as error:
                rights = "; manifests/agent/rbac.yaml has the rights for it" if error.status == 403 else ""
                log.warning("rollouts could not be followed", error=f"{error}{rights}")
                await asyncio.sleep(PAUSE_SECONDS)

    # what this agent's canaries do

    async def report(self) -> None:
        """Write what is new in the counts of the rollouts that are on. Raises ApiError."""
        on = self._staging().shown
        if not on:
            self._reported = {}
            return
        counts = await self._counts()
        counts = {name: counts[name] for name in on if name in counts}
        if counts == self._reported:
            return
        nodes = self._staging().agents
        worse = any(count[1] > self._reported.get(name, (0, 0))[1] for name, count in counts.items())
        pause = max(INTERVAL, nodes / WORSE_REPORTS) if worse else max(REPORT_PAUSE, nodes / REPORTS_OF_ALL)
        if self._monotonic() - self._reported_at < pause:
            return
        name = report_name(self._node)
        report = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": STATE.namespace, "labels": {REPORTS: "true"}},
            "data": {COUNTS: msgspec.json.encode(counts).decode()},
        }
        await self._api.apply(f"{MAPS}/{name}", msgspec.Raw(msgspec.json.encode(report)))
        self._reported, self._reported_at = counts, self._monotonic()

    # the leader

    async def lead(self) -> bool:
        """Decide what is due; False where another agent does. Raises ApiError."""
        staging = self._staging()
        if is_settled(staging.entries, staging.planned):
            self._samples.clear()
            return True
        if not await self._election.hold():
            self._samples.clear()
            return False
        state = await self._read()
        entries = {
            entry.key: entry for entry in map(_entry, ((state or {}).get("data") or {}).values()) if entry is not None
        }
        tallies = self._tallies(await self._reports()) if staging.shown else {}
        wanted = decided(entries, staging.planned, tallies, self._now().timestamp())
        if wanted != entries and await self._write(state, wanted):
            for key in sorted(wanted):
                before = entries.get(key)
                if before is None or before.phase is not wanted[key].phase or before.digest != wanted[key].digest:
                    await self._tell(key, wanted[key], before)
            for key in sorted(entries.keys() - wanted.keys()):
                if key in staging.planned and entries[key].digest == ABSENT:
                    gone = msgspec.structs.replace(entries[key], phase=RolloutPhase.COMPLETE)
                    await self._tell(key, gone, entries[key])
        return True

    async def _read(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = msgspec.json.decode(await self._api.get(f"{MAPS}/{STATE.name}", {}, JSON))
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return found

    async def _write(self, before: dict[str, Any] | None, entries: Entries) -> bool:
        """False where somebody else was faster: `before` has the version that is replaced."""
        meta = before["metadata"] if before is not None else {"name": STATE.name, "namespace": STATE.namespace}
        data = {_data_key(key): msgspec.json.encode(entry).decode() for key, entry in entries.items()}
        state = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        method, path = ("POST", MAPS) if before is None else ("PUT", f"{MAPS}/{STATE.name}")
        try:
            await self._api.send(method, path, msgspec.Raw(msgspec.json.encode(state)))
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True

    async def _reports(self) -> Counts:
        """The sum of what all agents have written."""
        query = {"labelSelector": f"{REPORTS}=true", "resourceVersion": "0"}
        listed = msgspec.json.decode(await self._api.get(MAPS, query, JSON))
        found: dict[str, tuple[int, int]] = {}
        for item in listed.get("items") or ():
            for name, (requests, failures) in _counts_in(item).items():
                before = found.get(name, (0, 0))
                found[name] = (before[0] + requests, before[1] + failures)
        return found

    def _tallies(self, counts: Counts) -> dict[str, CanaryTally]:
        """With what has come lately, as far as this leader has seen it. An agent that began anew counts from 0."""
        now = self._monotonic()
        self._samples.append((now, counts))
        while self._samples[0][0] < now - RECENT:
            self._samples.popleft()
        first = self._samples[0][1]
        return {
            name: CanaryTally(
                requests,
                failures,
                max(0, requests - first.get(name, (0, 0))[0]),
                max(0, failures - first.get(name, (0, 0))[1]),
            )
            for name, (requests, failures) in counts.items()
        }

    async def _tell(self, key: ObjectKey, entry: RolloutEntry, before: RolloutEntry | None) -> None:
        """An Event about the object. That the first spec of an object is in force is none."""
        if entry.phase is RolloutPhase.COMPLETE and (before is None or before.phase is RolloutPhase.COMPLETE):
            return
        planned = self._staging().planned.get(key)
        kind, reason = EVENTS[entry.phase]
        log.info("rollout", object=str(key), phase=entry.phase.value, why=entry.why)
        if planned is None:
            return
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{key.name[:200]}.{_short(entry.id, entry.phase.value, f'{entry.since:.6f}')}",
                "namespace": key.namespace,
            },
            "eventTime": micro_time(self._now()),
            "type": kind,
            "reason": reason,
            "action": "Rollout",
            "note": note_of(entry, before)[:1024],
            "reportingController": "nodemesh.io/agent",
            "reportingInstance": self._node[:128],
            "regarding": {
                "apiVersion": f"{key.group}/v1",
                "kind": key.kind,
                "namespace": key.namespace,
                "name": key.name,
                "uid": planned.item.meta.uid,
            },
        }
        try:
            path = f"/apis/events.k8s.io/v1/namespaces/{key.namespace}/events"
            await self._api.send("POST", path, msgspec.Raw(msgspec.json.encode(event)))
        except ApiError as error:
            log.warning("an Event could not be written", error=error)


def note_of(entry: RolloutEntry, before: RolloutEntry | None) -> str:
    """What happened, in words; of what is complete, the entry before knows what it was."""
    if entry.phase is RolloutPhase.CANARY:
        return f"canaries have {entry.step}: {entry.why}"
    same = before is not None and before.digest == entry.digest
    step = before.step if before is not None and same else RolloutStep.CHANGED
    then = AFTERWARDS[step, entry.phase]
    return f"{entry.why}; {then}" if entry.phase is RolloutPhase.BACK else then


def report_name(node: str) -> str:
    """A node's name may be as long as a ConfigMap's."""
    return f"nodemesh-canaries-{node}" if len(node) <= 200 else f"nodemesh-canaries-{_short(node)}"


def _short(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _data_key(key: ObjectKey) -> str:
    return f"{key.kind}.{_short(key.namespace, key.name)}"


def _entry(text: Any) -> RolloutEntry | None:
    try:
        return msgspec.json.decode(text, type=RolloutEntry)
    except (msgspec.DecodeError, TypeError):
        return None


def _counts_in(item: Any) -> dict[str, tuple[int, int]]:
    """What an agent reports; nothing where it cannot be read."""
    text = (item.get("data") or {}).get(COUNTS, "")
    try:
        found = msgspec.json.decode(text[:MAX_REPORT], type=dict[str, tuple[int, int]])
    except msgspec.DecodeError:
        return {}
    return {name: count for name, count in found.items() if 0 <= count[1] <= count[0]}
