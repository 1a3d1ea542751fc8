"""What several kinds of the Gateway API share: bounded scalars, references to objects, GEP-2257's durations."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import msgspec

from ..base import Duration, Model
from . import GROUP

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"

#: The API's scalars (apis/v1 shared_types.go).
ObjectName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
SectionName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=rf"\A{SUBDOMAIN}\Z")]
NamespaceName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=rf"\A{_LABEL}\Z")]
Group: TypeAlias = Annotated[str, msgspec.Meta(max_length=253, pattern=rf"\A({SUBDOMAIN})?\Z")]
KindName: TypeAlias = Annotated[
    str, msgspec.Meta(min_length=1, max_length=63, pattern=r"\A[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?\Z")
]
Hostname: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=rf"\A(\*\.)?{SUBDOMAIN}\Z")]
PreciseHostname: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=rf"\A{SUBDOMAIN}\Z")]
PortNumber: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65535)]
HeaderName: TypeAlias = Annotated[
    str, msgspec.Meta(min_length=1, max_length=256, pattern=r"\A[A-Za-z0-9!#$%&'*+\-.^_`|~]+\Z")
]
HeaderValue: TypeAlias = Annotated[
    str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"\A[!-~]+([\t ]?[!-~]+)*\Z")
]
ControllerName: TypeAlias = Annotated[
    str, msgspec.Meta(min_length=1, max_length=253, pattern=rf"\A{SUBDOMAIN}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+\Z")
]

_GEP_2257 = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")


class GatewayDuration(Duration):
    """A length of time as GEP-2257 has it: up to four whole numbers with h, m, s or ms, for instance `1m30s`."""

    @classmethod
    def parse(cls, text: str) -> GatewayDuration:
        if not _GEP_2257.fullmatch(text):
            raise ValueError("a duration is one to four whole numbers with h, m, s or ms, for instance 1m30s or 500ms")
        return cls(super().parse(text))


class ParentReference(Model, frozen=True, kw_only=True):
    """What a route attaches to: a Gateway, a ListenerSet, or a Service. Without a namespace it is the route's own."""

    group: Group = GROUP
    kind: KindName = "Gateway"
    namespace: NamespaceName | None = None
    name: ObjectName
    section_name: SectionName | None = None
    port: PortNumber | None = None


class BackendReference(Model, frozen=True, kw_only=True):
    """An object that takes requests (BackendObjectReference). A Service's port is the Service's, not the pods'."""

    group: Group = ""
    kind: KindName = "Service"
    namespace: NamespaceName | None = None
    name: ObjectName
    port: PortNumber | None = None


class SecretReference(Model, frozen=True, kw_only=True):
    """A certificate's Secret (SecretObjectReference)."""

    group: Group = ""
    kind: KindName = "Secret"
    namespace: NamespaceName | None = None
    name: ObjectName


class ObjectReference(Model, frozen=True, kw_only=True):
    """Any object, also of another namespace."""

    group: Group
    kind: KindName
    namespace: NamespaceName | None = None
    name: ObjectName


class LocalObjectReference(Model, frozen=True, kw_only=True):
    """Any object of the own namespace."""

    group: Group
    kind: KindName
    name: ObjectName


class ParametersReference(Model, frozen=True, kw_only=True):
    """Settings of a controller's own (GatewayClass, XMesh)."""

    group: Group
    kind: KindName
    name: ObjectName
    namespace: NamespaceName | None = None
