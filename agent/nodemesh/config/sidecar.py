"""Sidecar as Istio's networking API defines it: what a workload sees of the mesh."""

from __future__ import annotations

from enum import StrEnum

from .base import Model, NetworkingWorkloadSelector, UInt32
from .destinationrule import ConnectionPoolSettings
from .gateway import ServerTLSSettings
from .virtualservice import Destination


class SidecarSpec(Model, frozen=True, kw_only=True):
    workload_selector: NetworkingWorkloadSelector | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None


class IstioIngressListener(Model, frozen=True, kw_only=True):
    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    default_endpoint: str | None = None
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Model, frozen=True, kw_only=True):
    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    hosts: tuple[str, ...] = ()


class OutboundTrafficPolicy(Model, frozen=True, kw_only=True):
    mode: Mode | None = None
    egress_proxy: Destination | None = None


class Mode(StrEnum):
    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


class CaptureMode(StrEnum):
    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"


class SidecarPort(Model, frozen=True, kw_only=True):
    number: UInt32 | None = None
    protocol: str | None = None
    name: str | None = None
    target_port: UInt32 | None = None
