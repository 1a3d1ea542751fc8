"""The traffic policy that holds for one subset and port: a DestinationRule's, on the mesh's."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ..config.destinationrule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LoadBalancerSettings,
    OutlierDetection,
    PortTrafficPolicy,
    ProxyProtocol,
    RetryBudget,
    TrafficPolicy,
    TunnelSettings,
)
from ..config.meshconfig import MeshConfigSpec
from .tables import DestinationRule


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The policy blocks that hold for one subset and port."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    retry_budget: RetryBudget | None = None
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None


#: A mesh that says nothing.
NOTHING = Policy()


def mesh_policy(mesh: MeshConfigSpec) -> Policy:
    """What holds where no DestinationRule says otherwise: of MeshConfig's defaultTrafficPolicy the two blocks that
    count there (Istio 1.31)."""
    given = mesh.default_traffic_policy
    if given is None:
        return NOTHING
    return Policy(connection_pool=given.connection_pool, outlier_detection=given.outlier_detection)


def effective_policy(rule: DestinationRule | None, subset: str, port: int, mesh: Policy) -> Policy:
    """The rule's policy, replaced by that of its port, overridden block by block by the subset's, replaced by that of
    the subset's port. A port's settings replace the four blocks as a whole: what they leave out is the mesh's again."""
    if rule is None:
        return mesh
    policy = overlay(mesh, rule.policy, port, mesh)
    chosen = rule.subset(subset) if subset else None
    return overlay(policy, chosen.traffic_policy, port, mesh) if chosen is not None else policy


def overlay(base: Policy, policy: TrafficPolicy | None, port: int, mesh: Policy) -> Policy:
    if policy is None:
        return base
    merged = Policy(
        load_balancer=policy.load_balancer or base.load_balancer,
        connection_pool=policy.connection_pool or base.connection_pool,
        outlier_detection=policy.outlier_detection or base.outlier_detection,
        tls=policy.tls or base.tls,
        retry_budget=policy.retry_budget or base.retry_budget,
        tunnel=policy.tunnel or base.tunnel,
        proxy_protocol=policy.proxy_protocol or base.proxy_protocol,
    )
    own = port_settings(policy, port)
    if own is None:
        return merged
    return replace(
        merged,
        load_balancer=own.load_balancer,
        connection_pool=own.connection_pool or mesh.connection_pool,
        outlier_detection=own.outlier_detection or mesh.outlier_detection,
        tls=own.tls,
    )


def port_settings(policy: TrafficPolicy, port: int) -> PortTrafficPolicy | None:
    for settings in policy.port_level_settings:
        if settings.port is not None and settings.port.number == port:
            return settings
    return None
