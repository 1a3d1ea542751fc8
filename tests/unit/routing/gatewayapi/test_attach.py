import sys

import pytest
from tests.routes import BASE, gateway, made, mesh_route, route, snapshot_of

from nodemesh.config.load import load_text
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import Route
from nodemesh.routing.gatewayapi.attach import attach
from nodemesh.routing.gatewayapi.backend_tls import tls_for
from nodemesh.routing.gatewayapi.conditions import find
from nodemesh.routing.gatewayapi.serve import MISDIRECTED
from nodemesh.routing.request import Request
from nodemesh.routing.views import Views

HTTP = "{name: web, port: 80, protocol: HTTP}"
TO_CART = "- backendRefs: [{name: cart, port: 80}]"
TLS = "{name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: pair}]}}"


class Facts:
    """All certificates are good but those that are named."""

    def __init__(self, *bad, addresses=None):
        self.bad = bad
        self.addresses = addresses

    def certificate_fault(self, key):
        return "there is none" if key in self.bad else ""

    authority_fault = certificate_fault


def said(conditions, kind="Accepted"):
    found = find(conditions, kind)
    return found and (found.status, found.reason)


def of_route(text, name="r", kind="HTTPRoute", namespace="shop", condition="Accepted"):
    verdicts = attach(snapshot_of(BASE + text)).parents[kind, f"{namespace}/{name}"]
    return [said(verdict.conditions, condition) for verdict in verdicts]


def of_gateway(text, facts=None, name="shop/edge"):
    attached = attach(snapshot_of(BASE + text), facts) if facts is not None else attach(snapshot_of(BASE + text))
    return attached.gateways[name]


def listener(verdict, name="web"):
    return next(entry for entry in verdict.listeners if entry.name == name)


# === routes on listeners


@pytest.mark.parametrize(
    ("listeners", "parents", "reason"),
    [
        ([HTTP], "[{name: edge}]", "Accepted"),
        ([HTTP], "[{name: edge, sectionName: web, port: 80}]", "Accepted"),
        ([HTTP], "[{name: edge, sectionName: none}]", "NoMatchingParent"),
        ([HTTP], "[{name: edge, sectionName: web, port: 81}]", "NoMatchingParent"),  # both have to fit
        (["{name: web, port: 80, protocol: TCP}"], "[{name: edge}]", "NotAllowedByListeners"),
        (
            ["{name: web, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}"],
            "[{name: edge}]",
            "NotAllowedByListeners",
        ),
        (
            ["{name: web, port: 80, protocol: HTTP, hostname: a.example}"],
            "[{name: edge}]",
            "NoMatchingListenerHostname",
        ),
        (["{name: web, port: 80, protocol: HTTP, hostname: '*.example'}"], "[{name: edge}]", "Accepted"),
    ],
)
def test_a_route_attaches_where_a_listener_takes_it(listeners, parents, reason):
    text = gateway(*listeners) + route("r", TO_CART, parents=parents, hosts="[b.example]")
    assert of_route(text) == [(reason == "Accepted", reason)]


@pytest.mark.parametrize(
    ("namespaces", "held"),
    [
        ("{from: Same}", False),
        ("{from: All}", True),
        ("{from: Selector, selector: {matchLabels: {team: other}}}", True),
        ("{from: Selector, selector: {matchLabels: {team: shop}}}", False),
        ("{from: Selector, selector: {matchExpressions: [{key: team, operator: NotIn, values: [shop]}]}}", True),
    ],
)
def test_namespaces_are_let_in_by_the_listener(namespaces, held):
    allowed = f"{{name: web, port: 80, protocol: HTTP, allowedRoutes: {{namespaces: {namespaces}}}}}"
    text = gateway(allowed) + route("r", TO_CART, parents="[{name: edge, namespace: shop}]", namespace="other")
    assert of_route(text, namespace="other") == [(held, "Accepted" if held else "NotAllowedByListeners")]


