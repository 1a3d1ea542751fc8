"""Which rules hold for which kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..meta import Meta
from ..problems import Findings
from .common import check_own_words
from .core import check_endpoint_slice, check_pod, check_service
from .destinationrule import check_destination_rule
from .gateway import check_gateway
from .meshconfig import check_mesh_config
from .serviceentry import check_service_entry
from .sidecar import check_sidecar
from .virtualservice import check_virtual_service
from .workload import check_workload_entry, check_workload_group

RULES: dict[str, Callable[[Any, Meta, Findings], None]] = {
    "VirtualService": check_virtual_service,
    "DestinationRule": check_destination_rule,
    "Gateway": check_gateway,
    "ServiceEntry": check_service_entry,
    "WorkloadEntry": check_workload_entry,
    "WorkloadGroup": check_workload_group,
    "Sidecar": check_sidecar,
    "MeshConfig": check_mesh_config,
    "Pod": check_pod,
    "Service": check_service,
    "EndpointSlice": check_endpoint_slice,
}

DRY_RUN = "istio.io/dry-run"


def validate(kind: str, spec: Any, meta: Meta, findings: Findings, *, strict: bool) -> None:
    """Adds what is wrong with an object that decoded well; `strict` kinds are Istio's and our own."""
    if strict and DRY_RUN in meta.annotations:
        message = f"the annotation {DRY_RUN} is for authorization policies; remove it"
        findings.error("dry-run", ("metadata", "annotations", DRY_RUN), message)
    check_own_words(kind, meta, findings)
    rules = RULES.get(kind)
    if rules is not None:
        rules(spec, meta, findings)
