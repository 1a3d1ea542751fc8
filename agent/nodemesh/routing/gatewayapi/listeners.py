"""Gateways and ListenerSets: which listeners there are, which of them conflict, and what each may carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...config.gateway import ServerTLSMode, ServerTLSSettings
from ...config.gatewayapi import GROUP
from ...config.gatewayapi.common import ObjectReference, SecretReference
from ...config.gatewayapi.gateways import (
    FromNamespaces,
    FrontendValidation,
    GatewayListener,
    KubernetesGatewaySpec,
    ListenerSetSpec,
    TLSMode,
    ValidationMode,
)
from ...config.meshconfig import LabelSelector
from ...config.meta import Object
from ...registry.snapshot import Namespace
from ...registry.store import selector_selects
from ..decision import Owner
from .conditions import Condition, refused, resolved, unresolved
from .facts import StatusFacts
from .grants import Grants

#: The kinds of routes by protocol.
KINDS: dict[str, tuple[str, ...]] = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute",),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}

#: What can share a port: plain HTTP by Host, TLS by server name, the rest not at all.
FAMILIES = {"HTTP": "HTTP", "HTTPS": "TLS", "TLS": "TLS", "TCP": "TCP", "UDP": "UDP"}

NO_CONFLICT = Condition("Conflicted", False, "NoConflicts")


class ListenerSpot:
    """A listener while it is looked at. `conflict` is the reason why another one has its place."""

    __slots__ = ("conditions", "conflict", "gateway", "item", "kinds", "listener", "tls", "valid")

    def __init__(self, listener: GatewayListener, item: Object[Any], gateway: str) -> None:
        self.listener = listener
        self.item = item  # the Gateway or ListenerSet that it stands in
        self.gateway = gateway
        self.conflict = ""
        self.valid = False  # served
        self.kinds: tuple[str, ...] = ()
        self.tls: ServerTLSSettings | None = None
        self.conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> tuple[str, str, str]:
        return self.item.kind, self.item.meta.key, self.listener.name

    @property
    def owner(self) -> Owner:
        meta = self.item.meta
        return Owner(kind=self.item.kind, namespace=meta.namespace, name=meta.name, location=self.item.location)

    @property
    def hostname(self) -> str:
        return self.listener.hostname or ""


class ListenerPlaces:
    """Who has which place of a Gateway, by port, family and hostname: there may be as many ListenerSets as tenants
    wish, so that nobody is held against all others."""

    __slots__ = ("_hostnames",)

    def __init__(self) -> None:
        self._hostnames: dict[int, dict[str, set[str]]] = {}

    def take(self, spot: ListenerSpot) -> str:
        """Give a listener its place; why it cannot have it, empty where it has."""
        family = FAMILIES.get(spot.listener.protocol, "")
        if not family:
            return ""
        families = self._hostnames.setdefault(spot.listener.port, {})
        if family != "UDP" and any(other not in (family, "UDP") for other in families):
            return "ProtocolConflict"
        hostnames = families.setdefault(family, set())
        if spot.hostname in hostnames:
            return "HostnameConflict"
        hostnames.add(spot.hostname)
        return ""


class ListenerJudge:
    """Looks at the listeners of one Gateway and its sets."""

    def __init__(self, gateway: Object[KubernetesGatewaySpec], grants: Grants, facts: StatusFacts) -> None:
        self.gateway = gateway
        self.grants = grants
        self.facts = facts

    def spots(self, sets: Iterable[Object[ListenerSetSpec]]) -> list[ListenerSpot]:
        """All listeners: the Gateway's, then those of its sets, each in the order of precedence."""
        key = self.gateway.meta.key
        own = [ListenerSpot(listener, self.gateway, key) for listener in self.gateway.spec.listeners]
        mark_conflicts(own)
        places = ListenerPlaces()
        for spot in own:
            if not spot.conflict:
                places.take(spot)
        found = list(own)
        for item in sets:
            for listener in item.spec.listeners:
                spot = ListenerSpot(listener, item, key)
                spot.conflict = places.take(spot)
                found.append(spot)
        for spot in found:
            self._judge(spot)
        return found

    def _judge(self, spot: ListenerSpot) -> None:
        listener = spot.listener
        known = KINDS.get(listener.protocol, ())
        wanted = listener.allowed_routes.kinds
        spot.kinds = known
        references = resolved()
        if wanted:
            spot.kinds = tuple(kind.kind for kind in wanted if kind.group == GROUP and kind.kind in known)
            if len(spot.kinds) < len(wanted):
                text = f"{listener.protocol} has {' and '.join(known) or 'no routes'}"
                references = unresolved("InvalidRouteKinds", text)
        acceptance = self._acceptance(spot)
        certificates = self._certificates(spot)
        if certificates is not None:
            references = certificates
        validation = self._validation(listener)
        if validation is not None and listener.protocol == "HTTPS":
            trouble = self._authorities(spot, validation)
            if trouble is not None:
                references, acceptance = trouble, refused("NoValidCACertificate", trouble.message)
        conflict = Condition("Conflicted", True, spot.conflict, "another listener has this place")
        no_kinds = bool(wanted) and not spot.kinds
        spot.valid = acceptance.status and not spot.conflict and not no_kinds
        programmed = spot.valid and references.status
        spot.conditions = (
            acceptance,
            conflict if spot.conflict else NO_CONFLICT,
            references,
            Condition("Programmed", programmed, "Programmed" if programmed else spot.conflict or "Invalid"),
        )

    def _acceptance(self, spot: ListenerSpot) -> Condition:
        listener = spot.listener
        if listener.protocol not in KINDS:
            right = ", ".join(KINDS)
            return refused("UnsupportedProtocol", f"{listener.protocol} is not served; right is one of {right}")
        if spot.conflict:
            return refused(spot.conflict, "another listener has this place")
        return Condition("Accepted", True, "Accepted")

    # === TLS

    def _certificates(self, spot: ListenerSpot) -> Condition | None:
        """Why a certificate cannot be used; sets what the server side needs."""
        listener, tls = spot.listener, spot.listener.tls
        if listener.protocol not in ("HTTPS", "TLS"):
            return None
        if tls is None:
            return unresolved("InvalidCertificateRef", "HTTPS needs tls.certificateRefs")
        if tls.mode is TLSMode.PASSTHROUGH:
            spot.tls = ServerTLSSettings(mode=ServerTLSMode.PASSTHROUGH)
            return None
        names = []
        trouble: Condition | None = None
        for ref in tls.certificate_refs:
            fault = self._certificate_fault(spot.item, ref)
            if fault is not None:
                trouble = trouble or fault
                continue
            names.append(f"{ref.namespace or spot.item.meta.namespace}/{ref.name}")
        if not names and trouble is None:
            trouble = unresolved("InvalidCertificateRef", "tls.certificateRefs names no certificate")
        spot.tls = self._server_tls(spot, tuple(names))
        return trouble

    def _certificate_fault(self, item: Object[Any], ref: SecretReference) -> Condition | None:
        if ref.group or ref.kind != "Secret":
            return unresolved("InvalidCertificateRef", f"{ref.kind} {ref.name} is not a Secret")
        namespace = ref.namespace or item.meta.namespace
        key = f"{namespace}/{ref.name}"
        origin = (GROUP, item.kind, item.meta.namespace)
        if not self.grants.allows(origin, "", "Secret", namespace, ref.name):
            return unresolved("RefNotPermitted", f"no ReferenceGrant in {namespace} lets {item.kind} use Secret {key}")
        fault = self.facts.certificate_fault(key)
        return unresolved("InvalidCertificateRef", f"Secret {key}: {fault}") if fault else None

    def _server_tls(self, spot: ListenerSpot, names: tuple[str, ...]) -> ServerTLSSettings:
        validation = self._validation(spot.listener) if spot.listener.protocol == "HTTPS" else None
        if validation is None:
            return ServerTLSSettings(mode=ServerTLSMode.SIMPLE, credential_names=names)
        insecure = validation.mode is ValidationMode.ALLOW_INSECURE_FALLBACK
        authority = next(iter(self.authorities(validation)), "")
        return ServerTLSSettings(
            mode=ServerTLSMode.OPTIONAL_MUTUAL if insecure else ServerTLSMode.MUTUAL,
            credential_names=names,
            ca_cert_credential_name=authority or None,
            insecure_skip_verify=True if insecure else None,
        )

    def _validation(self, listener: GatewayListener) -> FrontendValidation | None:
        """What clients' certificates are checked against on a listener's port."""
        tls = self.gateway.spec.tls
        if tls is None or tls.frontend is None:
            return None
        for entry in tls.frontend.per_port:
            if entry.port == listener.port:
                return entry.tls.validation
        return tls.frontend.default.validation

    def authorities(self, validation: FrontendValidation) -> list[str]:
        """The keys of those authorities that are good."""
        return [
            key
            for ref in validation.ca_certificate_refs
            if (key := authority_key(ref, self.gateway.meta.namespace)) and self._authority_fault(ref) is None
        ]

    def _authorities(self, spot: ListenerSpot, validation: FrontendValidation) -> Condition | None:
        if self.authorities(validation):
            return None
        faults = [fault for ref in validation.ca_certificate_refs if (fault := self._authority_fault(ref))]
        return faults[0] if faults else None

    def _authority_fault(self, ref: ObjectReference) -> Condition | None:
        key = authority_key(ref, self.gateway.meta.namespace)
        if not key:
            return unresolved("InvalidCACertificateKind", f"{ref.kind} {ref.name} is not a ConfigMap or Secret")
        namespace = ref.namespace or self.gateway.meta.namespace
        origin = (GROUP, "Gateway", self.gateway.meta.namespace)
        if not self.grants.allows(origin, "", ref.kind, namespace, ref.name):
            text = f"no ReferenceGrant in {namespace} lets Gateway use {ref.kind} {ref.name}"
            return unresolved("RefNotPermitted", text)
        fault = self.facts.authority_fault(key)
        return unresolved("InvalidCACertificateRef", f"{ref.kind} {ref.name}: {fault}") if fault else None