def test_attached_routes_count_those_with_broken_references_too():
    text = gateway(HTTP) + route("r", "- backendRefs: [{name: nothing, port: 80}]") + route("s", TO_CART)
    assert listener(of_gateway(text)).routes == 2
    assert of_route(text, condition="ResolvedRefs") == [(False, "BackendNotFound")]


def test_gateways_of_other_classes_are_none_of_ours():
    text = gateway(HTTP).replace("nodemesh", "somebody") + route("r", TO_CART)
    attached = attach(snapshot_of(BASE + text))
    assert not attached.gateways and not attached.parents and not attached.listeners


def test_http_and_grpc_routes_are_not_mixed_on_a_host():
    text = gateway(HTTP) + route("young", TO_CART, created=2, hosts="[a.example, b.example]")
    text += route("old", TO_CART, created=1, hosts="[a.example]", kind="GRPCRoute")
    assert of_route(text, "old", "GRPCRoute") == [(True, "Accepted")]
    assert of_route(text, "young") == [(True, "Accepted")]  # b.example is left to it
    (served,) = attach(snapshot_of(BASE + text)).listeners.values()
    assert {(one.kind, one.hosts) for one in served.routes} == {
        ("GRPCRoute", ("a.example",)),
        ("HTTPRoute", ("b.example",)),
    }
    text = text.replace(", b.example", "")
    assert of_route(text, "young") == [(False, "Conflicted")]


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("{name: cart, port: 80}", "ResolvedRefs"),
        ("{name: cart, port: 8888}", "BackendNotFound"),
        ("{name: none, port: 80}", "BackendNotFound"),
        ("{group: example.com, kind: Bucket, name: cart}", "InvalidKind"),
        ("{name: cart, namespace: other, port: 80}", "RefNotPermitted"),
    ],
)
def test_references_are_judged(backend, reason):
    text = gateway(HTTP) + route("r", f"- backendRefs: [{backend}]")
    assert of_route(text, condition="ResolvedRefs") == [(reason == "ResolvedRefs", reason)]


@pytest.mark.parametrize(
    ("origin", "to", "held"),
    [
        ("{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}", "{group: '', kind: Service}", True),
        (
            "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}",
            "{group: '', kind: Service, name: cart}",
            True,
        ),
        (
            "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}",
            "{group: '', kind: Service, name: stock}",
            False,
        ),
        ("{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: shop}", "{group: '', kind: Service}", False),
        ("{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: else}", "{group: '', kind: Service}", False),
    ],
)
def test_another_namespace_grants_references(origin, to, held):
    text = gateway(HTTP) + route("r", "- backendRefs: [{name: cart, namespace: other, port: 80}]")
    text += made("ReferenceGrant", "g", f"from: [{origin}]\nto: [{to}]", namespace="other")
    assert of_route(text, condition="ResolvedRefs") == [(held, "ResolvedRefs" if held else "RefNotPermitted")]


def test_a_grant_that_is_withdrawn_takes_effect():
    text = gateway(HTTP) + route("r", "- backendRefs: [{name: cart, namespace: other, port: 80}]")
    origin = "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}"
    grant = made("ReferenceGrant", "g", f"from: [{origin}]\nto: [{{group: '', kind: Service}}]", namespace="other")
    before = attach(snapshot_of(BASE + text + grant))
    after = attach(snapshot_of(BASE + text), previous=before)
    assert not before.routes["HTTPRoute shop/r"].rules[0].backends[0].fault
    assert after.routes["HTTPRoute shop/r"].rules[0].backends[0].fault == "RefNotPermitted"


def test_what_cannot_be_carried_out_is_told_by_the_share_of_rules():
    bad = "- matches: [{path: {type: RegularExpression, value: '/(a'}}]\n  backendRefs: [{name: cart, port: 80}]"
    assert of_route(gateway(HTTP) + route("r", bad)) == [(False, "UnsupportedValue")]
    text = gateway(HTTP) + route("r", f"{bad}\n{TO_CART}")
    assert of_route(text) == [(True, "Accepted")]
    assert of_route(text, condition="PartiallyInvalid") == [(True, "UnsupportedValue")]


