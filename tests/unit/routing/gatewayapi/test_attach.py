"""Which parents routes attach to, and what is said of each."""

import sys

import pytest
from msgspec.structs import replace
from tests.routes import BASE, gateway, made, mesh_route, route, snapshot_of
from tests.unit.routing.gatewayapi.attached import (
    HTTP,
    SETS,
    TO_CART,
    listener,
    listener_set,
    of_gateway,
    of_route,
    said,
)

from nodemesh.config.load import load_text
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.store import Store
from nodemesh.routing.gatewayapi.attach import attach
from nodemesh.routing.gatewayapi.conditions import find

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


def test_an_external_backend_is_told_to_be_a_service_entry():
    text = gateway(HTTP) + route("r", "- backendRefs: [{group: gateway.networking.x-k8s.io, kind: XBackend, name: b}]")
    (verdict,) = attach(snapshot_of(BASE + text)).parents["HTTPRoute", "shop/r"]
    found = find(verdict.conditions, "ResolvedRefs")
    assert (found.status, found.reason) == (False, "InvalidKind")
    assert found.message.endswith("right is a ServiceEntry, by a Hostname of networking.istio.io")


def test_an_unknown_extension_is_an_unresolved_reference():
    rule = "- filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: B, name: c}}]\n"
    text = gateway(HTTP) + route("r", rule + "  backendRefs: [{name: cart, port: 80}]")
    assert of_route(text, condition="ResolvedRefs") == [(False, "InvalidKind")]
    assert attach(snapshot_of(BASE + text)).routes["HTTPRoute shop/r"].rules[0].fault


DNS = """---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec: {clusterIP: 10.96.0.9, ports: [{name: tcp, port: 53, protocol: TCP}, {name: udp, port: 53, protocol: UDP}]}
"""


def test_udp_has_listeners_of_its_own_beside_tcp_on_one_port():
    text = DNS + gateway("{name: udp, port: 53, protocol: UDP}", "{name: tcp, port: 53, protocol: TCP}")
    text += route("u", "- backendRefs: [{name: dns, port: 53}]", kind="UDPRoute")
    text += route("t", "- backendRefs: [{name: dns, port: 53}]", kind="TCPRoute")
    for name, kind in (("u", "UDPRoute"), ("t", "TCPRoute")):
        assert of_route(text, name, kind) == [(True, "Accepted")]
        assert of_route(text, name, kind, condition="ResolvedRefs") == [(True, "ResolvedRefs")]
    for name, kind in (("udp", "UDPRoute"), ("tcp", "TCPRoute")):
        found = listener(of_gateway(text), name)
        assert said(found.conditions) == (True, "Accepted") and found.routes == 1
        assert found.kinds == (("gateway.networking.k8s.io", kind),)


def test_two_udp_listeners_have_no_port_in_common():
    text = gateway("{name: a, port: 53, protocol: UDP}", more=SETS)
    text += listener_set("s", "{name: b, port: 53, protocol: UDP}", "{name: c, port: 53, protocol: TCP}")
    found = attach(snapshot_of(BASE + text)).sets["other/s"]
    assert [said(one.conditions, "Conflicted")[0] for one in found.listeners] == [True, False]


def test_each_kind_needs_a_port_that_speaks_its_transport():
    udp = gateway("{name: udp, port: 53, protocol: UDP}") + route("u", TO_CART, kind="UDPRoute")
    assert of_route(udp, "u", "UDPRoute", condition="ResolvedRefs") == [(False, "UnsupportedProtocol")]
    only_udp = DNS.replace("{name: tcp, port: 53, protocol: TCP}, ", "")
    http = only_udp + gateway(HTTP) + route("r", "- backendRefs: [{name: dns, port: 53}]")
    assert of_route(http, condition="ResolvedRefs") == [(False, "UnsupportedProtocol")]


def test_a_udp_route_on_a_service_is_told_not_to_be_carried_out():
    text = mesh_route("r", TO_CART, kind="UDPRoute")
    assert of_route(text, kind="UDPRoute") == [(False, "UnsupportedValue")]


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


def test_routes_that_name_service_entries_go_through_all_services_once():
    """A tenant may have thousands of such routes, and others thousands of Services."""

    class Counted(dict):
        walks = 0

        def items(self):
            Counted.walks += 1
            return super().items()

    parent = "{group: networking.istio.io, kind: ServiceEntry, name: ext}"
    snapshot = snapshot_of(BASE + "".join(mesh_route(f"m{number}", TO_CART, parent) for number in range(20)))
    few = attach(replace(snapshot, http_routes={}, services=Counted(snapshot.services)))
    without, Counted.walks = Counted.walks, 0
    many = attach(replace(snapshot, services=Counted(snapshot.services)))
    assert len(many.parents) == 20 and not few.parents and Counted.walks <= without + 1


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


EXTERNAL_AUTH = "{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: NAME, port: 80}, http: {}}}"


@pytest.mark.parametrize(
    "other",
    [
        "filters: [AUTH, {type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}}}]",
        "filters: [AUTH, {type: RequestRedirect, requestRedirect: {hostname: a.example}}]",
        "filters: [AUTH]\n  backendRefs: [{name: cart, port: 80, filters: [{type: RequestMirror, requestMirror: "
        "{backendRef: {name: cart, port: 80}}}]}]",
        "backendRefs: [{name: cart, port: 80, filters: [AUTH]}]",
    ],
)
def test_what_would_be_done_before_another_service_has_spoken_is_not_supported(other):
    text = gateway(HTTP) + route("r", "- " + other.replace("AUTH", EXTERNAL_AUTH.replace("NAME", "stock")))
    attached = attach(snapshot_of(BASE + text))
    (rule,) = attached.routes["HTTPRoute shop/r"].rules
    assert "UnsupportedValue" in (rule.fault, *(backend.fault for backend in rule.backends))


@pytest.mark.parametrize(("name", "reason"), [("stock", "ResolvedRefs"), ("none", "BackendNotFound")])
def test_the_service_of_an_external_auth_is_a_backend_like_others(name, reason):
    rules = f"- filters: [{EXTERNAL_AUTH.replace('NAME', name)}]\n  backendRefs: [{{name: cart, port: 80}}]"
    text = gateway(HTTP) + route("r", rules)
    ((_, found),) = of_route(text, condition="ResolvedRefs")
    assert found == reason
    assert of_route(text) == [(True, "Accepted")]
    away = rules.replace("name: " + name, "name: cart, namespace: other")
    ((_, found),) = of_route(gateway(HTTP) + route("r", away), condition="ResolvedRefs")
    assert found == "RefNotPermitted"
