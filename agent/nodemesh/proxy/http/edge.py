"""What a gateway changes in requests from outside: whom they come from is told by us, and what only the mesh may say
is removed (Envoy's `use_remote_address`, without trusted hops)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final

from .head import RequestHead
from .security import Security

FORWARDED_FOR: Final = b"x-forwarded-for"
FORWARDED_PROTO: Final = b"x-forwarded-proto"
CLIENT_CERTIFICATE: Final = b"x-forwarded-client-cert"
EXTERNAL_ADDRESS: Final = b"x-envoy-external-address"
INTERNAL: Final = b"x-envoy-internal"

#: RFC 1918, RFC 4193 and loopback.
PRIVATE: Final = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"))
)

#: Said by the gateway alone.
OURS: Final = frozenset({FORWARDED_FOR, FORWARDED_PROTO, CLIENT_CERTIFICATE, EXTERNAL_ADDRESS, INTERNAL})


def admit(head: RequestHead, remote: str, security: Security | None) -> None:
    """Change what is said of a request; `remote` is the client's `address:port`."""
    client = remote.rpartition(":")[0].strip("[]")
    internal = is_internal(client)
    headers = head.headers
    forwarded = headers.get(FORWARDED_FOR, b"")
    address = client.encode()
    forwarded = forwarded + b"," + address if forwarded else address
    refused = [name for name in headers if not keeps(name, internal)]
    headers = head.headers = headers.copy()
    for name in refused:
        head.edits[name] = b""
        del headers[name]
    head.controlled = head.controlled and internal
    said = [(FORWARDED_FOR, forwarded), (FORWARDED_PROTO, head.scheme)]
    said.append((INTERNAL, b"true") if internal else (EXTERNAL_ADDRESS, address))
    if security is not None and security.certificate:
        said.append((CLIENT_CERTIFICATE, security.certificate))
    for name, value in said:
        headers[name] = value
        head.edits[name] = name + b": " + value


def keeps(name: bytes, internal: bool) -> bool:
    """Whether a client's own field stays. One from outside may not steer us, nor name its request."""
    if name in OURS:
        return False
    return internal or not (name.startswith(b"x-envoy-") or name == b"x-request-id")


def is_internal(address: str) -> bool:
    """Private addresses are the mesh's own (Envoy's internal_address_config, by default)."""
    try:
        found = ip_address(address)
    except ValueError:  # a Unix socket
        return True
    return any(found in network for network in PRIVATE if network.version == found.version)