def test_an_unknown_extension_is_an_unresolved_reference():
    rule = "- filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: B, name: c}}]\n"
    text = gateway(HTTP) + route("r", rule + "  backendRefs: [{name: cart, port: 80}]")
    assert of_route(text, condition="ResolvedRefs") == [(False, "InvalidKind")]
    assert attach(snapshot_of(BASE + text)).routes["HTTPRoute shop/r"].rules[0].fault


def test_udp_is_told_not_to_be_served():
    text = gateway("{name: web, port: 53, protocol: UDP}", HTTP.replace("web", "b"))
    text += route("r", "- backendRefs: [{name: cart, port: 80}]", kind="UDPRoute")
    assert of_route(text, kind="UDPRoute") == [(False, "UnsupportedValue")]
    assert said(listener(of_gateway(text)).conditions) == (False, "UnsupportedProtocol")


# === listeners


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

SETS = "allowedListeners: {namespaces: {from: All}}"


def listener_set(name, *listeners, namespace="other", created=0):
    spec = "parentRef: {name: edge, namespace: shop}\nlisteners:\n" + "".join(f"- {one}\n" for one in listeners)
    return made("ListenerSet", name, spec, namespace=namespace, created=created)


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


# === the mesh


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        ("{group: '', kind: Service, name: cart}", "Accepted"),
        ("{group: '', kind: Service, name: cart, port: 81}", "Accepted"),
        ("{group: '', kind: Service, name: cart, sectionName: raw}", "Accepted"),
        ("{group: '', kind: Service, name: cart, port: 8888}", "NoMatchingParent"),
        ("{group: '', kind: Service, name: none}", "NoMatchingParent"),
        ("{group: '', kind: Service, name: bare}", "UnsupportedValue"),
    ],
)
def test_a_service_is_a_parent(service, reason):
    assert of_route(mesh_route("r", TO_CART, service)) == [(reason == "Accepted", reason)]


def test_a_service_of_another_namespace_needs_a_grant_by_its_host_s_name_as_well():
    ref = "{group: networking.istio.io, kind: Hostname, name: cart.OF.svc.cluster.local, port: 80}"
    theirs, ours = (f"- backendRefs: [{ref.replace('OF', name)}]" for name in ("other", "shop"))
    assert of_route(gateway(HTTP) + route("r", theirs), condition="ResolvedRefs") == [(False, "RefNotPermitted")]
    assert of_route(gateway(HTTP) + route("r", ours), condition="ResolvedRefs") == [(True, "ResolvedRefs")]
    assert of_route(mesh_route("r", theirs), condition="ResolvedRefs") == [(True, "ResolvedRefs")]


def test_mesh_routes_need_no_grants():
    rule = "- backendRefs: [{name: cart, namespace: other, port: 80}]"
    assert of_route(mesh_route("r", rule), condition="ResolvedRefs") == [(True, "ResolvedRefs")]
    both = gateway(HTTP) + route("r", rule, parents="[{name: edge}, {group: '', kind: Service, name: cart}]")
    assert of_route(both, condition="ResolvedRefs") == [(False, "RefNotPermitted"), (True, "ResolvedRefs")]


def test_on_one_port_of_a_service_the_most_specific_kind_counts():
    text = mesh_route("h", TO_CART) + mesh_route("t", TO_CART, kind="TCPRoute")
    text += mesh_route(
        "u", TO_CART, "{group: '', kind: Service, name: cart, namespace: shop}", kind="TCPRoute", namespace="other"
    )
    assert of_route(text, "h") == [(True, "Accepted")]
    assert of_route(text, "t", "TCPRoute") == [(False, "Conflicted")]
    assert of_route(text, "u", "TCPRoute", namespace="other") == [(True, "Accepted")]  # of another namespace's clients


def test_classes_and_meshes_are_accepted_by_their_controller():
    text = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: NAME}\n"
    text += "spec: {controllerName: BY}\n"
    ours = text.replace("NAME", "ours").replace("BY", "nodemesh.io/gateway-controller")
    attached = attach(snapshot_of(BASE + ours + text.replace("NAME", "theirs").replace("BY", "a.example/b")))
    assert said(attached.classes["ours"]) == (True, "Accepted") and "theirs" not in attached.classes


