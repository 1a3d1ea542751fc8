"""An object with only what agents read of it, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..config.kinds import CORE_KINDS
from ..config.written import TOOLS
from ..registry.sources.watch import decode_object

#: Of the metadata.
META = (
    "name", "namespace", "uid", "resourceVersion", "generation", "labels", "creationTimestamp", "deletionTimestamp",
)  # fmt: skip
#: Kinds whose annotations change often and say nothing to agents.
UNANNOTATED = frozenset({"EndpointSlice", "Node"})
#: Of the others agents say who wrote them.
CORE = frozenset(kind.name for kind in CORE_KINDS)
#: Of a Pod's spec and status.
POD_SPEC = ("nodeName", "hostNetwork", "hostname", "subdomain", "serviceAccountName")
POD_STATUS = ("phase", "podIP", "podIPs")

#: What a metadata-only watch is answered with.
PARTIAL = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}

_encode = msgspec.json.Encoder().encode


def trimmed(kind: str, api_version: str, data: bytes | msgspec.Raw) -> dict[str, Any]:
    """Raises ApiFormatError where `data` is no object."""
    plain = decode_object(data)
    found = {name: value for name, value in plain.items() if name not in ("metadata", "kind", "apiVersion")}
    meta = metadata(kind, plain.get("metadata") or {})
    if kind == "Pod":
        found = pod(plain)
    elif kind == "Node":
        found = {}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **found}


def metadata(kind: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: meta[name] for name in META if meta.get(name)}
    if kind == "Pod":
        owners = [owner for owner in meta.get("ownerReferences") or () if owner.get("controller")]
        if owners:
            found["ownerReferences"] = owners
    given = meta.get("annotations") or {}
    annotations = {name: value for name, value in given.items() if name not in TOOLS}
    if annotations and kind not in UNANNOTATED:
        found["annotations"] = annotations
    if kind not in CORE:
        written = [entry for entry in meta.get("managedFields") or () if not entry.get("subresource")]
        if written:
            found["managedFields"] = [{name: entry.get(name, "") for name in ("manager", "time")} for entry in written]
    return found


def pod(plain: Mapping[str, Any]) -> dict[str, Any]:
    spec, status = plain.get("spec") or {}, plain.get("status") or {}
    slim: dict[str, Any] = {name: spec[name] for name in POD_SPEC if spec.get(name)}
    for name in ("containers", "initContainers"):
        listed = [
            {"name": one.get("name", ""), "ports": one["ports"]} for one in spec.get(name) or () if one.get("ports")
        ]
        if listed:
            slim[name] = listed
    told = {name: status[name] for name in POD_STATUS if status.get(name)}
    told["conditions"] = [
        {"type": one["type"], "status": one.get("status", "")}
        for one in status.get("conditions") or ()
        if one.get("type") == "Ready"
    ]
    return {"spec": slim, "status": told}


def node_of(plain: Mapping[str, Any]) -> str:
    """The node that a pod is on."""
    node: str = plain.get("spec", {}).get("nodeName", "")
    return node


def partial(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Its metadata alone; of a pod without annotations, as agents read it of other nodes' pods."""
    meta = plain["metadata"]
    if plain["kind"] == "Pod" and "annotations" in meta:
        meta = {name: value for name, value in meta.items() if name != "annotations"}
    return {**PARTIAL, "metadata": meta}


def encoded(plain: Mapping[str, Any]) -> bytes:
    return _encode(plain)
