"""Which HTTP the endpoints of a cluster are spoken to in, and what settles that (Istio's cluster builder)."""

from __future__ import annotations

from ..config.destinationrule import ConnectionPoolSettings, H2UpgradePolicy
from ..config.meshconfig import MeshConfigSpec, MeshH2UpgradePolicy
from ..registry.snapshot import HTTP2_PROTOCOLS, HTTP_PROTOCOLS, Protocol
from .decision import HttpReason, HttpVersion

Answer = tuple[HttpVersion, HttpReason]

#: Each reason as a sentence for people.
SENTENCES = {
    HttpReason.DEFAULT: "nothing asks for another",
    HttpReason.PORT: "the port is declared for it",
    HttpReason.UNDECLARED: "the port's protocol is not declared",
    HttpReason.GATEWAY: "the port's protocol is not declared, and gateways do not take over their clients'",
    HttpReason.RULE: "the DestinationRule's h2UpgradePolicy is UPGRADE",
    HttpReason.MESH: "MeshConfig's h2UpgradePolicy is UPGRADE",
    HttpReason.CLIENT: "the DestinationRule has useClientProtocol",
    HttpReason.PASSTHROUGH: "the destination is unknown to the registry",
    HttpReason.GRPC_ROUTE: "a GRPCRoute leads to it, and gRPC is HTTP/2",
}

WORDS = {
    HttpVersion.HTTP1: "HTTP/1.1",
    HttpVersion.HTTP2: "HTTP/2",
    HttpVersion.CLIENT: "the HTTP that the client speaks",
}


def choose_http(
    protocol: Protocol, settings: ConnectionPoolSettings | None, mesh: MeshConfigSpec, *, gateway: bool
) -> Answer:
    """For requests to a port of that protocol. An undeclared port follows its clients, whatever is upgraded: Istio
    fills in HTTP/2 only where nothing stands yet. At gateways it would hand every browser's HTTP/2 to servers that do
    not have it, so there it does not."""
    http = settings.http if settings is not None else None
    policy = (http.h2_upgrade_policy if http is not None else None) or H2UpgradePolicy.DEFAULT
    if http is not None and http.use_client_protocol:
        return HttpVersion.CLIENT, HttpReason.CLIENT
    if protocol in HTTP2_PROTOCOLS:
        return HttpVersion.HTTP2, HttpReason.PORT
    if protocol is Protocol.AUTO and not gateway:
        return HttpVersion.CLIENT, HttpReason.UNDECLARED
    if policy is H2UpgradePolicy.UPGRADE:
        return HttpVersion.HTTP2, HttpReason.RULE
    wanted = policy is H2UpgradePolicy.DEFAULT and mesh.h2_upgrade_policy is MeshH2UpgradePolicy.UPGRADE
    if wanted and protocol in HTTP_PROTOCOLS:
        return HttpVersion.HTTP2, HttpReason.MESH
    return HttpVersion.HTTP1, HttpReason.GATEWAY if protocol is Protocol.AUTO else HttpReason.DEFAULT


def told(version: HttpVersion, reason: HttpReason) -> str:
    """`HTTP/2: the port is declared for it`."""
    return f"{WORDS[version]}: {SENTENCES[reason]}"
