"""The settings of the mesh: those of nodemesh's own MeshConfig and, where that does not name a field, Istio's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..config.istiomesh import NAME, NAMESPACE, read_istio_mesh
from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Object

#: The ConfigMap that Istio's settings stand in, as `namespace/name`.
ISTIO_MESH = f"{NAMESPACE}/{NAME}"

_FIELDS = msgspec.structs.fields(MeshConfigSpec)


def is_mesh(kind: str, namespace: str, name: str) -> bool:
    """Whether the settings are made of an object with this name."""
    return kind == "MeshConfig" or (kind, namespace, name) == ("ConfigMap", NAMESPACE, NAME)


def mesh_of(own: Iterable[Object[Any]], istio: Object[Any] | None) -> MeshConfigSpec:
    """Of several MeshConfigs the oldest counts. A field that it names is its word alone, whatever it says."""
    mesh = min(own, key=lambda item: (item.meta.created, item.meta.key), default=None)
    spec = mesh.spec if mesh is not None else MeshConfigSpec()
    if istio is None:
        return spec
    theirs = read_istio_mesh(istio.spec.data)
    values = {
        field.name: getattr(theirs.spec, field.name)
        for field in _FIELDS
        if field.encode_name in theirs.named
        and not (mesh is not None and (_names(mesh, field.encode_name) or _names(mesh, field.name)))
    }
    return msgspec.structs.replace(spec, **values) if values else spec


def _names(mesh: Object[Any], field: str) -> bool:
    """An object's marks are of what is written, also where that is the default."""
    return ("spec", field) in mesh.marks
