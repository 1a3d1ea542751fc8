"""Which listeners of Gateways and ListenerSets are served, and what is said of the others."""

from tests.routes import BASE, gateway, made, route, snapshot_of
from tests.unit.routing.gatewayapi.attached import (
    HTTP,
    SETS,
    TLS,
    TO_CART,
    Facts,
    listener,
    listener_set,
    of_gateway,
    said,
)

from nodemesh.routing.gatewayapi.attach import attach


def test_listeners_of_one_gateway_that_conflict_are_none_of_them_served():
    verdict = of_gateway(
        gateway(HTTP, "{name: raw, port: 80, protocol: TCP}", "{name: good, port: 81, protocol: HTTP}")
    )
    assert said(listener(verdict).conditions, "Conflicted") == (True, "ProtocolConflict")
    assert said(listener(verdict, "raw").conditions, "Conflicted") == (True, "ProtocolConflict")
    assert said(listener(verdict, "good").conditions, "Programmed") == (True, "Programmed")
    assert said(verdict.conditions) == (True, "ListenersNotValid")


def test_https_and_tls_share_a_port_by_name():
    passing = "{name: pass, port: 443, protocol: TLS, hostname: HOST, tls: {mode: Passthrough}}"
    good = of_gateway(gateway(TLS, passing.replace("HOST", "a.example")))
    assert said(good.conditions) == (True, "Accepted")
    bad = of_gateway(gateway(TLS, passing.replace(" hostname: HOST,", "")))
    assert said(listener(bad, "tls").conditions, "Conflicted") == (True, "HostnameConflict")


def test_without_a_good_listener_the_gateway_is_refused():
    verdict = of_gateway(gateway("{name: web, port: 80, protocol: example.com/quic}"))
    assert said(verdict.conditions) == (False, "ListenersNotValid")
    assert said(listener(verdict).conditions) == (False, "UnsupportedProtocol")
    assert listener(verdict).kinds == ()


def test_kinds_that_the_protocol_lacks_are_told():
    kinds = "{name: web, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}, {kind: HTTPRoute}]}}"
    found = listener(of_gateway(gateway(kinds)))
    assert [kind for _, kind in found.kinds] == ["HTTPRoute"]
    assert said(found.conditions, "ResolvedRefs") == (False, "InvalidRouteKinds")


def test_certificates_are_judged():
    assert said(listener(of_gateway(gateway(TLS), Facts()), "tls").conditions, "ResolvedRefs") == (True, "ResolvedRefs")
    bad = listener(of_gateway(gateway(TLS), Facts("shop/pair")), "tls")
    assert said(bad.conditions, "ResolvedRefs") == (False, "InvalidCertificateRef")
    assert said(bad.conditions, "Programmed") == (False, "Invalid")
    far = gateway(TLS.replace("{name: pair}", "{name: pair, namespace: other}"))
    assert said(listener(of_gateway(far), "tls").conditions, "ResolvedRefs") == (False, "RefNotPermitted")
    origin = "{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}"
    grant = made("ReferenceGrant", "g", f"from: [{origin}]\nto: [{{group: '', kind: Secret}}]", namespace="other")
    assert said(listener(of_gateway(far + grant), "tls").conditions, "ResolvedRefs") == (True, "ResolvedRefs")


def test_a_grant_comes_before_the_look_at_a_secret():
    """A status never tells of another namespace which Secrets it has."""
    far = gateway(TLS.replace("{name: pair}", "{name: pair, namespace: other}"))
    found = listener(of_gateway(far, Facts("other/pair")), "tls")
    assert said(found.conditions, "ResolvedRefs") == (False, "RefNotPermitted")


def test_clients_certificates_need_an_authority():
    validation = (
        "tls: {frontend: {default: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}], mode: "
        "AllowInsecureFallback}}}}"
    )
    good = of_gateway(gateway(TLS, more=validation))
    assert said(good.conditions, "InsecureFrontendValidationMode") == (True, "ConfigurationChanged")
    bad = listener(of_gateway(gateway(TLS, more=validation), Facts("configmap://shop/ca")), "tls")
    assert said(bad.conditions) == (False, "NoValidCACertificate")
    assert said(bad.conditions, "ResolvedRefs") == (False, "InvalidCACertificateRef")
    kind = of_gateway(gateway(TLS, more=validation.replace("ConfigMap", "Service")))
    assert said(listener(kind, "tls").conditions, "ResolvedRefs") == (False, "InvalidCACertificateKind")


def test_addresses_and_parameters():
    assert said(of_gateway(gateway(HTTP), Facts(addresses={})).conditions, "Programmed") == (
        False,
        "AddressNotAssigned",
    )
    held = Facts(addresses={"shop/edge": (("IPAddress", "192.0.2.1"),)})
    assert said(of_gateway(gateway(HTTP), held).conditions, "Programmed") == (True, "Programmed")
    parameters = "infrastructure: {parametersRef: {group: a.example, kind: B, name: c}}"
    assert said(of_gateway(gateway(HTTP, more=parameters)).conditions) == (False, "InvalidParameters")
    named = "addresses: [{type: NamedAddress, value: a}]"
    assert said(of_gateway(gateway(HTTP, more=named)).conditions) == (False, "UnsupportedAddress")


# === ListenerSets


def test_a_gateway_lets_no_sets_in_unless_it_says_so():
    text = listener_set("more", "{name: more, port: 81, protocol: HTTP}")
    attached = attach(snapshot_of(BASE + gateway(HTTP) + text))
    assert said(attached.sets["other/more"].conditions) == (False, "NotAllowed")
    attached = attach(snapshot_of(BASE + gateway(HTTP, more=SETS) + text))
    assert said(attached.sets["other/more"].conditions) == (True, "Accepted")
    assert attached.gateways["shop/edge"].sets == 1


def test_the_gateway_s_own_listener_wins_then_the_oldest_set_s():
    text = gateway(HTTP, more=SETS)
    text += listener_set(
        "a", "{name: x, port: 80, protocol: HTTP}", "{name: second, port: 82, protocol: HTTP}", created=2
    )
    text += listener_set("b", "{name: second, port: 82, protocol: HTTP}", created=1)
    attached = attach(snapshot_of(BASE + text))
    assert said(listener(attached.gateways["shop/edge"]).conditions, "Programmed") == (True, "Programmed")
    assert said(listener(attached.sets["other/a"], "x").conditions, "Conflicted") == (True, "HostnameConflict")
    assert said(listener(attached.sets["other/a"], "second").conditions, "Programmed") == (False, "HostnameConflict")
    assert said(listener(attached.sets["other/b"], "second").conditions, "Programmed") == (True, "Programmed")
    assert said(attached.sets["other/a"].conditions) == (False, "ListenersNotValid")


def test_a_route_on_the_gateway_is_none_on_its_sets():
    text = gateway(HTTP, more=SETS) + listener_set("more", "{name: more, port: 81, protocol: HTTP}", namespace="shop")
    text += route("r", TO_CART, parents="[{name: edge}]")
    text += route("s", TO_CART, parents="[{kind: ListenerSet, name: more}]")
    served = {
        entry.name: [one.key for one in entry.routes] for entry in attach(snapshot_of(BASE + text)).listeners.values()
    }
    assert served == {"web": ["HTTPRoute shop/r"], "more": ["HTTPRoute shop/s"]}
