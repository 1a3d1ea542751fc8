"""Staged rollouts as every node obeys them: which version of an object is in force, and which one for canaries.

    the object's entry     its state        in force       for canaries
    ---------------------  ---------------  -------------  ------------
    for this very spec     complete         the object     the same
    for this very spec     canary           the stable     the object
    for this very spec     back             the stable     the same
    for another spec       canary, back     the stable     the same; the leader has not spoken yet
    for another, or none   complete         what is, if it is known; else the object

That there is no object is a version like others: the stable one of an object that is new (`absent`), and the one that
a removal leads to, whose entry is for the digest ABSENT. A node that knew the cluster before an object came has it wait
for its entry; in a first state an object without one is in force. A removal is held back only while there is an entry:
the leader drops it, and the object is gone. Once it is, the entry alone has its spec.

The entries stand in one ConfigMap of the mesh's own namespace, and one agent writes them (node/rollouts.py). Whoever
may write an object says by its annotation that its changes are staged; nobody else's entry can touch it, for an entry
counts only while the object asks for it, or did when this node last saw it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from ..config.core import ConfigMapSpec
from ..config.decode import decode
from ..config.kinds import ISTIO_GROUP, KINDS
from ..config.meta import Meta, Object, Origin
from ..config.problems import Findings, Problem, Severity
from ..config.rollout import ROLLOUT, STAGED_KINDS, RolloutPlan, read_rollout
from ..config.written import as_written
from .assemble import ObjectKey
from .site import SYSTEM_NAMESPACE
from .snapshot import StagedObject

#: The ConfigMap.
STATE_NAME = "nodemesh-rollouts"
STATE = ObjectKey("ConfigMap", SYSTEM_NAMESPACE, STATE_NAME)

#: Rollouts that are on, or were taken back and are not mended, in all and of one namespace: each keeps a spec. One that
#: finds no room waits, and what was before stays in force.
ROLLOUTS = 12
ROLLOUTS_OF_NAMESPACE = 4

#: Bytes of a spec that can be kept, as JSON. A ConfigMap has room for 1 MiB.
MAX_SPEC = 32 * 1024

#: Objects whose changes are staged, in all and of one namespace: of each it is noted which spec is in force.
OBJECTS = 3000
OBJECTS_OF_NAMESPACE = 500


#: The digest of no object.
ABSENT = "absent"


class RolloutPhase(StrEnum):
    CANARY = "canary"
    COMPLETE = "complete"
    BACK = "back"


class RolloutStep(StrEnum):
    """What becomes of an object by a rollout."""

    CHANGED = "the change"
    CREATED = "the new object"
    REMOVED = "its removal"


def step_of(digest: str, absent: bool) -> RolloutStep:
    """By the version that is wanted, and whether there was none before."""
    if digest == ABSENT:
        return RolloutStep.REMOVED
    return RolloutStep.CREATED if absent else RolloutStep.CHANGED


class RolloutEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The state of one object: of its spec with this digest. `since` is seconds since the epoch; `stable` is the spec
    that is in force for all but canaries, `absent` that there is none: the object is new; `created` is the age of an
    object that was removed; `why` is a sentence on how it came to its phase."""

    kind: str
    namespace: str
    name: str
    digest: str
    phase: RolloutPhase
    since: float = 0.0
    stable: dict[str, Any] | None = None
    absent: bool = False
    created: float = 0.0
    plan: dict[str, Any] | None = None
    why: str = ""

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.namespace, self.name, ISTIO_GROUP)

    @property
    def id(self) -> str:
        """Names the change: counts are kept by it."""
        return f"{self.kind}/{self.namespace}/{self.name}@{self.digest}"

    @property
    def step(self) -> RolloutStep:
        return (
            RolloutStep.REMOVED
            if self.digest == ABSENT
            else RolloutStep.CREATED
            if self.absent
            else RolloutStep.CHANGED
        )


