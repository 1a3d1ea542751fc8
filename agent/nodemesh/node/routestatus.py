"""The statuses of the Gateway API's objects as values: what is to stand there, and how it joins what stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ..config.gatewayapi import GROUP, X_GROUP
from ..config.meta import Object
from ..registry.assemble import ObjectKey, key_of
from ..registry.snapshot import Snapshot
from ..routing.gatewayapi import GATEWAY_CONTROLLER, MESH_CONTROLLER
from ..routing.gatewayapi.attach import AttachResult, routes_of
from ..routing.gatewayapi.conditions import AncestorVerdict, Condition, GatewayVerdict, ListenerVerdict, ParentVerdict
from ..routing.gatewayapi.features import GATEWAY_FEATURES, MESH_FEATURES

OURS = (GATEWAY_CONTROLLER, MESH_CONTROLLER)
#: The CRDs' bounds of a condition's message, of a list of conditions, and of entries with those of other controllers.
MAX_MESSAGE = 32768
MAX_CONDITIONS = 8
MAX_ENTRIES = {"parents": 32, "ancestors": 16}

Status = dict[str, Any]


class WantedStatus(NamedTuple):
    """The status of one generation of an object. `entries` is the field whose elements of other controllers stay."""

    key: ObjectKey
    path: str
    uid: str
    generation: int
    status: Status
    entries: str = ""


def wanted_statuses(
    snapshot: Snapshot,
    attached: AttachResult,
    addresses: Mapping[str, tuple[tuple[str, str], ...]],
    path_of: Callable[[ObjectKey], str],
) -> Iterator[WantedStatus]:
    """All statuses that are ours to write."""
    for item, status, entries in (
        *classes(snapshot, attached),
        *gateways(snapshot, attached, addresses),
        *routes(snapshot, attached),
        *policies(snapshot, attached),
    ):
        key = key_of(item)
        path = path_of(key)
        if path:
            yield WantedStatus(key, path, item.meta.uid, item.meta.generation, status, entries)


Entry = tuple[Object[Any], Status, str]


def classes(snapshot: Snapshot, attached: AttachResult) -> Iterator[Entry]:
    for name, conditions in attached.classes.items():
        item = snapshot.gateway_classes[name]
        yield item, {"conditions": written(conditions, item), "supportedFeatures": named(GATEWAY_FEATURES)}, ""
    for name, conditions in attached.meshes.items():
        mesh = snapshot.meshes[name]
        accepted = written(conditions[:1], mesh)
        yield mesh, {"conditions": accepted, "supportedFeatures": named(MESH_FEATURES)}, ""


def named(features: Iterable[str]) -> list[dict[str, str]]:
    return [{"name": name} for name in features]


def gateways(
    snapshot: Snapshot, attached: AttachResult, addresses: Mapping[str, tuple[tuple[str, str], ...]]
) -> Iterator[Entry]:
    for key, verdict in attached.gateways.items():
        item = snapshot.kubernetes_gateways[key]
        status = of_gateway(verdict, item)
        status["addresses"] = [{"type": kind, "value": value} for kind, value in addresses.get(key, ())]
        status["attachedListenerSets"] = verdict.sets
        yield item, status, ""
    for key, verdict in attached.sets.items():
        one = snapshot.listener_sets[key]
        yield one, of_gateway(verdict, one), ""


def of_gateway(verdict: GatewayVerdict, item: Object[Any]) -> Status:
    return {
        "conditions": written(verdict.conditions, item),
        "listeners": [of_listener(entry, item) for entry in verdict.listeners],
    }


def of_listener(verdict: ListenerVerdict, item: Object[Any]) -> Status:
    return {
        "name": verdict.name,
        "supportedKinds": [{"group": group, "kind": kind} for group, kind in verdict.kinds],
        "attachedRoutes": verdict.routes,
        "conditions": written(verdict.conditions, item),
    }


def routes(snapshot: Snapshot, attached: AttachResult) -> Iterator[Entry]:
    for item in routes_of(snapshot):
        parents = attached.parents.get((item.kind, item.meta.key), ())
        yield item, {"parents": [of_parent(entry, item) for entry in parents]}, "parents"


def policies(snapshot: Snapshot, attached: AttachResult) -> Iterator[Entry]:
    kinds: tuple[tuple[Mapping[str, Object[Any]], Mapping[str, tuple[AncestorVerdict, ...]]], ...] = (
        (snapshot.backend_tls_policies, attached.policies),
        (snapshot.backend_traffic_policies, attached.traffic_policies),
    )
    for items, said in kinds:
        for key, item in items.items():
            yield item, {"ancestors": [of_ancestor(entry, item) for entry in said.get(key, ())]}, "ancestors"


def of_ancestor(verdict: AncestorVerdict, item: Object[Any]) -> Status:
    namespace, _, name = verdict.name.partition("/")
    group = GROUP if verdict.kind == "Gateway" else ""
    return {
        "ancestorRef": {"group": group, "kind": verdict.kind, "namespace": namespace, "name": name},
        "controllerName": verdict.controller,
        "conditions": written(verdict.conditions, item),
    }


def of_parent(verdict: ParentVerdict, item: Object[Any]) -> Status:
    return {
        "parentRef": msgspec.to_builtins(verdict.parent) | {"group": verdict.parent.group, "kind": verdict.parent.kind},
        "controllerName": verdict.controller,
        "conditions": written(verdict.conditions, item),
    }


def written(conditions: Iterable[Condition], item: Object[Any]) -> list[Status]:
    return [
        {
            "type": entry.type,
            "status": "True" if entry.status else "False",
            "reason": entry.reason,
            "message": entry.message[:MAX_MESSAGE],
            "observedGeneration": item.meta.generation,
        }
        for entry in conditions
    ]


# === joining


def joined(before: Status, wanted: WantedStatus, now: datetime) -> Status | None:
    """The whole status with ours in it; None where it says that already. Entries of other controllers stay, and a
    condition keeps the time at which it turned."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    after = dict(before)
    for field, value in wanted.status.items():
        if field == wanted.entries:
            others = [entry for entry in before.get(field) or () if entry.get("controllerName") not in OURS]
            ours = [entry for entry in before.get(field) or () if entry.get("controllerName") in OURS]
            value = [*others, *(timed(entry, partner(entry, ours), moment) for entry in value)]
            value = value[: MAX_ENTRIES[field]]  # a longer one would be refused whole
        elif field == "listeners":
            known = {entry.get("name"): entry for entry in before.get(field) or ()}
            value = [timed(entry, known.get(entry["name"], {}), moment) for entry in value]
        elif field == "conditions":
            value = turned(value, before.get(field) or (), moment, keep=True)
        after[field] = value
    for field in [field for field, value in after.items() if value in ([], 0) and field not in before]:
        del after[field]
    return None if after == before else after


