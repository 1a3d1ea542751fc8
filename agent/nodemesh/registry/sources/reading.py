"""From an API server's JSON to the model: an object with only what the mesh reads of it, or what is wrong with it."""

from __future__ import annotations

from sys import intern
from typing import Any, TypeVar

import msgspec

from ...bounded import Bounded
from ...config.annotations import OWN
from ...config.core import (
    EndpointConditions,
    EndpointHints,
    EndpointSliceSpec,
    OwnerReference,
    PodSpec,
    ServiceSpec,
    SliceEndpoint,
    TargetRef,
)
from ...config.gatewayapi import GROUP, X_GROUP
from ...config.kinds import KINDS
from ...config.load import load_object
from ...config.meta import Location, Meta, Object
from ...config.problems import Problem
from ...config.straight import load_straight
from ...config.written import TOOLS
from ..assemble import CLUSTER_SCOPED, ObjectKey, key_of
from ..slices import SERVICE_NAME_LABEL
from .resources import Resource
from .watch import JsonDecoder, ObjectHead, decode_object, read_head

#: Core kinds whose annotations say something to the mesh (of a remote pod they do not); of others our own do.
ANNOTATED = frozenset({"Namespace", "Pod", "Service"})

#: How many label sets are remembered for sharing.
MAX_SHARED = 100_000

T = TypeVar("T")

_NOWHERE = Location("kubernetes")

#: Nothing, once for all objects: a struct's own empty default is another dict for each.
_NONE: dict[Any, Any] = {}


#: Of an object of which nobody asks more than its key.
NO_HEAD = ObjectHead()


class Reading(msgspec.Struct, gc=False):
    """One object as it was read, in its version. `item` is None where the object was refused. `head` names it as it was
    written, where somebody asks: objects of kinds that may be absent, and those with problems."""

    key: ObjectKey
    version: str
    item: Object[Any] | None
    problems: tuple[Problem, ...] = ()
    head: ObjectHead = NO_HEAD


