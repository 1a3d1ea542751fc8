"""Sidecar as Istio's networking API defines it: what a workload sees of the mesh."""

from __future__ import annotations

from enum import StrEnum

from .base import Model, NetworkingWorkloadSelector, UInt32
from .destinationrule import ConnectionPoolSettings
from .gateway import ServerTLSSettings
from .meshconfig import OutboundMode
from .virtualservice import Destination


class SidecarSpec(Model, frozen=True, kw_only=True):
    """What the selected workloads of a namespace (all without a selector; all namespaces from the root) see of the
    mesh."""

    workload_selector: NetworkingWorkloadSelector | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None


class IstioIngressListener(Model, frozen=True, kw_only=True):
    """A port at which inbound traffic is accepted."""

    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    default_endpoint: str | None = None
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Model, frozen=True, kw_only=True):
    """The hosts (`namespace/host`) that can be reached, at one port or, without a port, at all others."""

    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    hosts: tuple[str, ...] = ()


class OutboundTrafficPolicy(Model, frozen=True, kw_only=True):
    """What becomes of traffic to unknown hosts; an empty one means REGISTRY_ONLY."""

    mode: OutboundMode | None = None
    egress_proxy: Destination | None = None


class CaptureMode(StrEnum):
    """How traffic comes to the listener; DEFAULT is the node's way."""

    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"


class SidecarPort(Model, frozen=True, kw_only=True):
    """A port and its protocol."""

    number: UInt32 | None = None
    protocol: str | None = None
    name: str | None = None
    target_port: UInt32 | None = None
