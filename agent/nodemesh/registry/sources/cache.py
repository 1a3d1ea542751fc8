"""The last good state of a cluster on disk: a node that boots while the API server is down serves from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ...config.base import Base64, Duration
from ...config.kinds import KINDS
from ...config.meta import Object
from ..assemble import ObjectKey, key_of

#: Raised when older files cannot be read any more. Fields with defaults come and go without that.
FORMAT = 2

Objects = Mapping[str, Mapping[ObjectKey, Object[Any]]]


class _File(msgspec.Struct, frozen=True):
    format: int
    node: str
    objects: dict[str, list[tuple[str, str, msgspec.Raw]]]  # by resource: group, kind, object
    cluster: str = ""
    versions: dict[str, str] = {}


class SavedState(NamedTuple):
    """What was saved: objects by resource; of some resources the resourceVersion up to which they are right, in the
    cluster that `cluster` names."""

    objects: dict[str, dict[ObjectKey, Object[Any]]]
    cluster: str = ""
    versions: Mapping[str, str] = {}


def encode(value: Any) -> Any:
    """The types that msgspec does not know."""
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(type(value))


def decode(kind: type[Any], value: Any) -> Any:
    if issubclass(kind, Duration | Base64):
        return kind(value)
    raise NotImplementedError(kind)


class Cache:
    """One file, replaced as a whole. It holds no Secret."""

    def __init__(self, path: str | Path, node: str) -> None:
        self._path = Path(path)
        self._node = node
        self._encoder = msgspec.msgpack.Encoder(enc_hook=encode)
        self._decoders = {
            (kind.group, kind.name): msgspec.msgpack.Decoder(Object[kind.spec], dec_hook=decode)  # type: ignore[name-defined]
            for kind in KINDS.values()
        }

    def save(self, objects: Objects, cluster: str = "", versions: Mapping[str, str] | None = None) -> None:
        """`cluster` and `versions` as SavedState has them. Raises OSError."""
        encoded = {
            name: [(item.group, item.kind, msgspec.Raw(self._encoder.encode(item))) for item in held.values()]
            for name, held in objects.items()
        }
        data = self._encoder.encode(_File(FORMAT, self._node, encoded, cluster, dict(versions or {})))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._path)

    def load(self) -> dict[str, dict[ObjectKey, Object[Any]]]:
        """The objects alone."""
        return self.read().objects

    def read(self) -> SavedState:
        """Empty where there is no file, or one of another node or format. What cannot be read any more is left out, and
        has no version."""
        try:
            file = msgspec.msgpack.decode(self._path.read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError):
            return SavedState({})
        if file.format != FORMAT or file.node != self._node:
            return SavedState({})
        versions = dict(file.versions)
        found: dict[str, dict[ObjectKey, Object[Any]]] = {}
        for name, items in file.objects.items():
            held = found[name] = {}
            for group, kind, data in items:
                try:
                    item = self._decoders[group, kind].decode(data)
                except (KeyError, msgspec.DecodeError):
                    versions.pop(name, None)
                    continue
                held[key_of(item)] = item
        return SavedState(found, file.cluster, versions)