class _PodMeta(msgspec.Struct, frozen=True, rename="camel"):
    """A remote pod's metadata; the rest (managedFields are most of it) is passed over while decoding."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] = ()
    deletion_timestamp: str | None = None


class PodMetadata(msgspec.Struct, frozen=True):
    metadata: _PodMeta = _PodMeta()


class ObjectReader:
    """Reads objects of all kinds; equal label sets of pods are kept once (a Deployment's pods have the same)."""

    def __init__(self) -> None:
        self._labels: Bounded[int, dict[str, str]] = Bounded(MAX_SHARED)  # by what they hash to
        self._specs: Bounded[tuple[OwnerReference, ...], PodSpec] = Bounded(MAX_SHARED)
        self._read_pod = JsonDecoder(PodMetadata, "a pod")

    def read(self, resource: Resource, version: str, data: bytes | msgspec.Raw) -> Reading:
        """Raises ApiFormatError where `data` is no object at all."""
        if resource.kind == "Pod" and resource.metadata_only:
            return self._pod(self._read_pod(data).metadata)
        item = load_straight(data, resource.group, resource.kind)
        if item is not None:
            version = item.meta.resource_version
            item = slim(item, Location(str(key_of(item))))
            return Reading(key_of(item), version, item)  # whose strings are held already
        head = read_head(data).metadata
        plain = decode_object(data)
        # In lists both are absent; of metadata-only objects they name the envelope.
        plain["apiVersion"] = f"{resource.group}/{version}" if resource.group else version
        plain["kind"] = resource.kind
        key = key_of_head(resource, head)
        loaded = load_object(plain, str(key))
        if not loaded.objects:
            return Reading(key, head.resource_version, None, loaded.problems, head)
        item = slim(loaded.objects[0])
        return Reading(key_of(item), head.resource_version, item, loaded.problems, head)

    def again(self, resource: Resource, item: Object[Any]) -> Object[Any]:
        """An object that was saved, holding what others have as if it had just been read."""
        if resource.kind != "Pod" or not resource.metadata_only:
            return slim(item)
        meta, owners = item.meta, item.spec.owners
        deleting = "yes" if meta.deleting else None
        pod = _PodMeta(meta.name, meta.namespace, meta.uid, "", meta.labels, owners, deleting)
        found = self._pod(pod).item
        assert found is not None
        return found

    def _pod(self, pod: _PodMeta) -> Reading:
        labels = pod.labels or {}
        place = hash(frozenset(labels.items()))
        known = self._labels.found.get(place)
        if known is None or known != labels:
            known = self._labels.keep(place, interned(labels))
        owners = tuple(owner for owner in pod.owner_references if owner.controller)
        spec = self._specs.found.get(owners)
        if spec is None:
            owners = tuple(msgspec.structs.replace(owner, kind=intern(owner.kind)) for owner in owners)
            spec = self._specs.keep(owners, PodSpec(owners=owners))
        meta = Meta(
            name=pod.name,
            namespace=intern(pod.namespace),
            labels=known,
            annotations=_NONE,
            uid=pod.uid,
            deleting=bool(pod.deletion_timestamp),
        )
        item = Object(kind="Pod", meta=meta, spec=spec, location=_NOWHERE, marks=_NONE)
        return Reading(ObjectKey("Pod", meta.namespace, pod.name), pod.resource_version, item)


def key_of_head(resource: Resource, head: ObjectHead) -> ObjectKey:
    namespace = "" if resource.kind in CLUSTER_SCOPED else head.namespace
    return ObjectKey(resource.kind, namespace, head.name, resource.group)


def interned(labels: dict[str, str]) -> dict[str, str]:
    """Services, slices and pods have the same words on them."""
    return {intern(name): intern(value) for name, value in labels.items()}


#: Conditions that endpoints have, each once: there are 27.
_CONDITIONS: dict[EndpointConditions, EndpointConditions] = {}
_NO_HINTS = EndpointHints()
_NO_REF = TargetRef()


def compact(entry: SliceEndpoint, namespace: str) -> SliceEndpoint:
    """The same, with what many endpoints have held once: node, zone, conditions, and the workload's name."""
    return SliceEndpoint(
        addresses=entry.addresses,
        conditions=_CONDITIONS.setdefault(entry.conditions, entry.conditions),
        hostname=entry.hostname,
        node_name=intern(entry.node_name),
        zone=intern(entry.zone),
        hints=_NO_HINTS if entry.hints == _NO_HINTS else entry.hints,
        target_ref=_NO_REF,
        workload=entry.names(namespace),
        uid=entry.uid or entry.target_ref.uid,
    )


#: Lists of ports that services and slices have: in a cluster they are few.
_PORTS: dict[Any, Any] = {}
MAX_PORTS = 10_000


def shared(ports: T, held: dict[T, T]) -> T:
    """An equal one that is held already."""
    if len(held) > MAX_PORTS:
        held.clear()
    return held.setdefault(ports, ports)


def slim(item: Object[Any], place: Location | None = None) -> Object[Any]:
    """Without what changes or costs memory and matters to nobody: equal means that nothing happened. `place` is where
    it is from, unless it says so itself."""
    meta = item.meta
    every = item.kind in ANNOTATED or KINDS[item.group, item.kind].strict
    annotations = _NONE
    if meta.annotations:
        annotations = {
            key: value for key, value in meta.annotations.items() if (every and key not in TOOLS) or key.startswith(OWN)
        } or _NONE
    labels = meta.labels
    if item.kind == "EndpointSlice":
        labels = {SERVICE_NAME_LABEL: labels.get(SERVICE_NAME_LABEL, "")}
    labels = interned(labels) if labels else _NONE
    spec, location, uid = item.spec, place or item.location, meta.uid
    if isinstance(spec, EndpointSliceSpec | ServiceSpec):
        uid = ""  # nobody asks
    if isinstance(spec, EndpointSliceSpec):
        location = _NOWHERE
        spec = EndpointSliceSpec(
            address_type=intern(spec.address_type),
            endpoints=tuple(compact(entry, meta.namespace) for entry in spec.endpoints),
            ports=shared(spec.ports, _PORTS),
        )
    if isinstance(spec, ServiceSpec):
        # A cluster's endpoints are its EndpointSlices, which its controllers make; the selector is theirs.
        spec = msgspec.structs.replace(
            spec,
            selector=_NONE,
            ports=shared(spec.ports, _PORTS),
            cluster_ips=() if spec.cluster_ips == (spec.cluster_ip,) else spec.cluster_ips,
        )
    generation = meta.generation if item.group in (GROUP, X_GROUP) else 0
    slimmed = msgspec.structs.replace(
        meta,
        namespace=intern(meta.namespace),
        annotations=annotations,
        labels=labels,
        uid=uid,
        resource_version="",
        generation=generation,
    )
    return msgspec.structs.replace(item, meta=slimmed, spec=spec, location=location, marks=item.marks or _NONE)
