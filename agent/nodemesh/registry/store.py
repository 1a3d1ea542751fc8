"""The registry's one place of change: sources hand in objects, each call gives the next Snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec

from ..config.core import CredentialSpec
from ..config.credential import CONFIG_MAP
from ..config.gatewayapi import GROUP, X_GROUP
from ..config.kinds import ISTIO_GROUP, KINDS, TELEMETRY_GROUP
from ..config.meshconfig import LabelSelector, MeshConfigSpec
from ..config.meta import Object, Origin
from ..config.problems import Problem
from ..config.reach import GATEWAY_FOLDERS, Reach, admitted, objections
from ..config.rollout import STAGED_KINDS
from .assemble import Assembler, ObjectKey, Objects, assembles, by_key
from .meshes import ISTIO_MESH, is_mesh, mesh_of
from .snapshot import Snapshot, Workload
from .staging import STATE, Staging

#: How many changes a snapshot names one by one.
MAX_CAUSES = 50

#: How many of them are told object by object before they are taken.
MAX_EDITS = 200

#: The sources of the own cluster. A file's object counts before the API server's of the same name.
FILES = "files"
CLUSTER = "cluster"

#: The kinds that may name something of the agent's own machine.
REACHING = frozenset({"DestinationRule", "Gateway", "ServiceEntry", "WorkloadEntry"})

#: The kinds that a Snapshot carries as they were written, by group and name, with the attribute that holds them.
RULE_KINDS = {
    (ISTIO_GROUP, "VirtualService"): "virtual_services",
    (ISTIO_GROUP, "DestinationRule"): "destination_rules",
    (ISTIO_GROUP, "Gateway"): "gateways",
    (ISTIO_GROUP, "Sidecar"): "sidecars",
    (TELEMETRY_GROUP, "Telemetry"): "telemetries",
    (GROUP, "GatewayClass"): "gateway_classes",
    (GROUP, "Gateway"): "kubernetes_gateways",
    (GROUP, "ListenerSet"): "listener_sets",
    (GROUP, "HTTPRoute"): "http_routes",
    (GROUP, "GRPCRoute"): "grpc_routes",
    (GROUP, "TLSRoute"): "tls_routes",
    (GROUP, "TCPRoute"): "tcp_routes",
    (GROUP, "UDPRoute"): "udp_routes",
    (GROUP, "ReferenceGrant"): "reference_grants",
    (GROUP, "BackendTLSPolicy"): "backend_tls_policies",
    (X_GROUP, "XBackendTrafficPolicy"): "backend_traffic_policies",
    (X_GROUP, "XMesh"): "meshes",
    (X_GROUP, "XBackend"): "external_backends",
}


#: Why there is a new snapshot although no object changed: by whether there was one before.
_WITHOUT_OBJECTS = ("the configuration is empty", "other problems were found in the configuration")


class Edit(NamedTuple):
    """An object was written or (`after` is None) removed; `before` is None where it was not there."""

    key: ObjectKey
    before: Object[Any] | None
    after: Object[Any] | None


class Store:
    """Objects of several sources and the Snapshot they make. Where two sources hold an object of the same kind and
    name, the one whose source came first counts."""

    def __init__(self, cluster: str = "", *, remote: bool = False, gateway: bool = False) -> None:
        """`cluster` is the name of the cluster whose objects these are; `remote` where this node belongs to another
        one; `gateway` where this process serves Gateways, and nothing but them."""
        self.snapshot = Snapshot(cluster=cluster)
        self._held: dict[str, dict[ObjectKey, Object[Any]]] = {}
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._rules: dict[ObjectKey, Object[Any]] = {}  # in force, of the kinds that the assembler has none of
        self._mesh = MeshConfigSpec()
        self._edits: list[Edit] = []
        self.staging = Staging()
        self._spoken_of: list[ObjectKey] = []  # in what the rollouts' leader has just said
        self._remote = remote
        self._gateway = gateway
        self._objections: dict[ObjectKey, tuple[Problem, ...]] = {}
        self._assembler = Assembler(cluster, remote=remote)

    def apply(
        self,
        source: str,
        changed: Objects = (),
        removed: Iterable[ObjectKey] = (),
        problems: Iterable[Problem] | None = None,
    ) -> Snapshot:
        """Take in a source's changes; `problems`, if given, replaces those that the source reported before. The
        snapshot stays the same object if nothing changed; version 0 is of a registry that no source has spoken to."""
        is_first = source not in self._held
        held = self._held.setdefault(source, {})
        foreign = self._remote or source == CLUSTER
        touched: dict[ObjectKey, None] = {}
        for key, item in by_key(changed).items():
            if foreign and item.kind in REACHING:
                item = msgspec.structs.replace(item, origin=Origin.API_SERVER)
            if key not in held and not is_first and key.kind in STAGED_KINDS and key.group == ISTIO_GROUP:
                self.staging.came(key)
            held[key] = item
            touched[key] = None
        for key in removed:
            if held.pop(key, None) is not None:
                touched[key] = None
        if problems is not None:
            self._problems[source] = tuple(problems)
        return self._advance(self._changes(touched))

    @property
    def reach(self) -> Reach:
        """What objects of the API server may name of this machine: what MeshConfig allows and, in a gateway's own pod,
        what is mounted into it for that."""
        mounted = GATEWAY_FOLDERS if self._gateway else ()
        return Reach((*self._mesh.allowed_folders, *mounted), self._gateway)

    @property
    def objections(self) -> Mapping[ObjectKey, tuple[Problem, ...]]:
        """The objects that are not in force as they were given for what they name, with the findings."""
        return self._objections

    def hosts_behind(self, workload: str) -> set[str]:
        """As Assembler's."""
        return self._assembler.hosts_behind(workload)

    def hosts_beside(self, workload: Workload) -> set[str]:
        """As Assembler's."""
        return self._assembler.hosts_beside(workload)

    def meshes(self) -> list[Object[Any]]:
        """What the mesh's settings are made of, as it is in force."""
        istio = self._assembler.of_kind("ConfigMap").get(ISTIO_MESH)
        return [*self._assembler.of_kind("MeshConfig").values(), *([istio] if istio is not None else [])]

    @property
    def secrets(self) -> dict[str, CredentialSpec]:
        """The Secrets, and the ConfigMaps that rules may name in their place, by their `credential_key`. They are no
        part of the Snapshot, so that nothing made of it can show one."""
        secrets, maps = self._assembler.of_kind("Secret"), self._assembler.of_kind("ConfigMap")
        return {
            **{key: item.spec for key, item in secrets.items()},
            **{CONFIG_MAP + key: item.spec for key, item in maps.items()},
        }

    def _winner(self, key: ObjectKey) -> Object[Any] | None:
        for held in self._held.values():
            item = held.get(key)
            if item is not None:
                return item
        return None

    def _in_force(self, key: ObjectKey) -> Object[Any] | None:
        """An object as it counts, after discoverySelectors and rollouts."""
        return self._assembler.find(key) if assembles(key) else self._rules.get(key)

    def _changes(self, touched: Iterable[ObjectKey]) -> dict[ObjectKey, Object[Any] | None]:
        """What changes among the objects in force. New namespace labels or selectors may reveal or hide any object."""
        keys = dict.fromkeys(touched)
        if STATE in keys:
            self._spoken_of = sorted(self.staging.read(self._winner(STATE)))
            keys |= dict.fromkeys(self._spoken_of)
            del keys[STATE]
        settings = any(is_mesh(key.kind, key.namespace, key.name) for key in keys)
        if settings:
            self._mesh = self._find_mesh()
        if settings or any(key.kind == "Namespace" for key in keys):
            keys = dict.fromkeys([*keys, *(key for held in self._held.values() for key in held), *self.staging.planned])
        changes: dict[ObjectKey, Object[Any] | None] = {}
        reach = self.reach
        self._objections = {key: found for key, found in self._objections.items() if key not in keys}
        for key in keys:
            item = self._winner(key)
            if item is not None and not self._discovered(key, self._mesh.discovery_selectors):
                item = None
            before = self._in_force(key)
            found = objections(item, reach) if item is not None and item.kind in REACHING else ()
            if item is not None and found:
                self._objections[key] = found
                item = admitted(item, before, reach)
            item = self._staged(key, item, before)
            if item is before or item == before:
                continue
            changes[key] = item
        return changes

    def _staged(self, key: ObjectKey, item: Object[Any] | None, before: Object[Any] | None) -> Object[Any] | None:
        """What is in force while a change is rolled out. A file's object is its operator's word, at once."""
        if key.group != ISTIO_GROUP or key.kind not in STAGED_KINDS or self._remote:
            return item
        winner = self._winner(key)
        if winner is None and self._is_kept(key):
            trusted = self._mesh.rollout is not None
            found = self.staging.judge_removed(key, before, trusted=trusted)
        elif item is None or winner is not self._held.get(CLUSTER, {}).get(key):
            self.staging.forget(key)
            return item
        else:
            found = self.staging.judge(key, item, before, self._mesh.rollout)
        if found is not None and found is not item and found.kind in REACHING and objections(found, self.reach):
            return admitted(found, None, self.reach)  # the state's word reaches no further than the object's own
        return found

    def _is_kept(self, key: ObjectKey) -> bool:
        """Whether a removal may be held back: not in a namespace that is gone, or not the mesh's."""
        known = self._winner(ObjectKey("Namespace", "", key.namespace)) is not None
        return known and self._discovered(key, self._mesh.discovery_selectors)

    def _find_mesh(self) -> MeshConfigSpec:
        meshes = [item for held in self._held.values() for key, item in held.items() if key.kind == "MeshConfig"]
        return mesh_of(meshes, self._winner(ObjectKey("ConfigMap", *ISTIO_MESH.split("/"))))

    def _discovered(self, key: ObjectKey, selectors: tuple[LabelSelector, ...]) -> bool:
        """Istio's discoverySelectors: an object counts if one selector selects its namespace's labels."""
        if not selectors or not key.namespace or is_mesh(key.kind, key.namespace, key.name):
            return True
        namespace = self._winner(ObjectKey("Namespace", "", key.namespace))
        labels = namespace.meta.labels if namespace is not None else {}
        return any(selector_selects(selector, labels) for selector in selectors)

    def _advance(self, changes: Mapping[ObjectKey, Object[Any] | None]) -> Snapshot:
        previous = self.snapshot
        problems = tuple(chain(*self._problems.values(), *self._objections.values(), self.staging.problems.values()))
        spoken_of, self._spoken_of = self._spoken_of, []
        if previous.version and not changes and not spoken_of and problems == previous.problems:
            return previous
        rolled = [key for key in spoken_of if key not in changes]
        causes = [self._cause(key, item) for key, item in islice(changes.items(), MAX_CAUSES)]
        causes += [f"{key}: its rollout" for key in rolled]
        self._note(changes)
        for key, item in changes.items():
            if item is None:
                self._rules.pop(key, None)
            elif not assembles(key):
                self._rules[key] = item
        assembler = self._assembler
        assembler.update(changes)
        rules = {attribute: getattr(previous, attribute) for attribute in RULE_KINDS.values()}
        rules |= changed_rules(rules, changes)
        self.snapshot = Snapshot(
            version=previous.version + 1,
            causes=shortened(causes, len(changes) + len(rolled)) or (_WITHOUT_OBJECTS[bool(previous.version)],),
            mesh=previous.mesh if assembler.mesh == previous.mesh else assembler.mesh,
            cluster=previous.cluster,
            network=assembler.site.network_of({}),
            namespaces=assembler.namespaces,
            workloads=assembler.workloads,
            services=assembler.services,
            problems=problems,
            rollouts=self.staging.rollouts(assembler.of_kind("Node").values()),
            **rules,
        )
        return self.snapshot

    def take_edits(self) -> list[Edit]:
        """What changed since this was asked last, of the kinds that can be written again; of a great many the first."""
        edits, self._edits = self._edits, []
        return edits

    def _note(self, changes: Mapping[ObjectKey, Object[Any] | None]) -> None:
        for key, item in changes.items():
            if len(self._edits) < MAX_EDITS and (kind := KINDS.get((key.group, key.kind))) is not None and kind.strict:
                self._edits.append(Edit(key, self._in_force(key), item))

    def _cause(self, key: ObjectKey, item: Object[Any] | None) -> str:
        before = self._in_force(key)
        if item is None:
            return f"{key} removed"
        place = f" ({item.location.file}:{item.location.line})" if item.location.line else ""
        return f"{key} {'added' if before is None else 'changed'}{place}"


