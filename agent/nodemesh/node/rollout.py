"""What becomes of staged rollouts: a pure decision over entries, objects, canaries' counts and the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ..config.rollout import RolloutPlan
from ..config.written import as_written
from ..registry.assemble import ObjectKey
from ..registry.staging import (
    ABSENT,
    MAX_SPEC,
    OBJECTS,
    OBJECTS_OF_NAMESPACE,
    ROLLOUTS,
    ROLLOUTS_OF_NAMESPACE,
    Planned,
    RolloutEntry,
    RolloutPhase,
    Staging,
    digest_of_spec,
    plan_in,
    step_of,
)

Entries = Mapping[ObjectKey, RolloutEntry]


class CanaryTally(NamedTuple):
    """What canaries have asked for since their rollout began, and lately."""

    requests: int = 0
    failures: int = 0
    recent_requests: int = 0
    recent_failures: int = 0


NOTHING = CanaryTally()


def decided(
    entries: Entries, planned: Mapping[ObjectKey, Planned], tallies: Mapping[str, CanaryTally], now: float
) -> dict[ObjectKey, RolloutEntry]:
    """The entries as they are to be; `tallies` by the entries' ids, `now` in seconds since the epoch. Those of objects
    that are gone, or ask for nothing any more, leave."""
    found: dict[ObjectKey, RolloutEntry] = {}
    for key, entry in entries.items():
        if key in planned:
            found[key] = (
                _advanced(entry, tallies.get(entry.id, NOTHING), now) if entry.digest == planned[key].digest else entry
            )
    rooms = _Rooms(found)
    for key in sorted(planned):
        before = found.get(key)
        if planned[key].digest == (before.digest if before is not None else ABSENT):
            continue  # without an entry, an object that was removed is gone
        begun = _begun(key, planned[key], before, now)
        if rooms.take(key, before, begun):
            found[key] = begun
    return {key: entry for key, entry in found.items() if not is_gone(entry)}


def is_gone(entry: RolloutEntry) -> bool:
    """Whether an object was removed, for all: nothing is kept of it."""
    return entry.digest == ABSENT and entry.phase is RolloutPhase.COMPLETE


def is_settled(entries: Entries, planned: Mapping[ObjectKey, Planned]) -> bool:
    """Whether there is nothing to decide before something changes."""
    return entries.keys() == planned.keys() and all(
        entry.digest == planned[key].digest and entry.phase is not RolloutPhase.CANARY for key, entry in entries.items()
    )


def _begun(key: ObjectKey, planned: Planned, before: RolloutEntry | None, now: float) -> RolloutEntry:
    """The entry of a spec that has none. What is stable outlives a further change in the middle of a rollout."""
    is_on = before is not None and before.phase is not RolloutPhase.COMPLETE
    stable = before.stable if before is not None and is_on else None
    absent = before.absent if before is not None and is_on else planned.absent
    created = planned.item.meta.created if planned.digest == ABSENT else 0.0
    if stable is None and not absent and planned.stable is not None:
        stable = as_written(planned.stable.spec)
    entry = RolloutEntry(
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        digest=planned.digest,
        phase=RolloutPhase.COMPLETE,
        since=now,
    )
    if not absent and (stable is None or digest_of_spec(stable) == planned.digest):
        return entry
    if planned.digest == ABSENT and len(msgspec.json.encode(stable)) > MAX_SPEC:
        return entry  # it cannot be kept, and would be there for good
    return msgspec.structs.replace(
        entry,
        phase=RolloutPhase.CANARY,
        stable=stable,
        absent=absent,
        created=created,
        plan=as_written(planned.plan),
        why=f"{_canaries(planned.plan)} for {_time(planned.plan.hold)}",
    )


def _advanced(entry: RolloutEntry, tally: CanaryTally, now: float) -> RolloutEntry:
    plan = plan_in(entry)
    if entry.phase is not RolloutPhase.CANARY or plan is None:
        return entry
    for requests, failures in ((tally.recent_requests, tally.recent_failures), (tally.requests, tally.failures)):
        if requests >= plan.min_requests and failures * 100.0 > plan.max_errors * requests:
            share = 100.0 * failures / requests
            why = (
                f"{failures} of {requests} requests of canaries failed ({share:.0f} %), more than {plan.max_errors:g} %"
            )
            return msgspec.structs.replace(entry, phase=RolloutPhase.BACK, since=now, why=why)
    if now - entry.since >= plan.hold / 1000.0:
        done = msgspec.structs.replace(entry, phase=RolloutPhase.COMPLETE, since=now, stable=None, plan=None, why="")
        return msgspec.structs.replace(done, absent=False)
    return entry


class _Rooms:
    """How much is kept, in all and by namespace."""

    def __init__(self, entries: Entries) -> None:
        self._objects = Counter(key.namespace for key in entries)
        self._rollouts = Counter(key.namespace for key, entry in entries.items() if is_kept(entry))

    def take(self, key: ObjectKey, before: RolloutEntry | None, entry: RolloutEntry) -> bool:
        """Whether there is room for an entry in the place of another."""
        objects = before is None
        rollouts = is_kept(entry) and (before is None or not is_kept(before))
        if objects and not _fits(self._objects, key.namespace, OBJECTS, OBJECTS_OF_NAMESPACE):
            return False
        if entry.stable is not None and len(msgspec.json.encode(entry.stable)) > MAX_SPEC:
            return False
        if rollouts and not _fits(self._rollouts, key.namespace, ROLLOUTS, ROLLOUTS_OF_NAMESPACE):
            return False
        self._objects[key.namespace] += objects
        self._rollouts[key.namespace] += rollouts
        return True


def is_kept(entry: RolloutEntry) -> bool:
    """Whether it is about a rollout that is on, or not mended."""
    return entry.phase is not RolloutPhase.COMPLETE


def _fits(held: Counter[str], namespace: str, most: int, of_namespace: int) -> bool:
    return held.total() < most and held[namespace] < of_namespace


def _canaries(plan: RolloutPlan) -> str:
    parts = [f"{plan.clients:g} % of the clients"] * bool(plan.clients)
    parts += [f"the clients of nodes with {','.join(f'{k}={v}' for k, v in sorted(plan.nodes.items()))}"] * bool(
        plan.nodes
    )
    return " and ".join(parts)


def _time(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds / 1000.0, 60.0)
    return f"{minutes:.0f} min" if minutes and not seconds else f"{milliseconds / 1000.0:g} s"


def rollout_rows(staging: Staging, counts: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """/status: the rollouts that are on, were taken back, or wait. The counts are this node's alone."""
    rows = []
    for key, planned in sorted(staging.planned.items()):
        entry = staging.entries.get(key)
        fits = entry is not None and entry.digest == planned.digest
        if fits and entry is not None and entry.phase is RolloutPhase.COMPLETE or planned.is_whole:
            continue
        requests, failures = counts.get(entry.id, (0, 0)) if entry is not None and fits else (0, 0)
        rows.append(
            {
                "object": str(key),
                "step": step_of(planned.digest, planned.absent).name.lower(),
                "phase": entry.phase.value if entry is not None and fits else "waiting",
                "since": entry.since if entry is not None and fits else 0.0,
                "why": entry.why if entry is not None and fits else "",
                "requests_here": requests,
                "failures_here": failures,
            }
        )
    return rows
