"""What an EndpointSlice is about: its service, and the workloads that its endpoints are."""

from __future__ import annotations

from sys import intern
from typing import Any

from ..config.meta import Object

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


def slice_service(item: Object[Any]) -> tuple[str, str]:
    return item.meta.namespace, item.meta.labels.get(SERVICE_NAME_LABEL, "")


def targets_of(piece: Object[Any]) -> dict[str, tuple[str, ...]]:
    """The workloads that a slice's endpoints are, as `namespace/name`, with their addresses in it."""
    return {
        intern(f"{entry.target_ref.namespace or piece.meta.namespace}/{entry.target_ref.name}"): entry.addresses
        for entry in piece.spec.endpoints
        if entry.target_ref.name
    }
