"""GatewayClass, Gateway and ListenerSet: who serves, on which ports, for whose routes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from ..base import Model
from ..meshconfig import LabelSelector
from . import GROUP
from .common import (
    ControllerName,
    Group,
    Hostname,
    KindName,
    LocalObjectReference,
    NamespaceName,
    ObjectName,
    ObjectReference,
    ParametersReference,
    PortNumber,
    SecretReference,
    SectionName,
)

LabelValue = Annotated[str, msgspec.Meta(max_length=63, pattern=r"\A(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")]
LongValue = Annotated[str, msgspec.Meta(max_length=4096)]


class GatewayClassSpec(Model, frozen=True, kw_only=True):
    """Which controller serves the Gateways that name this class."""

    controller_name: ControllerName
    description: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    parameters_ref: ParametersReference | None = None


class FromNamespaces(StrEnum):
    """Whose routes, or whose ListenerSets, may attach."""

    ALL = "All"
    SELECTOR = "Selector"
    SAME = "Same"
    NONE = "None"


class FromRouteNamespaces(StrEnum):
    ALL = "All"
    SELECTOR = "Selector"
    SAME = "Same"


class RouteNamespaces(Model, frozen=True, kw_only=True):
    from_: FromRouteNamespaces = msgspec.field(default=FromRouteNamespaces.SAME, name="from")
    selector: LabelSelector | None = None


class RouteGroupKind(Model, frozen=True, kw_only=True):
    group: Group = GROUP
    kind: KindName


class AllowedRoutes(Model, frozen=True, kw_only=True):
    """Without kinds those that fit the listener's protocol."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: Annotated[tuple[RouteGroupKind, ...], msgspec.Meta(max_length=8)] = ()


class ListenerNamespaces(Model, frozen=True, kw_only=True):
    from_: FromNamespaces = msgspec.field(default=FromNamespaces.NONE, name="from")
    selector: LabelSelector | None = None


class AllowedListeners(Model, frozen=True, kw_only=True):
    """Whose ListenerSets count for a Gateway; none unless it says so."""

    namespaces: ListenerNamespaces = ListenerNamespaces()


class TLSMode(StrEnum):
    TERMINATE = "Terminate"
    PASSTHROUGH = "Passthrough"


class ListenerTLS(Model, frozen=True, kw_only=True):
    mode: TLSMode = TLSMode.TERMINATE
    certificate_refs: Annotated[tuple[SecretReference, ...], msgspec.Meta(max_length=64)] = ()
    options: Annotated[dict[str, LongValue], msgspec.Meta(max_length=16)] = {}


class GatewayListener(Model, frozen=True, kw_only=True):
    """A port with a protocol, for the requests to some host (none: to any)."""

    name: SectionName
    hostname: Hostname | None = None
    port: PortNumber
    protocol: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=255,
            pattern=r"\A([a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?|"
            r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+)\Z",
        ),
    ]
    tls: ListenerTLS | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewayAddress(Model, frozen=True, kw_only=True):
    """An address that the Gateway is to have; without a value any of its type."""

    type: Annotated[str, msgspec.Meta(min_length=1, max_length=253)] = "IPAddress"
    value: Annotated[str, msgspec.Meta(max_length=253)] = ""


class GatewayInfrastructure(Model, frozen=True, kw_only=True):
    """What the objects that are made for a Gateway carry."""

    labels: Annotated[dict[str, LabelValue], msgspec.Meta(max_length=8)] = {}
    annotations: Annotated[dict[str, LongValue], msgspec.Meta(max_length=16)] = {}
    parameters_ref: LocalObjectReference | None = None


class ValidationMode(StrEnum):
    """Whether a client without a valid certificate is let in all the same."""

    ALLOW_VALID_ONLY = "AllowValidOnly"
    ALLOW_INSECURE_FALLBACK = "AllowInsecureFallback"


class FrontendValidation(Model, frozen=True, kw_only=True):
    """What clients' certificates are checked against."""

    ca_certificate_refs: Annotated[tuple[ObjectReference, ...], msgspec.Meta(min_length=1, max_length=16)] = (
        msgspec.field(name="caCertificateRefs")
    )
    mode: ValidationMode = ValidationMode.ALLOW_VALID_ONLY


class FrontendTLS(Model, frozen=True, kw_only=True):
    validation: FrontendValidation | None = None


class PortFrontendTLS(Model, frozen=True, kw_only=True):
    port: PortNumber
    tls: FrontendTLS


class FrontendTLSConfig(Model, frozen=True, kw_only=True):
    """For all HTTPS listeners, unless their port has its own."""

    default: FrontendTLS
    per_port: Annotated[tuple[PortFrontendTLS, ...], msgspec.Meta(max_length=64)] = ()


class BackendClientTLS(Model, frozen=True, kw_only=True):
    """The certificate that is shown to backends which are spoken to in TLS."""

    client_certificate_ref: SecretReference | None = None


class GatewayTLSConfig(Model, frozen=True, kw_only=True):
    backend: BackendClientTLS | None = None
    frontend: FrontendTLSConfig | None = None


class DefaultScope(StrEnum):
    ALL = "All"
    NONE = "None"


Listeners = Annotated[tuple[GatewayListener, ...], msgspec.Meta(min_length=1, max_length=64)]


class KubernetesGatewaySpec(Model, frozen=True, kw_only=True):
    """Listeners that a class's controller opens, and what may attach to them."""

    gateway_class_name: ObjectName
    listeners: Listeners
    addresses: Annotated[tuple[GatewayAddress, ...], msgspec.Meta(max_length=16)] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners = AllowedListeners()
    tls: GatewayTLSConfig | None = None
    default_scope: DefaultScope | None = None


class ParentGatewayReference(Model, frozen=True, kw_only=True):
    group: Group = GROUP
    kind: KindName = "Gateway"
    namespace: NamespaceName | None = None
    name: ObjectName


class ListenerSetSpec(Model, frozen=True, kw_only=True):
    """More listeners for a Gateway, by somebody else than its author."""

    parent_ref: ParentGatewayReference
    listeners: Listeners
