"""Which protocol a service port speaks, from what its author declared (Istio's "Protocol Selection" page)."""

from __future__ import annotations

from .snapshot import Protocol

#: Kubernetes' own names for appProtocol (KEP-3726), which are spelt so alone.
KUBERNETES_APP_PROTOCOLS = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}

BY_NAME = {
    **{protocol.value.lower(): protocol for protocol in Protocol if protocol is not Protocol.AUTO},
    "http_proxy": Protocol.HTTP,  # Istio's word for the port of a proxy that is spoken to in HTTP
}

#: The one name with a dash in it; it counts as a bare prefix, before the first dash is looked for.
GRPC_WEB = "grpc-web"

#: Well-known ports of protocols in which the server speaks first: sniffing them would hang the connection.
SERVER_FIRST_PORTS = frozenset({25, 53, 3306, 27017})


def select_protocol(number: int, name: str = "", app_protocol: str = "", transport: str = "TCP") -> Protocol:
    """The protocol of a port: by `app_protocol` alone where that is set, else by the prefix of its name. What neither
    knows is AUTO (or TCP where a server talks first)."""
    if transport.upper() in ("UDP", "SCTP"):
        return Protocol.UDP
    declared = KUBERNETES_APP_PROTOCOLS.get(app_protocol) or protocol_of_name(app_protocol or name)
    if declared is not None:
        return declared
    return Protocol.TCP if number in SERVER_FIRST_PORTS else Protocol.AUTO


def protocol_of_name(name: str) -> Protocol | None:
    """`http`, `http-web`, `grpc-web-x` … as a protocol: the word before the first dash, in whatever case."""
    lowered = name.lower()
    if lowered.startswith(GRPC_WEB):
        return Protocol.GRPC_WEB
    return BY_NAME.get(lowered.partition("-")[0])
