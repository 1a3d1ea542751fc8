"""An object of the configuration: its kind, its metadata, its spec and where each part of it was written."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

Spec = TypeVar("Spec")

#: A field path inside an object, for instance ("spec", "http", 0, "match", 1, "headers", "end-user").
Path = tuple[str | int, ...]


class Location(msgspec.Struct, frozen=True):
    """A place in a file: line and column count from 1; line 0 means the whole object came without a text (an API)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Meta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The parts of Kubernetes' ObjectMeta that the mesh reads; `created` is seconds since the epoch, 0 if unknown, and
    so is `written`: when `author` (a field manager's name) last wrote something other than the status."""

    name: str
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    created: float = 0.0
    resource_version: str = ""
    generation: int = 0
    deleting: bool = False
    author: str = ""
    written: float = 0.0

    @property
    def key(self) -> str:
        """`namespace/name`, or the bare name of a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Origin(StrEnum):
    """Whose word an object is: the operator's, in a file that the command line names, or that of whoever may write
    such objects in some namespace of a cluster."""

    OPERATOR = "operator"
    API_SERVER = "api-server"


class Object(msgspec.Struct, Generic[Spec], frozen=True, kw_only=True, gc=False):
    """One configuration object with a typed spec, and its status where we read that. `marks` maps field paths to where
    they were written."""

    kind: str
    group: str = ""  # the API group: Istio's Gateway and the Gateway API's are two kinds
    meta: Meta
    spec: Spec
    location: Location = Location()
    marks: Mapping[Path, Location] = {}
    status: msgspec.Struct | None = None
    origin: Origin = Origin.OPERATOR

    def locate(self, *path: str | int) -> Location:
        """The place of the innermost part of `path` that has a mark, at worst the object's own."""
        for end in range(len(path), 0, -1):
            found = self.marks.get(path[:end])
            if found is not None:
                return found
        return self.location
