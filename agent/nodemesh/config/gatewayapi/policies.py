"""ReferenceGrant, BackendTLSPolicy, XBackendTrafficPolicy, XMesh and XBackend."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from ..base import Model
from .common import (
    SUBDOMAIN,
    ControllerName,
    GatewayDuration,
    Group,
    HeaderName,
    Hostname,
    KindName,
    LocalObjectReference,
    NamespaceName,
    ObjectName,
    ParametersReference,
    PortNumber,
    PreciseHostname,
    SecretReference,
    SectionName,
)


class GrantFrom(Model, frozen=True, kw_only=True):
    group: Group
    kind: KindName
    namespace: NamespaceName


class GrantTo(Model, frozen=True, kw_only=True):
    """Without a name all of the kind."""

    group: Group
    kind: KindName
    name: ObjectName | None = None


class ReferenceGrantSpec(Model, frozen=True, kw_only=True):
    """Lets objects of other namespaces refer to some of this one."""

    from_: Annotated[tuple[GrantFrom, ...], msgspec.Meta(min_length=1, max_length=16)] = msgspec.field(name="from")
    to: Annotated[tuple[GrantTo, ...], msgspec.Meta(min_length=1, max_length=16)]


class PolicyTarget(Model, frozen=True, kw_only=True):
    """What a policy is about, in its own namespace; the section is a Service port's name."""

    group: Group
    kind: KindName
    name: ObjectName
    section_name: SectionName | None = None


class SubjectAltNameType(StrEnum):
    HOSTNAME = "Hostname"
    URI = "URI"


class SubjectAltName(Model, frozen=True, kw_only=True):
    type: SubjectAltNameType
    hostname: Hostname | None = None
    uri: (
        Annotated[
            str,
            msgspec.Meta(
                min_length=1, max_length=253, pattern=r"\A(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?\Z"
            ),
        ]
        | None
    ) = None


WellKnown = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=rf"\A(System|{SUBDOMAIN}\/.+)\Z")]


class BackendValidation(Model, frozen=True, kw_only=True):
    """How a backend's certificate is checked: for `hostname`, or for the alternative names instead."""

    ca_certificate_refs: Annotated[tuple[LocalObjectReference, ...], msgspec.Meta(max_length=8)] = msgspec.field(
        default=(), name="caCertificateRefs"
    )
    well_known_ca_certificates: WellKnown | None = msgspec.field(default=None, name="wellKnownCACertificates")
    hostname: PreciseHostname
    subject_alt_names: Annotated[tuple[SubjectAltName, ...], msgspec.Meta(max_length=5)] = ()


class BackendTLSPolicySpec(Model, frozen=True, kw_only=True):
    """Services are spoken to in TLS."""

    target_refs: Annotated[tuple[PolicyTarget, ...], msgspec.Meta(min_length=1, max_length=16)]
    validation: BackendValidation
    options: Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=4096)]], msgspec.Meta(max_length=16)] = {}


class SessionPersistenceType(StrEnum):
    COOKIE = "Cookie"
    HEADER = "Header"


class CookieLifetimeType(StrEnum):
    PERMANENT = "Permanent"
    SESSION = "Session"


class CookieConfig(Model, frozen=True, kw_only=True):
    """The cookie's lifetime, as release 1.6 spells it."""

    lifetime_type: CookieLifetimeType = CookieLifetimeType.SESSION


class SessionCookie(Model, frozen=True, kw_only=True):
    """The cookie, as the main branch spells it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"\A[A-Za-z0-9!#$%&'*+\-.^_`|~]+\Z")]
    path: Annotated[str, msgspec.Meta(max_length=1024, pattern=r"\A/[!-:<-~]*\Z")] = "/"
    lifetime_type: CookieLifetimeType = CookieLifetimeType.SESSION


class SessionHeader(Model, frozen=True, kw_only=True):
    name: HeaderName


class SessionPersistence(Model, frozen=True, kw_only=True):
    """A session stays with its endpoint (GEP-1619)."""

    type: SessionPersistenceType = SessionPersistenceType.COOKIE
    absolute_timeout: GatewayDuration | None = None
    session_name: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    cookie_config: CookieConfig | None = None
    cookie: SessionCookie | None = None
    header: SessionHeader | None = None


class RetryBudgetLimit(Model, frozen=True, kw_only=True):
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 20
    interval: GatewayDuration = GatewayDuration(10_000)


class RequestRate(Model, frozen=True, kw_only=True):
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10
    interval: GatewayDuration = GatewayDuration(1000)


class RetryConstraint(Model, frozen=True, kw_only=True):
    """How many of all requests may be retries, and how many always may."""

    budget: RetryBudgetLimit = RetryBudgetLimit()
    min_retry_rate: RequestRate = RequestRate()


class BackendTrafficPolicySpec(Model, frozen=True, kw_only=True):
    target_refs: Annotated[tuple[LocalObjectReference, ...], msgspec.Meta(min_length=1, max_length=16)]
    retry_constraint: RetryConstraint | None = None
    session_persistence: SessionPersistence | None = None


class MeshSpec(Model, frozen=True, kw_only=True):
    """Which controller is the mesh."""

    controller_name: ControllerName
    description: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    parameters_ref: ParametersReference | None = None


class BackendType(StrEnum):
    EXTERNAL_HOSTNAME = "ExternalHostname"


class BackendProtocol(StrEnum):
    TCP = "TCP"
    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    HTTP11 = "HTTP11"
    H2C = "H2C"
    MCP = "MCP"


class BackendTLSMode(StrEnum):
    NONE = "None"
    SERVER_ONLY = "ServerOnly"
    CLIENT_AND_SERVER = "ClientAndServer"


class ExternalHostname(Model, frozen=True, kw_only=True):
    hostname: PreciseHostname


class BackendPort(Model, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(max_length=63)] = ""
    port: PortNumber


class BackendTLS(Model, frozen=True, kw_only=True):
    mode: BackendTLSMode
    client_certificate_ref: SecretReference | None = None
    validation: BackendValidation | None = None


class BackendSpec(Model, frozen=True, kw_only=True):
    """A host outside of the cluster as a backend."""

    type: BackendType
    external_hostname: ExternalHostname | None = None
    port: BackendPort
    protocol: BackendProtocol | None = None
    tls: BackendTLS | None = None
