"""Which protocol a service port speaks, from what its author declared (Istio's "Protocol Selection" page)."""

from __future__ import annotations

from .snapshot import Protocol

#: Kubernetes' own names for appProtocol (KEP-3726).
KUBERNETES_APP_PROTOCOLS = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}

BY_NAME = {protocol.value.lower(): protocol for protocol in Protocol if protocol is not Protocol.AUTO}

#: Well-known ports of protocols in which the server speaks first: sniffing them would hang the connection.
SERVER_FIRST_PORTS = frozenset({25, 53, 3306, 27017})


def select_protocol(number: int, name: str = "", app_protocol: str = "", transport: str = "TCP") -> Protocol:
    """The protocol of a port: `app_protocol`, else the prefix of its name, else AUTO (or TCP where a server talks
    first)."""
    if transport.upper() in ("UDP", "SCTP"):
        return Protocol.UDP
    declared = protocol_of_name(app_protocol) or KUBERNETES_APP_PROTOCOLS.get(app_protocol.lower())
    declared = declared or protocol_of_name(name)
    if declared is not None:
        return declared
    return Protocol.TCP if number in SERVER_FIRST_PORTS else Protocol.AUTO


def protocol_of_name(name: str) -> Protocol | None:
    """`http`, `http-web`, `grpc-web-x` … as a protocol: the longest known name that is the whole or stands before a
    dash."""
    words = name.lower().split("-")
    for end in range(len(words), 0, -1):
        found = BY_NAME.get("-".join(words[:end]))
        if found is not None:
            return found
    return None
