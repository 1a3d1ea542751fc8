"""What an EndpointSlice is about: its service, and the workloads that its endpoints are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ..config.core import EndpointSliceSpec
from ..config.meta import Object
from .changed import carried

SERVICE_NAME_LABEL = "kubernetes.io/service-name"

#: An object's namespace and name.
Place: TypeAlias = tuple[str, str]


class ServiceSource(NamedTuple):
    """The object that a service comes from: a Service or a ServiceEntry."""

    kind: str
    namespace: str
    name: str


class Reference(NamedTuple):
    """A service's slice, by its name: one for all the workloads that it names."""

    source: ServiceSource
    piece: str


def slice_service(item: Object[Any]) -> tuple[str, str]:
    return item.meta.namespace, item.meta.labels.get(SERVICE_NAME_LABEL, "")


def targets_of(piece: Object[Any]) -> dict[str, tuple[str, ...]]:
    """The workloads that a slice's endpoints are, as `namespace/name`, with their addresses in it."""
    namespace = piece.meta.namespace
    return {name: entry.addresses for entry in piece.spec.endpoints if (name := entry.names(namespace))}


def place_of(workload: str) -> Place:
    """Of a workload, by `namespace/name`."""
    namespace, _, name = workload.partition("/")
    return namespace, name


def with_former(piece: Object[EndpointSliceSpec], before: Object[EndpointSliceSpec]) -> Object[EndpointSliceSpec]:
    """A slice with the endpoints of the one before where they are equal: most are."""
    endpoints = carried(piece.spec.endpoints, before.spec.endpoints, lambda entry: entry.addresses)
    return msgspec.structs.replace(piece, spec=msgspec.structs.replace(piece.spec, endpoints=endpoints))


class ListedAddresses:
    """The addresses that slices have of workloads; each slice is read once."""

    def __init__(self, slices: Mapping[ServiceSource, tuple[Object[Any], ...]]) -> None:
        self._slices = slices
        self._read: dict[int, dict[str, tuple[str, ...]]] = {}  # by the reference's id, which costs less than its hash

    def of(self, workload: str, references: tuple[Reference, ...]) -> tuple[str, ...]:
        """Mostly one slice names it, whose tuple is as good as another. The references are held by the caller."""
        if not references:
            return ()
        if len(references) == 1:
            return self._by(references[0]).get(workload, ())
        return tuple(dict.fromkeys(address for ref in references for address in self._by(ref).get(workload, ())))

    def _by(self, reference: Reference) -> dict[str, tuple[str, ...]]:
        found = self._read.get(id(reference))
        if found is None:
            pieces = self._slices.get(reference.source, ())
            piece = next((piece for piece in pieces if piece.meta.name == reference.piece), None)
            found = self._read[id(reference)] = targets_of(piece) if piece is not None else {}
        return found
