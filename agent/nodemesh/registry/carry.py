"""A snapshot on its way to another process, as msgpack: what rules and services say, without the places of their fields
in files."""

from __future__ import annotations

from typing import Any

import msgspec

from ..config.base import Base64, Duration
from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Object
from ..config.providers import ExtensionProvider
from .snapshot import Snapshot
from .store import RULE_KINDS


class CarryError(ValueError):
    """What came is no snapshot of this version of nodemesh."""


def encode_scalar(value: Any) -> Any:
    if isinstance(value, Duration):
        return int(value)
    if isinstance(value, Base64):
        return bytes(value)
    raise NotImplementedError(f"{type(value).__name__} does not travel")


def decode_scalar(kind: type, value: Any) -> Any:
    if issubclass(kind, Duration):
        return kind(value)
    if kind is Base64:
        return Base64(value)
    raise NotImplementedError(f"{kind.__name__} does not travel")


ENCODER = msgspec.msgpack.Encoder(enc_hook=encode_scalar)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    bare = {name: {key: plain(item) for key, item in getattr(snapshot, name).items()} for name in RULE_KINDS.values()}
    return ENCODER.encode(
        msgspec.structs.replace(snapshot, problems=(), rollouts={}, mesh=without_secrets(snapshot.mesh), **bare)
    )


def without_secrets(mesh: MeshConfigSpec) -> MeshConfigSpec:
    """Collectors' fields may be tokens, and say nothing of requests."""
    return msgspec.structs.replace(mesh, extension_providers=tuple(map(_bare, mesh.extension_providers)))


def _bare(provider: ExtensionProvider) -> ExtensionProvider:
    collector = provider.opentelemetry
    if collector is None or collector.http is None:
        return provider
    http = msgspec.structs.replace(collector.http, headers=())
    return msgspec.structs.replace(provider, opentelemetry=msgspec.structs.replace(collector, http=http))


def plain(item: Object[Any]) -> Object[Any]:
    return msgspec.structs.replace(item, marks={}, status=None)


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises CarryError."""
    try:
        return msgspec.msgpack.decode(data, type=Snapshot, dec_hook=decode_scalar)
    except msgspec.DecodeError as error:
        raise CarryError(f"the agent's snapshot cannot be read: {error}; is it of this version?") from None