def step(store, text, *removed):
    loaded = load_text(text, "mesh.yaml")
    assert not loaded.problems, loaded.problems
    return store.apply("test", loaded.objects, removed)


def test_what_stays_the_same_is_taken_over():
    store = Store()
    text = BASE + gateway(HTTP) + route("r", TO_CART) + mesh_route("m", TO_CART)
    before = attach(step(store, text))
    after = attach(step(store, route("s", TO_CART)), previous=before)
    assert after.placements["HTTPRoute", "shop/r"] is before.placements["HTTPRoute", "shop/r"]
    assert after.mesh_routes == before.mesh_routes
    assert attach(store.snapshot, previous=after) is after
    assert [listener.routes for _, verdict in after.gateways.items() for listener in verdict.listeners] == [2]
    assert [listener.routes for _, verdict in before.gateways.items() for listener in verdict.listeners] == [1]


def test_a_service_that_gets_other_ports_changes_what_is_said_of_its_routes():
    store = Store()
    text = BASE + gateway(HTTP) + route("r", TO_CART.replace("80", "81")) + mesh_route("m", TO_CART)
    before = attach(step(store, text))
    fewer = BASE.split("---")[2].replace("{name: http-alt, port: 81}, ", "")
    after = attach(step(store, fewer), previous=before)
    assert said(before.parents["HTTPRoute", "shop/r"][0].conditions, "ResolvedRefs") == (True, "ResolvedRefs")
    assert said(after.parents["HTTPRoute", "shop/r"][0].conditions, "ResolvedRefs") == (False, "BackendNotFound")


def test_a_service_entry_that_comes_later_takes_the_routes_that_wait_for_it():
    store = Store()
    parent = "{group: networking.istio.io, kind: ServiceEntry, name: ext}"
    before = attach(step(store, BASE + mesh_route("m", TO_CART, parent)))
    assert said(before.parents["HTTPRoute", "shop/m"][0].conditions) == (False, "NoMatchingParent")
    spec = "hosts: [ext.example]\nports: [{number: 80, name: http, protocol: HTTP}]\nresolution: DNS"
    entry = made("ServiceEntry", "ext", spec, api="networking.istio.io/v1")
    after = attach(step(store, entry), previous=before)
    assert said(after.parents["HTTPRoute", "shop/m"][0].conditions) == (True, "Accepted")
    assert list(after.mesh_routes) == ["ext.example"]
    gone = attach(step(store, "", ObjectKey("ServiceEntry", "shop", "ext", "networking.istio.io")), previous=after)
    assert (
        said(gone.parents["HTTPRoute", "shop/m"][0].conditions) == (False, "NoMatchingParent") and not gone.mesh_routes
    )


# === BackendTLSPolicies


def tls_policy(
    name, target="{group: '', kind: Service, name: cart}", ca="{group: '', kind: ConfigMap, name: ca}", **more
):
    spec = f"targetRefs: [{target}]\nvalidation: {{hostname: {name}.example, caCertificateRefs: [{ca}]}}"
    return made("BackendTLSPolicy", name, spec, **more)


def with_policies(*policies, facts=None):
    text = BASE + gateway(HTTP) + route("r", TO_CART) + "".join(policies)
    return attach(snapshot_of(text), facts or Facts())


@pytest.mark.parametrize(
    ("ca", "accepted", "resolved"),
    [
        ("ca", (True, "Accepted"), (True, "ResolvedRefs")),
        ("bad", (False, "NoValidCACertificate"), (False, "InvalidCACertificateRef")),
    ],
)
def test_a_policy_needs_an_authority(ca, accepted, resolved):
    policy = tls_policy("p", ca=f"{{group: '', kind: ConfigMap, name: {ca}}}")
    attached = with_policies(policy, facts=Facts("configmap://shop/bad"))
    (verdict,) = attached.policies["shop/p"]
    assert verdict.gateway == "shop/edge"
    assert [said(verdict.conditions, kind) for kind in ("Accepted", "ResolvedRefs")] == [accepted, resolved]
    (settings,) = attached.backend_tls["cart.shop.svc.cluster.local"]  # trusts nobody rather than speak in the clear
    assert (settings.tls.sni, settings.tls.subject_alt_names) == ("p.example", ("p.example",))
    assert settings.tls.credential == f"configmap://shop/{ca}"


