"""Gateway as Istio's networking API defines it: servers that a gateway workload exposes."""

from __future__ import annotations

from enum import StrEnum

from .base import Model, UInt32


class GatewaySpec(Model, frozen=True, kw_only=True):
    """Ports that the workloads with these labels (in any namespace) open to the outside."""

    servers: tuple[Server, ...] = ()
    selector: dict[str, str] = {}


class Server(Model, frozen=True, kw_only=True):
    """One port with the hosts behind it (`[namespace/]host`, the namespace limiting whose VirtualServices may
    bind)."""

    port: Port | None = None
    bind: str | None = None
    hosts: tuple[str, ...] = ()
    tls: ServerTLSSettings | None = None
    default_endpoint: str | None = None
    name: str | None = None


class Port(Model, frozen=True, kw_only=True):
    """A port of the gateway's Service and what is spoken on it; `target_port` is refused."""

    number: UInt32 | None = None
    protocol: str | None = None
    name: str | None = None
    target_port: UInt32 | None = None


class ServerTLSSettings(Model, frozen=True, kw_only=True):
    """How a server opens TLS: certificates by file or Secret, the clients' CA for mutual modes. `https_redirect`
    answers plain HTTP with 301."""

    https_redirect: bool | None = None
    mode: ServerTLSMode | None = None
    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    ca_crl: str | None = None
    credential_name: str | None = None
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str | None = None
    tls_certificates: tuple[TLSCertificate, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TLSProtocol | None = None
    max_protocol_version: TLSProtocol | None = None
    cipher_suites: tuple[str, ...] = ()
    insecure_skip_verify: bool | None = None


class ServerTLSMode(StrEnum):
    """Unopened by SNI (the default), TLS, with the client's certificate required or optional, or the mesh's own."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TLSCertificate(Model, frozen=True, kw_only=True):
    """One certificate of several (an RSA and an ECDSA one), by file."""

    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None


class TLSProtocol(StrEnum):
    """A TLS version; TLS_AUTO is 1.2 for the lowest and 1.3 for the highest."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"