def authority_key(ref: ObjectReference, namespace: str) -> str:
    """The `credential_key` of an authority; empty for a kind that holds none."""
    if ref.group or ref.kind not in ("ConfigMap", "Secret"):
        return ""
    place = f"{ref.namespace or namespace}/{ref.name}"
    return f"configmap://{place}" if ref.kind == "ConfigMap" else place


def conflict_of(one: ListenerSpot, other: ListenerSpot) -> str:
    """Why two listeners cannot both be served; empty where they can."""
    if one.listener.port != other.listener.port:
        return ""
    families = {FAMILIES.get(spot.listener.protocol, "") for spot in (one, other)}
    if "" in families or len(families) > 1 and "UDP" in families:  # unknown protocols are told; UDP has its own ports
        return ""
    if len(families) > 1:
        return "ProtocolConflict"
    return "HostnameConflict" if one.hostname == other.hostname else ""


def mark_conflicts(spots: Sequence[ListenerSpot]) -> None:
    """Inside one Gateway nobody wins."""
    for index, one in enumerate(spots):
        for other in spots[index + 1 :]:
            reason = conflict_of(one, other)
            if reason:
                one.conflict, other.conflict = one.conflict or reason, other.conflict or reason


def allows_namespace(
    wish: str, selector: LabelSelector | None, own: str, other: str, namespaces: Mapping[str, Namespace]
) -> bool:
    """Whether something of namespace `other` may attach to what stands in `own`."""
    if wish == FromNamespaces.ALL:
        return True
    if wish == FromNamespaces.SAME:
        return own == other
    if wish == FromNamespaces.SELECTOR and selector is not None:
        found = namespaces.get(other)
        labels = {"kubernetes.io/metadata.name": other} | dict(found.labels if found is not None else {})
        return selector_selects(selector, labels)
    return False


def sets_by_gateway(items: Iterable[Object[ListenerSetSpec]]) -> Iterator[tuple[str, Object[ListenerSetSpec]]]:
    """The ListenerSets with the Gateway that each names, the oldest first."""
    for item in sorted(items, key=lambda entry: (entry.meta.created, entry.meta.key)):
        ref = item.spec.parent_ref
        if (ref.group, ref.kind) == (GROUP, "Gateway"):
            yield f"{ref.namespace or item.meta.namespace}/{ref.name}", item
