"""What a gateway makes of a request from outside before it is routed: the gateway or proxies that it trusts say
where it comes from, and what only the mesh may say is removed (Envoy's `use_remote_address`)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from ..config.meshconfig import MeshConfigSpec
from ..config.proxyconfig import ForwardClientCertDetails, merged
from .client import Client
from .fields import said_scheme
from .request import Request

FORWARDED_FOR: Final = b"x-forwarded-for"
FORWARDED_PROTO: Final = b"x-forwarded-proto"
CLIENT_CERTIFICATE: Final = b"x-forwarded-client-cert"
EXTERNAL_ADDRESS: Final = b"x-envoy-external-address"
REQUEST_ID: Final = b"x-request-id"

#: Only the gateway says these, and no other spelling of them is passed on.
OURS: Final = frozenset({FORWARDED_FOR, FORWARDED_PROTO, CLIENT_CERTIFICATE, REQUEST_ID})

#: By these the mesh's own clients steer its proxies.
STEERING: Final = b"x-envoy-"

#: Behind CGI (RFC 3875) a field's name has an underscore for all that is no letter or digit: nobody can tell there
#: `X_Forwarded_For` from ours.
DASHED: Final = bytes(byte if chr(byte).isascii() and chr(byte).isalnum() else 0x2D for byte in range(256))

# How x-forwarded-client-cert is treated, by Envoy's words.
Details = ForwardClientCertDetails
KEEPING: Final = frozenset({Details.FORWARD_ONLY, Details.APPEND_FORWARD})
SETTING: Final = frozenset({Details.SANITIZE_SET, Details.APPEND_FORWARD})


class Edge:
    """A gateway's door. `trusted` proxies stand before it; `details` says what becomes of certificates; with
    `proxy_protocol` connections begin with that protocol's header."""

    __slots__ = ("trusted", "details", "proxy_protocol")

    def __init__(self, mesh: MeshConfigSpec, client: Client) -> None:
        topology = merged(mesh.default_config, client.topology)
        details = topology.forward_client_cert_details
        self.trusted = int(topology.num_trusted_proxies or 0)
        self.details = Details.SANITIZE_SET if details in (None, Details.UNDEFINED) else details
        self.proxy_protocol = topology.proxy_protocol is not None

    def admit(self, request: Request, peer: bytes, certificate: bytes) -> tuple[bytes, dict[bytes, bytes]]:
        """Change a request's fields and scheme. `peer` is the address that it came from, `certificate` what
        x-forwarded-client-cert says of its client. Returns the client's address, and what changed: values by name, an
        empty one for a field that was removed."""
        headers = request.headers
        address = self.client_of(headers.get(FORWARDED_FOR, b""), peer)
        changes = {name: b"" for name in headers if is_refused(name)}
        if self.trusted:
            changes.pop(FORWARDED_PROTO, None)
            request.scheme = said_scheme(headers, request.scheme)
        if FORWARDED_PROTO in changes or FORWARDED_PROTO not in headers:
            changes[FORWARDED_PROTO] = request.scheme
        if peer:
            before = headers.get(FORWARDED_FOR, b"")
            changes[FORWARDED_FOR] = before + b"," + peer if before else peer
            changes[EXTERNAL_ADDRESS] = address
        self._certify(headers, certificate, changes)
        headers = request.headers = headers.copy()
        repeated = request.repeated
        if not repeated.keys().isdisjoint(changes):
            request.repeated = {name: values for name, values in repeated.items() if name not in changes}
        for name, value in changes.items():
            if value:
                headers[name] = value
            else:
                headers.pop(name, None)
        return address, changes

    def client_of(self, forwarded: bytes, peer: bytes) -> bytes:
        """Who the client is: each trusted proxy has put down who called it, the last one at the end."""
        if not self.trusted:
            return peer
        entries = forwarded.split(b",")
        said = entries[-self.trusted].strip(b" \t") if len(entries) >= self.trusted else b""
        return said if is_address(said) else peer

    def _certify(self, headers: dict[bytes, bytes], own: bytes, changes: dict[bytes, bytes]) -> None:
        """What is said of the client's certificate; `own` is what this gateway has seen."""
        said = headers.get(CLIENT_CERTIFICATE, b"")
        details = self.details
        if details is Details.ALWAYS_FORWARD_ONLY:
            changes.pop(CLIENT_CERTIFICATE, None)
        elif own and (details in KEEPING or details in SETTING):
            kept = said if details in KEEPING else b""
            parts = [kept, own if details in SETTING else b""]
            changes[CLIENT_CERTIFICATE] = b",".join(part for part in parts if part)
        elif said:
            changes[CLIENT_CERTIFICATE] = b""


def is_refused(name: bytes) -> bool:
    """Whether a client from outside may not send the field: no client may steer us, nor name its request."""
    dashed = name.translate(DASHED)
    return dashed in OURS or dashed.startswith(STEERING)


def is_address(text: bytes) -> bool:
    try:
        ip_address(text.decode("latin-1"))
    except ValueError:
        return False
    return True
