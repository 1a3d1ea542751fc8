"""What is to be said of Gateways and ListenerSets, once it is known which listeners are served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...config.gatewayapi import GROUP
from ...config.gatewayapi.gateways import KubernetesGatewaySpec
from ...config.meta import Object
from ...registry.snapshot import Snapshot
from .backend_tls import client_certificate, client_pair
from .conditions import Condition, GatewayVerdict, ListenerVerdict, accepted, find, holds, refused
from .facts import StatusFacts
from .grants import Grants
from .listeners import ListenerSpot
from .placement import Where


class GatewayVerdicts:
    """Of one snapshot: `gateways` and `sets` by `namespace/name`. `counts` are the routes at each listener."""

    def __init__(
        self,
        snapshot: Snapshot,
        facts: StatusFacts,
        grants: Grants,
        spots: Mapping[str, list[ListenerSpot]],
        counts: Mapping[Where, int],
    ) -> None:
        self._facts = facts
        self._grants = grants
        self._counts = counts
        self.gateways: dict[str, GatewayVerdict] = {}
        self.sets: dict[str, GatewayVerdict] = {}
        for key, found in spots.items():
            self._judge(snapshot.kubernetes_gateways[key], found)

    def _judge(self, item: Object[Any], spots: list[ListenerSpot]) -> None:
        sets: dict[str, list[ListenerSpot]] = {}
        own = [spot for spot in spots if spot.item.kind == "Gateway"]
        for spot in spots:
            if spot.item.kind == "ListenerSet":
                sets.setdefault(spot.item.meta.key, []).append(spot)
        good_sets = 0
        for name, found in sets.items():
            verdict = self._set_verdict(found)
            self.sets[name] = verdict
            good_sets += holds(verdict.conditions, "Accepted")
        self.gateways[item.meta.key] = GatewayVerdict(
            tuple(self._gateway_conditions(item, own)), tuple(map(self._listener_verdict, own)), good_sets
        )

    def _set_verdict(self, spots: list[ListenerSpot]) -> GatewayVerdict:
        good = [spot for spot in spots if holds(spot.conditions, "Programmed")]
        listeners = tuple(map(self._listener_verdict, spots))
        if not good:
            text = "no listener of the set can be served"
            conditions = (refused("ListenersNotValid", text), Condition("Programmed", False, "ListenersNotValid", text))
            return GatewayVerdict(conditions, listeners)
        reason = "Accepted" if len(good) == len(spots) else "ListenersNotValid"
        return GatewayVerdict((accepted(reason), Condition("Programmed", True, "Programmed")), listeners)

    def _gateway_conditions(self, item: Object[Any], spots: list[ListenerSpot]) -> Iterator[Condition]:
        good = [spot for spot in spots if spot.valid]
        infrastructure = item.spec.infrastructure
        unsupported = [one.type for one in item.spec.addresses if one.type not in ("IPAddress", "Hostname")]
        if infrastructure is not None and infrastructure.parameters_ref is not None:
            verdict = refused("InvalidParameters", "infrastructure.parametersRef: there are no parameters; remove it")
        elif unsupported:
            verdict = refused("UnsupportedAddress", f"addresses of the type {unsupported[0]} cannot be had")
        elif not good:
            verdict = refused("ListenersNotValid", "no listener can be served")
        elif len(good) < len(spots) or any(not holds(spot.conditions, "Programmed") for spot in spots):
            verdict = accepted("ListenersNotValid", "some listeners cannot be served")
        else:
            verdict = accepted()
        yield verdict
        yield from self._programmed(item, verdict, spots)
        yield from self._frontend(item)

    def _programmed(self, item: Object[Any], verdict: Condition, spots: list[ListenerSpot]) -> Iterator[Condition]:
        addresses = self._facts.addresses
        if not verdict.status:
            yield Condition("Programmed", False, "Invalid", verdict.message)
        elif addresses is not None and not addresses.get(item.meta.key):
            yield Condition("Programmed", False, "AddressNotAssigned", "its Service has no address yet")
        elif addresses is not None and (missing := wished(item) - {value for _, value in addresses[item.meta.key]}):
            text = f"its Service did not get the address {', '.join(sorted(missing))}"
            yield Condition("Programmed", False, "AddressNotUsable", text)
        else:
            yield Condition("Programmed", True, "Programmed")
        bad = [entry for spot in spots if (entry := find(spot.conditions, "ResolvedRefs")) and not entry.status]
        backend = self._client_certificate(item)
        if backend is not None:
            yield backend
        elif bad:
            yield Condition("ResolvedRefs", False, "ListenersNotResolved", bad[0].message)
        else:
            yield Condition("ResolvedRefs", True, "ResolvedRefs")

    def _client_certificate(self, item: Object[Any]) -> Condition | None:
        """Why the certificate for backends cannot be used."""
        ref = client_certificate(item)
        if ref is None:
            return None
        if ref.group or ref.kind != "Secret":
            return Condition("ResolvedRefs", False, "InvalidClientCertificateRef", f"{ref.kind} is not a Secret")
        namespace = ref.namespace or item.meta.namespace
        pair = client_pair(item, self._grants)
        if not pair:
            return Condition(
                "ResolvedRefs", False, "RefNotPermitted", f"Secret {ref.name} of {namespace} is not granted"
            )
        fault = self._facts.certificate_fault(pair)
        if fault:
            return Condition("ResolvedRefs", False, "InvalidClientCertificateRef", f"Secret {ref.name}: {fault}")
        return None

    def _frontend(self, item: Object[Any]) -> Iterator[Condition]:
        tls = item.spec.tls
        if tls is None or tls.frontend is None:
            return
        modes = [tls.frontend.default.validation, *(entry.tls.validation for entry in tls.frontend.per_port)]
        if any(entry is not None and entry.mode == "AllowInsecureFallback" for entry in modes):
            text = "clients without a valid certificate are let in (AllowInsecureFallback)"
            yield Condition("InsecureFrontendValidationMode", True, "ConfigurationChanged", text)

    def _listener_verdict(self, spot: ListenerSpot) -> ListenerVerdict:
        kinds = tuple((GROUP, kind) for kind in spot.kinds)
        return ListenerVerdict(spot.listener.name, kinds, self._counts[spot.name], spot.conditions)


def wished(item: Object[KubernetesGatewaySpec]) -> set[str]:
    """The IP addresses that a Gateway is to have; an empty value asks for any."""
    return {one.value for one in item.spec.addresses if one.type == "IPAddress" and one.value}
