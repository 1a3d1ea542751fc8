"""BackendTLSPolicies: Services that gateways speak to in TLS, and what is to be said of each policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from ...config.gatewayapi import GROUP
from ...config.gatewayapi.common import SecretReference
from ...config.gatewayapi.gateways import KubernetesGatewaySpec
from ...config.gatewayapi.policies import BackendTLSPolicySpec, PolicyTarget
from ...config.meta import Object
from ...registry.snapshot import Snapshot
from ..decision import Owner, UpstreamTls
from . import GATEWAY_CONTROLLER
from .backends import ServiceReads
from .conditions import AncestorVerdict, Condition, accepted, refused, resolved, unresolved
from .facts import StatusFacts
from .grants import Grants
from .rules import BackendTls, ResolvedRoute, ServedListener

#: Where the system's own authorities stand, to UpstreamTls.
SYSTEM = "system"
#: The most ancestors that a status tells.
MAX_ANCESTORS = 16

Policy = Object[BackendTLSPolicySpec]


class BackendPolicies:
    """`tls` has the settings by the Service's host, `said` the verdicts by policy."""

    def __init__(
        self,
        snapshot: Snapshot,
        facts: StatusFacts,
        listeners: Mapping[str, ServedListener],
        routes: Mapping[str, ResolvedRoute],
    ) -> None:
        self._snapshot = snapshot
        self._facts = facts
        self.reads: ServiceReads = {}
        self.tls: dict[str, tuple[BackendTls, ...]] = {}
        self.said: dict[str, tuple[AncestorVerdict, ...]] = {}
        self._gateways = gateways_by_host(listeners, routes)
        taken: set[tuple[str, str]] = set()
        policies = snapshot.backend_tls_policies.values()
        for item in sorted(policies, key=lambda entry: (entry.meta.created, entry.meta.key)):
            self._judge(item, taken)

    def _judge(self, item: Policy, taken: set[tuple[str, str]]) -> None:
        """The older policy of a target counts; its settings hold even if its authority is bad: nobody is trusted
        then."""
        hosts = [(self._host(item, ref), ref) for ref in item.spec.target_refs]
        known = [(host, ref) for host, ref in hosts if host]
        places = [(host, ref.section_name or "") for host, ref in known]
        conflict = bool(places) and all(place in taken for place in places)
        authority, references = self._authority(item)
        for place in places:
            if place not in taken:
                taken.add(place)
                settings = BackendTls(owner=owner_of(item), section=place[1], tls=self._settings(item, authority))
                self.tls[place[0]] = (*self.tls.get(place[0], ()), settings)
        if conflict:
            verdict = refused("Conflicted", "an older policy has its targets")
        elif not references.status:
            verdict = refused("NoValidCACertificate", references.message)
        else:
            verdict = accepted()
        gateways = sorted({gateway for host, _ in known for gateway in self._gateways.get(host, ())})
        if gateways:
            self.said[item.meta.key] = tuple(
                AncestorVerdict(gateway, GATEWAY_CONTROLLER, (verdict, references))
                for gateway in gateways[:MAX_ANCESTORS]
            )

    def _host(self, item: Policy, ref: PolicyTarget) -> str:
        """The Service's host; empty where there is none, or no such port."""
        if ref.group or ref.kind != "Service":
            return ""
        host = f"{ref.name}.{item.meta.namespace}.svc.{self._snapshot.mesh.cluster_domain}"
        services = self.reads[host] = self._snapshot.services.get(host)
        service = next((one for one in services or () if one.kind == "Service"), None)
        if service is None:
            return ""
        named = ref.section_name is None or any(port.name == ref.section_name for port in service.ports)
        return host if named else ""

    def _authority(self, item: Policy) -> tuple[str, Condition]:
        """The first good one, as UpstreamTls has it."""
        validation = item.spec.validation
        if not validation.ca_certificate_refs:
            if validation.well_known_ca_certificates == "System":
                return SYSTEM, resolved()
            text = f"wellKnownCACertificates {validation.well_known_ca_certificates} is not known; right is System"
            return "", unresolved("InvalidCACertificateRef", text)
        trouble: Condition | None = None
        for ref in validation.ca_certificate_refs:
            if ref.group or ref.kind not in ("ConfigMap", "Secret"):
                text = f"{ref.kind} {ref.name} is not a ConfigMap"
                trouble = trouble or unresolved("InvalidKind", text)
                continue
            place = f"{item.meta.namespace}/{ref.name}"
            key = f"configmap://{place}" if ref.kind == "ConfigMap" else place
            fault = self._facts.authority_fault(key)
            if not fault:
                return key, trouble or resolved()
            trouble = trouble or unresolved("InvalidCACertificateRef", f"{ref.kind} {ref.name}: {fault}")
        first = validation.ca_certificate_refs[0]
        return f"configmap://{item.meta.namespace}/{first.name}", trouble or resolved()

    def _settings(self, item: Policy, authority: str) -> UpstreamTls:
        validation = item.spec.validation
        names = tuple(str(name.hostname or name.uri) for name in validation.subject_alt_names)
        return UpstreamTls(
            mode="SIMPLE",
            sni=validation.hostname,
            subject_alt_names=names or (validation.hostname,),
            ca_certificates=SYSTEM if authority == SYSTEM else "",
            credential=authority if authority != SYSTEM else "",
        )


def owner_of(item: Policy) -> Owner:
    return Owner(kind=item.kind, namespace=item.meta.namespace, name=item.meta.name, location=item.location)


def gateways_by_host(
    listeners: Mapping[str, ServedListener], routes: Mapping[str, ResolvedRoute]
) -> dict[str, set[str]]:
    """Which Gateways' routes lead to a Service."""
    found: dict[str, set[str]] = {}
    for listener in listeners.values():
        for place in listener.routes:
            for host in hosts_of(routes[place.key]):
                found.setdefault(host, set()).add(listener.gateway)
    return found


def hosts_of(route: ResolvedRoute) -> Iterator[str]:
    for rule in route.rules:
        asked = (rule.auth,) if rule.auth is not None else ()
        for backend in (*rule.backends, *rule.mirrors, *asked):
            if backend.host:
                yield backend.host


def client_certificate(gateway: Object[KubernetesGatewaySpec]) -> SecretReference | None:
    """What a Gateway shows to backends that are spoken to in TLS."""
    tls = gateway.spec.tls
    return tls.backend.client_certificate_ref if tls is not None and tls.backend is not None else None


def client_pair(gateway: Object[KubernetesGatewaySpec], grants: Grants) -> str:
    """The `credential_key` of that certificate; empty where there is none, or none that the Gateway may use."""
    ref = client_certificate(gateway)
    if ref is None or ref.group or ref.kind != "Secret":
        return ""
    namespace = ref.namespace or gateway.meta.namespace
    granted = grants.allows((GROUP, "Gateway", gateway.meta.namespace), "", "Secret", namespace, ref.name)
    return f"{namespace}/{ref.name}" if granted else ""


def with_pair(tls: UpstreamTls, pair: str) -> UpstreamTls:
    """The same, and a certificate shown."""
    return replace(tls, mode="MUTUAL", pair=pair) if pair else tls


def tls_for(policies: tuple[BackendTls, ...], port_name: str) -> UpstreamTls | None:
    """A port's own policy comes before the whole Service's."""
    for section in (port_name, ""):
        for policy in policies:
            if policy.section == section:
                return policy.tls
    return None