def test_an_authority_of_another_kind_is_none():
    (verdict,) = with_policies(tls_policy("p", ca="{group: '', kind: Service, name: ca}")).policies["shop/p"]
    assert said(verdict.conditions, "ResolvedRefs") == (False, "InvalidKind")
    assert said(verdict.conditions) == (False, "NoValidCACertificate")


def test_the_older_policy_of_a_service_counts():
    attached = with_policies(tls_policy("young", created=2), tls_policy("old", created=1))
    assert [said(attached.policies[f"shop/{name}"][0].conditions) for name in ("old", "young")] == [
        (True, "Accepted"),
        (False, "Conflicted"),
    ]
    assert [one.owner.name for one in attached.backend_tls["cart.shop.svc.cluster.local"]] == ["old"]


def test_a_port_s_own_policy_comes_before_the_service_s():
    port = tls_policy("port", "{group: '', kind: Service, name: cart, sectionName: http-alt}", created=2)
    found = with_policies(tls_policy("whole", created=1), port).backend_tls["cart.shop.svc.cluster.local"]
    assert [tls_for(found, name).sni for name in ("http", "http-alt")] == ["whole.example", "port.example"]


def test_a_policy_s_ancestors_are_the_gateways_that_lead_there():
    stock = tls_policy("p", "{group: '', kind: Service, name: stock}")
    absent = tls_policy("q", "{group: '', kind: Service, name: cart, sectionName: none}")
    attached = with_policies(stock, absent)
    assert not attached.policies
    assert list(attached.backend_tls) == ["stock.shop.svc.cluster.local"]


def test_a_request_over_tls_for_another_listener_is_misdirected_whatever_scheme_it_names():
    """Else the certificates that one listener asks clients for could be gone around by way of another."""
    tls = "tls: {certificateRefs: [{name: pair}]}"
    listeners = [f"{{name: {name}, port: 443, protocol: HTTPS, hostname: {name}.example, {tls}}}" for name in "ab"]
    snapshot = snapshot_of(BASE + gateway(*listeners) + route("r", TO_CART))
    labels = {"gateway.networking.k8s.io/gateway-name": "edge"}
    view = Views(compile_tables(snapshot)).for_client(Client(namespace="shop", labels=labels, gateway=True))
    for scheme in (b"https", b"http"):
        request = Request(b"GET", scheme, b"a.example", b"/", b"", {})
        assert view.http_gateway(443, request, "b.example") is MISDIRECTED
        assert isinstance(view.http_gateway(443, request, "a.example"), Route)


# === many of one tenant's


def steps_of(text):
    """Lines that Python walks through to attach everything."""
    snapshot = snapshot_of(BASE + text)
    count = 0

    def walk(frame, event, arg):
        nonlocal count
        count += event == "line"
        return walk

    before = sys.gettrace()
    sys.settrace(walk)
    try:
        attach(snapshot)
    finally:
        sys.settrace(before)
    return count


def many_sets(count):
    text = gateway(HTTP, more=SETS)
    for number in range(count):
        listeners = [f"{{name: l{n}, port: 80, protocol: HTTP, hostname: h{number}-{n}.example}}" for n in range(10)]
        text += listener_set(f"set-{number}", *listeners)
    return text


def many_routes(count):
    return "".join(mesh_route(f"r{number}", TO_CART) for number in range(count))


@pytest.mark.parametrize("many", [many_sets, many_routes])
def test_many_objects_of_one_tenant_cost_as_much_as_they_are(many):
    base = steps_of(many(0))
    assert steps_of(many(80)) - base < 2.5 * (steps_of(many(40)) - base)