class Planned(NamedTuple):
    """An object whose changes are staged: as its author has it (or had, where the digest is ABSENT), and what is in
    force where that is something else: `stable`, or nothing (`absent`)."""

    item: Object[Any]
    digest: str
    stable: Object[Any] | None
    plan: RolloutPlan
    absent: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether all have what its author wants."""
        return self.stable is None and not self.absent


class Judgement(NamedTuple):
    """What is in force of an object, what canaries have, and what there is to say of it."""

    in_force: Object[Any] | None
    staged: StagedObject | None
    problem: Problem | None


def digest_of(item: Object[Any]) -> str:
    """Names a spec: the same for all agents, and after any restart."""
    return digest_of_spec(as_written(item.spec))


def digest_of_spec(spec: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()[:16]


def read_entries(state: Object[Any] | None) -> dict[ObjectKey, RolloutEntry]:
    """What the ConfigMap says. What cannot be read counts as not there."""
    found: dict[ObjectKey, RolloutEntry] = {}
    spec = state.spec if state is not None else None
    for text in spec.data.values() if isinstance(spec, ConfigMapSpec) else ():
        try:
            entry = msgspec.json.decode(text, type=RolloutEntry)
        except msgspec.DecodeError:
            continue
        found[entry.key] = entry
    return found


def plan_of(item: Object[Any], default: RolloutPlan | None) -> RolloutPlan | None:
    return read_rollout(item.meta.annotations, default)[0] if item.kind in STAGED_KINDS else None


def plan_in(entry: RolloutEntry) -> RolloutPlan | None:
    """The plan by which a rollout began: it is not changed while that is on."""
    return decode(entry.plan, RolloutPlan, (), Findings()) if entry.plan is not None else None


def stable_of(entry: RolloutEntry, item: Object[Any]) -> Object[Any] | None:
    """The object with the spec before; None where the entry has none that can be read."""
    if entry.stable is None:
        return None
    spec = decode(entry.stable, KINDS[item.group, item.kind].spec, ("spec",), Findings())
    return msgspec.structs.replace(item, spec=spec, marks={}) if spec is not None else None


def rebuilt(entry: RolloutEntry) -> Object[Any] | None:
    """A removed object, by its entry alone."""
    meta = Meta(name=entry.name, namespace=entry.namespace, created=entry.created)
    item = Object(kind=entry.kind, group=ISTIO_GROUP, meta=meta, spec=None, origin=Origin.API_SERVER)
    return stable_of(entry, item)


def judged(item: Object[Any], before: Object[Any] | None, entry: RolloutEntry | None, is_new: bool) -> Judgement:
    """By the table above; `before` is what is in force, None where that is nothing, or not known."""
    digest = digest_of(item)
    stable = stable_of(entry, item) if entry is not None else None
    absent = entry is not None and entry.absent
    if entry is not None and entry.digest == digest:
        if entry.phase is RolloutPhase.COMPLETE or (stable is None and not absent):
            return Judgement(item, None, None)
        if entry.phase is RolloutPhase.BACK:
            return Judgement(stable, None, _problem(item, "rollout-back", _taken_back(entry)))
        return Judgement(stable, _staged(item, entry, item), _begun(item, entry))
    if absent or (is_new and entry is None):
        return Judgement(None, None, _problem(item, "rollout-waiting", f"{WAITING_NEW}{ROOMS}"))
    held = stable if stable is not None else before
    if held is None or held.spec == item.spec:
        return Judgement(item, None, None)
    kept = msgspec.structs.replace(held, meta=item.meta)
    return Judgement(kept, None, _problem(item, "rollout-waiting", f"{WAITING}{ROOMS}"))


def judged_removal(item: Object[Any], held: Object[Any] | None, entry: RolloutEntry) -> Judgement:
    """`item` is the object as it was last, `held` what goes on being in force of it, if this node has it."""
    if entry.digest != ABSENT:
        return Judgement(held, None, _problem(item, "rollout-waiting", f"{WAITING_REMOVED}{ROOMS}"))
    if entry.phase is RolloutPhase.BACK:
        return Judgement(held, None, _problem(item, "rollout-back", _taken_back(entry)))
    return Judgement(held, _staged(item, entry, None) if held is not None else None, _begun(item, entry))


MEND = f"mend the object, or set {ROLLOUT}: disabled to have all get it"
AFTERWARDS = {
    RolloutStep.CHANGED: f"what was before stays in force; {MEND}",
    RolloutStep.CREATED: f"nobody has it, until it is changed; {MEND}",
    RolloutStep.REMOVED: (
        "what it was stays in force, though the API server has it no more; write it again to keep it, with "
        f"{ROLLOUT}: disabled to have it gone for all when it is deleted then"
    ),
}
WAITING = "the change waits for its rollout, and what was before stays in force: "
WAITING_NEW = "the new object waits for its rollout, and nobody has it: "
WAITING_REMOVED = "the removal waits for its rollout, and what was before stays in force: "
ROOMS = (
    f"one agent begins it within seconds, unless {ROLLOUTS} are on or not mended ({ROLLOUTS_OF_NAMESPACE} of this "
    f"namespace), or the spec is longer than {MAX_SPEC // 1024} KiB"
)


def _taken_back(entry: RolloutEntry) -> str:
    return f"{entry.step} was taken back: {entry.why}; {AFTERWARDS[entry.step]}"


def _begun(item: Object[Any], entry: RolloutEntry) -> Problem:
    return _problem(item, "rollout", f"canaries have {entry.step}: {entry.why}")


def _staged(item: Object[Any], entry: RolloutEntry, wanted: Object[Any] | None) -> StagedObject | None:
    plan = plan_in(entry)
    if plan is None:
        return None
    return StagedObject(
        id=entry.id,
        kind=item.kind,
        key=item.meta.key,
        clients=plan.clients,
        since=entry.since,
        virtual_service=wanted if item.kind == "VirtualService" else None,
        destination_rule=wanted if item.kind == "DestinationRule" else None,
    )


def _problem(item: Object[Any], code: str, message: str) -> Problem:
    return Problem(
        code=code,
        message=message,
        severity=Severity.INFO if code == "rollout" else Severity.WARNING,
        location=item.location,
        kind=item.kind,
        group=item.group,
        namespace=item.meta.namespace,
        name=item.meta.name,
        path=f'metadata.annotations["{ROLLOUT}"]',
    )


class Staging:
    """Keeps what the entries say of the objects that are staged."""

    def __init__(self) -> None:
        self.entries: Mapping[ObjectKey, RolloutEntry] = {}
        self.planned: dict[ObjectKey, Planned] = {}
        self._new: set[ObjectKey] = set()  # objects that came when the cluster was known, without an entry so far
        self._staged: dict[ObjectKey, StagedObject] = {}
        self._problems: dict[ObjectKey, Problem] = {}
        self.shown: Mapping[str, StagedObject] = {}
        self.agents = 0  # nodes of the cluster

    def read(self, state: Object[Any] | None) -> set[ObjectKey]:
        """Take in the ConfigMap; the objects to be judged again."""
        before, self.entries = self.entries, read_entries(state)
        return {key for key in before.keys() | self.entries.keys() if before.get(key) != self.entries.get(key)}

    def came(self, key: ObjectKey) -> None:
        """An object is there that was not when this node last knew the cluster."""
        self._new.add(key)

    def judge(
        self, key: ObjectKey, item: Object[Any], before: Object[Any] | None, default: RolloutPlan | None
    ) -> Object[Any] | None:
        """What is in force of an object."""
        plan = plan_of(item, default)
        if plan is None:
            self.forget(key)
            return item
        found = judged(item, before, self.entries.get(key), key in self._new and before is None)
        absent = found.in_force is None
        (self._new.add if absent else self._new.discard)(key)
        other = found.in_force if found.in_force is not item else None
        self._note(key, Planned(item, digest_of(item), other, plan, absent), found)
        return found.in_force

    def judge_removed(self, key: ObjectKey, before: Object[Any] | None, *, trusted: bool) -> Object[Any] | None:
        """What is in force of an object that is not there. Where nothing of it is in force here, since this node has
        started later, the entry's word alone brings it back if it is `trusted`."""
        entry, known = self.entries.get(key), self.planned.get(key)
        stable, plan = before, known.plan if known is not None else None
        if entry is not None and entry.digest == ABSENT:
            stable, plan = rebuilt(entry), plan_in(entry)
        silent = before is not None and known is None  # it asked for nothing when it was there
        if silent or entry is None or entry.absent or stable is None or plan is None:
            self.forget(key)
            return None
        item = known.item if known is not None else stable
        held = before if before is not None else stable if trusted else None
        self._note(key, Planned(item, ABSENT, stable, plan), judged_removal(item, held, entry))
        return held

    def _note(self, key: ObjectKey, planned: Planned, found: Judgement) -> None:
        self.planned[key] = planned
        self._staged.pop(key, None)
        if found.staged is not None:
            self._staged[key] = found.staged
        self._problems.pop(key, None)
        if found.problem is not None:
            self._problems[key] = found.problem

    def forget(self, key: ObjectKey) -> None:
        """An object is gone, or asks for nothing."""
        for held in (self.planned, self._staged, self._problems):
            held.pop(key, None)
        self._new.discard(key)

    @property
    def problems(self) -> Mapping[ObjectKey, Problem]:
        """Of the objects that are not in force, or for canaries alone."""
        return self._problems

    def rollouts(self, nodes: Iterable[Object[Any]]) -> Mapping[str, StagedObject]:
        """What canaries have, by its id; the same mapping as before where nothing changed."""
        nodes = tuple(nodes)
        self.agents = len(nodes)
        found: dict[str, StagedObject] = {}
        for key, staged in sorted(self._staged.items()):
            plan = plan_in(self.entries[key]) if key in self.entries else None
            if plan is not None and plan.nodes:
                names = frozenset(node.meta.name for node in nodes if plan.nodes.items() <= node.meta.labels.items())
                staged = msgspec.structs.replace(staged, nodes=names)
            found[staged.id] = staged
        if found != self.shown:
            self.shown = found
        return self.shown
