"""Core objects straight from an API server's JSON, with no plain data in between: a cluster has very many of them.

Only what is well is read here. Of all else `load` has to say what is wrong, and reads it the long way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from .base import CoreModel
from .core import EndpointSliceSpec, NamespaceSpec, NodeSpec, ServiceSpec, ServiceStatus
from .kinds import KINDS, Kind
from .load import ObjectMeta, meta_of, with_published
from .meta import Object
from .problems import Findings
from .validate.table import validate


class _Bare(CoreModel, frozen=True, kw_only=True):
    """An object of which the metadata is enough."""

    metadata: ObjectMeta = ObjectMeta()


class _Service(_Bare, frozen=True, kw_only=True):
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class _EndpointSlice(EndpointSliceSpec, frozen=True, kw_only=True):
    metadata: ObjectMeta = ObjectMeta()


class _Shape(NamedTuple):
    """How a kind's JSON is read, and where its spec is then."""

    kind: Kind
    decode: Callable[[bytes | msgspec.Raw], Any]
    spec: Callable[[Any], msgspec.Struct]


def _shape(group: str, name: str, written: type[msgspec.Struct], spec: Callable[[Any], msgspec.Struct]) -> _Shape:
    return _Shape(KINDS[group, name], msgspec.json.Decoder(written).decode, spec)


def _slice_spec(written: _EndpointSlice) -> EndpointSliceSpec:
    return EndpointSliceSpec(address_type=written.address_type, endpoints=written.endpoints, ports=written.ports)


_SHAPES = {
    (shape.kind.group, shape.kind.name): shape
    for shape in (
        _shape("", "Namespace", _Bare, lambda _written: NamespaceSpec()),
        _shape("", "Node", _Bare, lambda _written: NodeSpec()),
        _shape("", "Service", _Service, lambda written: with_published(written.spec, written.status)),
        _shape("discovery.k8s.io", "EndpointSlice", _EndpointSlice, _slice_spec),
    )
}


def load_straight(data: bytes | msgspec.Raw, group: str, name: str) -> Object[Any] | None:
    """The object of this kind that the JSON says; None where it is to be read by `load`: it is of another kind, there
    is something wrong with it, or worth a warning."""
    shape = _SHAPES.get((group, name))
    if shape is None:
        return None
    try:
        written = shape.decode(data)
    except msgspec.DecodeError:
        return None
    findings = Findings()
    meta = meta_of(written.metadata, shape.kind, findings)
    spec = shape.spec(written)
    validate(shape.kind, spec, meta, findings)
    if findings.items:
        return None
    return Object(kind=name, group=group, meta=meta, spec=spec)
