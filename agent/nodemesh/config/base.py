"""What every config struct is built from: the struct base, and the scalar types with their units."""

from __future__ import annotations

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One message of the API: attributes in snake_case, JSON names in lowerCamelCase; absent fields are None."""


class Duration(int):
    """A length of time in whole milliseconds, written like `1.5s`, `500ms` or `1h30m` (protobuf and Go forms)."""


class Base64(bytes):
    """Raw bytes, written in base64 (protobuf's JSON form of `bytes`)."""


class WorkloadSelector(Model, frozen=True, kw_only=True):
    """Selects workloads by labels (istio.type.v1beta1 calls the field matchLabels, Sidecar calls it labels)."""

    match_labels: dict[str, str] = {}
    labels: dict[str, str] = {}


class CoreModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of a core Kubernetes object: only what the mesh reads is declared, the rest is passed over."""