def changed_rules(
    before: Mapping[str, Mapping[str, Object[Any]]], changes: Mapping[ObjectKey, Object[Any] | None]
) -> dict[str, Mapping[str, Object[Any]]]:
    """Of the kinds that a Snapshot carries, by attribute, those that changed."""
    own: dict[str, dict[str, Object[Any] | None]] = {}
    for key, item in changes.items():
        attribute = RULE_KINDS.get((key.group, key.kind))
        if attribute is not None:
            name = f"{key.namespace}/{key.name}" if key.namespace else key.name
            own.setdefault(attribute, {})[name] = item
    return {
        attribute: {key: item for key, item in {**before[attribute], **found}.items() if item is not None}
        for attribute, found in own.items()
    }


def shortened(causes: list[str], total: int | None = None) -> tuple[str, ...]:
    """The first of them, and how many more there are; `total` where not all are in the list."""
    total = len(causes) if total is None else total
    if total <= MAX_CAUSES:
        return tuple(causes)
    return (*causes[:MAX_CAUSES], f"and {total - MAX_CAUSES} more changes")


def selector_selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """A Kubernetes label selector (meta/v1 LabelSelector) against labels."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for requirement in selector.match_expressions:
        value = labels.get(requirement.key)
        if requirement.operator == "In":
            holds = value in requirement.values
        elif requirement.operator == "NotIn":
            holds = value not in requirement.values
        elif requirement.operator == "Exists":
            holds = value is not None
        else:
            holds = value is None
        if not holds:
            return False
    return True
