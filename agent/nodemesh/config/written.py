"""An object as its author would write it: plain data with defaults left out, to be shown and to be applied again."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from .base import Base64, Duration
from .kinds import KINDS
from .meta import Object

#: Annotations that tools keep for themselves: whoever applies the object again writes them anew.
TOOLS = ("kubectl.kubernetes.io/last-applied-configuration",)


def as_written(value: msgspec.Struct) -> dict[str, Any]:
    """A configuration struct's fields."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_as_text), type=dict[str, Any])


def document(item: Object[Any]) -> dict[str, Any]:
    """A whole object of a kind whose every field is known."""
    kind = KINDS[item.group, item.kind]
    meta: dict[str, Any] = {"name": item.meta.name}
    if kind.namespaced:
        meta["namespace"] = item.meta.namespace
    if item.meta.labels:
        meta["labels"] = dict(item.meta.labels)
    annotations = {key: value for key, value in item.meta.annotations.items() if key not in TOOLS}
    if annotations:
        meta["annotations"] = annotations
    version = kind.versions[0]
    return {
        "apiVersion": f"{kind.group}/{version}" if kind.group else version,
        "kind": kind.name,
        "metadata": meta,
        "spec": as_written(item.spec),
    }


def _as_text(value: object) -> str:
    """Durations in protobuf's JSON form: seconds with an s."""
    if isinstance(value, Duration):
        return f"{value / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if isinstance(value, Base64):
        return base64.b64encode(value).decode()
    return str(value)
