"""What statuses depend on besides the objects: certificates as they stand in the cluster, and Gateways' addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address

from ..config.core import CredentialSpec
from ..config.gatewayapi import GROUP
from ..config.gatewayapi.gateways import FrontendValidation, KubernetesGatewaySpec
from ..config.meta import Object
from ..proxy.tls.context import pair_fault
from ..registry.assemble import ObjectKey
from ..registry.snapshot import Snapshot
from ..routing.gatewayapi import GATEWAY_NAME_LABEL
from ..routing.gatewayapi.attach import AttachResult, attach
from ..routing.gatewayapi.backend_tls import client_pair
from ..routing.gatewayapi.listeners import authority_key
from ..routing.gatewayapi.names import label_value
from .routestatus import WantedStatus, wanted_statuses

AUTHORITY_KEYS = ("ca.crt", "cacert")

Addresses = Mapping[str, tuple[tuple[str, str], ...]]


class ClusterFacts:
    """`specs` are the Secrets and ConfigMaps at hand; `why_absent` says why one is not, empty where nobody knows."""

    def __init__(
        self, specs: Mapping[str, CredentialSpec], why_absent: Callable[[str], str], addresses: Addresses | None
    ) -> None:
        self._specs = specs
        self._why_absent = why_absent
        self.addresses = addresses

    def certificate_fault(self, key: str) -> str:
        spec = self._specs.get(key)
        if spec is None:
            return self._why_absent(key)
        data = content_of(spec)
        for name in ("tls.crt", "tls.key"):
            if name not in data:
                return f"it has no {name}"
        return pair_fault(data["tls.crt"], data["tls.key"])

    def authority_fault(self, key: str) -> str:
        spec = self._specs.get(key)
        if spec is None:
            return self._why_absent(key)
        data = content_of(spec)
        pem = next((data[name] for name in AUTHORITY_KEYS if data.get(name)), b"")
        return "" if b"-----BEGIN CERTIFICATE-----" in pem else "it has no certificate under ca.crt"


def content_of(spec: CredentialSpec) -> dict[str, bytes]:
    return {name: value.encode() if isinstance(value, str) else value for name, value in spec.data.items()}


def references(snapshot: Snapshot, attached: AttachResult) -> set[str]:
    """The `credential_key`s that our Gateways' statuses speak of, those granted alone."""
    found: set[str] = set()
    for key, spots in attached.spots.items():
        gateway = snapshot.kubernetes_gateways[key]
        found |= set(authorities(gateway))
        for spot in spots:
            tls = spot.listener.tls
            for ref in tls.certificate_refs if tls is not None else ():
                namespace = ref.namespace or spot.item.meta.namespace
                origin = (GROUP, spot.item.kind, spot.item.meta.namespace)
                if not ref.group and attached.grants.allows(origin, "", ref.kind, namespace, ref.name):
                    found.add(f"{namespace}/{ref.name}")
        found |= {pair} if (pair := client_pair(gateway, attached.grants)) else set()
    return found | {
        policy.tls.credential for one in attached.backend_tls.values() for policy in one if policy.tls.credential
    }


def authorities(gateway: Object[KubernetesGatewaySpec]) -> Iterator[str]:
    tls = gateway.spec.tls
    if tls is None or tls.frontend is None:
        return
    validations: list[FrontendValidation | None] = [tls.frontend.default.validation]
    validations += [entry.tls.validation for entry in tls.frontend.per_port]
    for validation in validations:
        for ref in validation.ca_certificate_refs if validation is not None else ():
            key = authority_key(ref, gateway.meta.namespace)
            if key and ref.namespace in (None, gateway.meta.namespace):
                yield key


def gateway_addresses(snapshot: Snapshot) -> Addresses:
    """By Gateway: where its Service is reached, from outside where it can be, else from inside."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    labels = {
        (gateway.meta.namespace, label_value(gateway.meta.name)): key
        for key, gateway in snapshot.kubernetes_gateways.items()
    }
    for services in snapshot.services.values():
        for service in services:
            key = labels.get((service.namespace, service.labels.get(GATEWAY_NAME_LABEL, "")))
            if service.kind == "Service" and key is not None:
                outside = service.published or service.external_addresses or service.addresses
                found[key] = tuple((type_of(address), address) for address in outside)
    return found


def type_of(address: str) -> str:
    try:
        ip_address(address)
    except ValueError:
        return "Hostname"
    return "IPAddress"


class StatusJudge:
    """All statuses as they should be; found again only when something has changed."""

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] = ()
        self._wanted: list[WantedStatus] = []
        self.secrets: set[str] = set()  # that the statuses speak of

    def wanted(
        self,
        snapshot: Snapshot,
        previous: object,
        specs: Mapping[str, CredentialSpec],
        why_absent: Callable[[str], str],
        path_of: Callable[[ObjectKey], str],
    ) -> list[WantedStatus]:
        known = {key: (specs.get(key), why_absent(key)) for key in self.secrets}
        if self._made_of and self._made_of[0] is snapshot and self._made_of[1] == known:
            return self._wanted
        addresses = gateway_addresses(snapshot)
        facts = ClusterFacts(specs, why_absent, addresses)
        attached = attach(snapshot, facts, previous if isinstance(previous, AttachResult) else None)
        self.secrets = references(snapshot, attached)
        self._made_of = (snapshot, {key: (specs.get(key), why_absent(key)) for key in self.secrets})
        self._wanted = list(wanted_statuses(snapshot, attached, addresses, path_of))
        return self._wanted
