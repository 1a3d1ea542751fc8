"""Which rules hold for which kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..gatewayapi import GROUP, X_GROUP
from ..kinds import ISTIO_GROUP, MESH_CONFIG, TELEMETRY_GROUP, Kind
from ..meta import Meta
from ..problems import Findings
from ..rollout import ROLLOUT, STAGED_KINDS, read_rollout
from .common import check_own_words
from .core import check_config_map, check_endpoint_slice, check_pod, check_service
from .destinationrule import check_destination_rule
from .gateway import check_gateway
from .gatewayapi.gateways import check_kubernetes_gateway, check_listener_set
from .gatewayapi.policies import check_backend_spec, check_backend_tls_policy, check_backend_traffic_policy
from .gatewayapi.routes import check_connection_route, check_grpc_route, check_http_route, check_tls_route
from .meshconfig import check_mesh_config
from .serviceentry import check_service_entry
from .sidecar import check_sidecar
from .telemetry import check_telemetry
from .virtualservice import check_virtual_service
from .workload import check_workload_entry, check_workload_group

#: By group and kind.
RULES: dict[tuple[str, str], Callable[[Any, Meta, Findings], None]] = {
    (ISTIO_GROUP, "VirtualService"): check_virtual_service,
    (ISTIO_GROUP, "DestinationRule"): check_destination_rule,
    (ISTIO_GROUP, "Gateway"): check_gateway,
    (ISTIO_GROUP, "ServiceEntry"): check_service_entry,
    (ISTIO_GROUP, "WorkloadEntry"): check_workload_entry,
    (ISTIO_GROUP, "WorkloadGroup"): check_workload_group,
    (ISTIO_GROUP, "Sidecar"): check_sidecar,
    (TELEMETRY_GROUP, "Telemetry"): check_telemetry,
    (MESH_CONFIG.group, MESH_CONFIG.name): check_mesh_config,
    (GROUP, "Gateway"): check_kubernetes_gateway,
    (GROUP, "ListenerSet"): check_listener_set,
    (GROUP, "HTTPRoute"): check_http_route,
    (GROUP, "GRPCRoute"): check_grpc_route,
    (GROUP, "TLSRoute"): check_tls_route,
    (GROUP, "TCPRoute"): check_connection_route,
    (GROUP, "UDPRoute"): check_connection_route,
    (GROUP, "BackendTLSPolicy"): check_backend_tls_policy,
    (X_GROUP, "XBackendTrafficPolicy"): check_backend_traffic_policy,
    (X_GROUP, "XBackend"): check_backend_spec,
    ("", "Pod"): check_pod,
    ("", "Service"): check_service,
    ("", "ConfigMap"): check_config_map,
    ("discovery.k8s.io", "EndpointSlice"): check_endpoint_slice,
}

DRY_RUN = "istio.io/dry-run"


def validate(kind: Kind, spec: Any, meta: Meta, findings: Findings) -> None:
    """Adds what is wrong with an object that decoded well; `strict` kinds are Istio's and our own."""
    if kind.strict and DRY_RUN in meta.annotations:
        message = f"the annotation {DRY_RUN} is for authorization policies; remove it"
        findings.error("dry-run", ("metadata", "annotations", DRY_RUN), message)
    check_own_words(kind.name, meta, findings)
    _check_rollout(kind, meta, findings)
    rules = RULES.get((kind.group, kind.name))
    if rules is not None:
        rules(spec, meta, findings)


def _check_rollout(kind: Kind, meta: Meta, findings: Findings) -> None:
    """A plan that cannot be read refuses the object: it was meant to keep the change from most clients."""
    if ROLLOUT not in meta.annotations or not kind.strict:
        return
    here = ("metadata", "annotations", ROLLOUT)
    if kind.name not in STAGED_KINDS:
        message = (
            f"changes of a {kind.name} are in force at once; the annotation is for {' and '.join(sorted(STAGED_KINDS))}"
        )
        findings.warning("bad-annotation", here, message)
        return
    _, fault = read_rollout(meta.annotations, None)
    if fault:
        findings.error("bad-rollout", here, f"the annotation {ROLLOUT} is no plan: {fault}")
