"""The table of kinds: which are read into which struct, and which are known but set aside."""

from __future__ import annotations

import msgspec

from .core import ConfigMapSpec, EndpointSliceSpec, NamespaceSpec, NodeSpec, PodSpec, SecretSpec, ServiceSpec
from .destinationrule import DestinationRuleSpec
from .gateway import GatewaySpec
from .gatewayapi import GROUP, X_GROUP
from .gatewayapi.gateways import GatewayClassSpec, KubernetesGatewaySpec, ListenerSetSpec
from .gatewayapi.policies import (
    BackendSpec,
    BackendTLSPolicySpec,
    BackendTrafficPolicySpec,
    MeshSpec,
    ReferenceGrantSpec,
)
from .gatewayapi.routes import GRPCRouteSpec, HTTPRouteSpec, TCPRouteSpec, TLSRouteSpec, UDPRouteSpec
from .meshconfig import MeshConfigSpec
from .serviceentry import ServiceEntrySpec
from .sidecar import SidecarSpec
from .telemetry import TelemetrySpec
from .virtualservice import VirtualServiceSpec
from .workload import WorkloadEntrySpec, WorkloadGroupSpec

ISTIO_GROUP = "networking.istio.io"
ISTIO_VERSIONS = ("v1", "v1beta1", "v1alpha3")
TELEMETRY_GROUP = "telemetry.istio.io"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind that nodemesh reads: its group ("" is Kubernetes' core group), the versions that mean the same to us,
    and the struct of its spec. `strict` kinds know all of their fields, the others only those that matter."""

    name: str
    group: str
    versions: tuple[str, ...]
    spec: type[msgspec.Struct]
    namespaced: bool = True
    strict: bool = False


def _istio(name: str, spec: type[msgspec.Struct]) -> Kind:
    return Kind(name=name, group=ISTIO_GROUP, versions=ISTIO_VERSIONS, spec=spec, strict=True)


def _core(name: str, spec: type[msgspec.Struct], *, namespaced: bool = True) -> Kind:
    return Kind(name=name, group="", versions=("v1",), spec=spec, namespaced=namespaced)


ISTIO_KINDS: tuple[Kind, ...] = (
    _istio("VirtualService", VirtualServiceSpec),
    _istio("DestinationRule", DestinationRuleSpec),
    _istio("Gateway", GatewaySpec),
    _istio("ServiceEntry", ServiceEntrySpec),
    _istio("WorkloadEntry", WorkloadEntrySpec),
    _istio("WorkloadGroup", WorkloadGroupSpec),
    _istio("Sidecar", SidecarSpec),
    Kind(name="Telemetry", group=TELEMETRY_GROUP, versions=("v1", "v1alpha1"), spec=TelemetrySpec, strict=True),
)


def _gateway_api(
    name: str, spec: type[msgspec.Struct], *versions: str, namespaced: bool = True, group: str = GROUP
) -> Kind:
    return Kind(name=name, group=group, versions=versions, spec=spec, namespaced=namespaced, strict=True)


GATEWAY_API_KINDS: tuple[Kind, ...] = (
    _gateway_api("GatewayClass", GatewayClassSpec, "v1", "v1beta1", namespaced=False),
    _gateway_api("Gateway", KubernetesGatewaySpec, "v1", "v1beta1"),
    _gateway_api("ListenerSet", ListenerSetSpec, "v1"),
    _gateway_api("HTTPRoute", HTTPRouteSpec, "v1", "v1beta1"),
    _gateway_api("GRPCRoute", GRPCRouteSpec, "v1"),
    _gateway_api("TLSRoute", TLSRouteSpec, "v1", "v1alpha3", "v1alpha2"),
    _gateway_api("TCPRoute", TCPRouteSpec, "v1", "v1alpha2"),
    _gateway_api("UDPRoute", UDPRouteSpec, "v1", "v1alpha2"),
    _gateway_api("ReferenceGrant", ReferenceGrantSpec, "v1", "v1beta1"),
    _gateway_api("BackendTLSPolicy", BackendTLSPolicySpec, "v1", "v1alpha3"),
    _gateway_api("XBackendTrafficPolicy", BackendTrafficPolicySpec, "v1alpha1", group=X_GROUP),
    _gateway_api("XMesh", MeshSpec, "v1alpha1", namespaced=False, group=X_GROUP),
    _gateway_api("XBackend", BackendSpec, "v1alpha1", group=X_GROUP),
)

MESH_CONFIG = Kind(
    name="MeshConfig",
    group="nodemesh.io",
    versions=("v1alpha1",),
    spec=MeshConfigSpec,
    namespaced=False,
    strict=True,
)

CORE_KINDS: tuple[Kind, ...] = (
    _core("Namespace", NamespaceSpec, namespaced=False),
    _core("Node", NodeSpec, namespaced=False),
    _core("Pod", PodSpec),
    _core("Service", ServiceSpec),
    _core("Secret", SecretSpec),
    _core("ConfigMap", ConfigMapSpec),
    Kind(name="EndpointSlice", group="discovery.k8s.io", versions=("v1",), spec=EndpointSliceSpec),
)

KINDS: dict[tuple[str, str], Kind] = {
    (kind.group, kind.name): kind for kind in (*ISTIO_KINDS, *GATEWAY_API_KINDS, MESH_CONFIG, *CORE_KINDS)
}

#: Kinds of Istio's groups that nodemesh does not act upon, each with the reason.
UNSUPPORTED: dict[tuple[str, str], str] = {
    (ISTIO_GROUP, "EnvoyFilter"): "it patches Envoy's own configuration, and there is no Envoy here",
    (
        ISTIO_GROUP,
        "ProxyConfig",
    ): "it sets up sidecar containers, and there are none here; for gateways MeshConfig's defaultConfig counts",
    ("extensions.istio.io", "WasmPlugin"): "the proxy runs no WebAssembly",
    ("extensions.istio.io", "TrafficExtension"): "the proxy runs no extensions",
    ("security.istio.io", "PeerAuthentication"): "inbound traffic is not intercepted",
    ("security.istio.io", "RequestAuthentication"): "inbound traffic is not intercepted",
    ("security.istio.io", "AuthorizationPolicy"): "inbound traffic is not intercepted; NetworkPolicy goes on working",
    ("install.istio.io", "IstioOperator"): "it installs Istio itself",
    ("config.istio.io", "RouteRule"): "Istio 0.8 replaced it with VirtualService",
    ("config.istio.io", "DestinationPolicy"): "Istio 0.8 replaced it with DestinationRule",
    ("config.istio.io", "EgressRule"): "Istio 0.8 replaced it with ServiceEntry",
}

#: Groups whose every kind is ours, Istio's or the Gateway API's: an unknown kind in them is a mistake worth telling.
WATCHED_GROUPS = frozenset(
    {ISTIO_GROUP, TELEMETRY_GROUP, GROUP, X_GROUP, MESH_CONFIG.group} | {group for group, _ in UNSUPPORTED}
)


def split_api_version(api_version: str) -> tuple[str, str]:
    """`networking.istio.io/v1` to its group and version; the core group's is `v1` alone."""
    group, slash, version = api_version.rpartition("/")
    return (group, version) if slash else ("", api_version)