def partner(entry: Status, known: list[Status]) -> Status:
    """The entry for the same parent or ancestor."""
    return next((one for one in known if named_by(one) == named_by(entry)), {})


def named_by(entry: Status) -> tuple[Any, Any]:
    return entry.get("parentRef") or entry.get("ancestorRef"), entry.get("controllerName")


def timed(entry: Status, before: Status, moment: str) -> Status:
    return {**entry, "conditions": turned(entry["conditions"], before.get("conditions") or (), moment)}


def turned(conditions: list[Status], before: Iterable[Status], moment: str, *, keep: bool = False) -> list[Status]:
    """Conditions with the time at which each turned. `keep`: types that we say nothing of stay."""
    known = {entry.get("type"): entry for entry in before}
    found = []
    for entry in conditions:
        old = known.pop(entry["type"], {})
        same = old.get("status") == entry["status"]
        found.append({**entry, "lastTransitionTime": old.get("lastTransitionTime", moment) if same else moment})
    rest = [entry for entry in known.values() if keep and entry.get("type") not in DROPPED]
    return [*found, *rest][:MAX_CONDITIONS]


#: Conditions that are gone where they do not hold.
DROPPED = frozenset({"InsecureFrontendValidationMode"})

#: The groups whose statuses these are.
GROUPS = (GROUP, X_GROUP)
