import mmap
import os

from tests.routes import SERVED, gateway, made, route
from tests.unit.cli.mesh import Upstream, cluster, rules

from nodemesh.balance.rows import ACTIVE, EJECTED_AT, REQUESTS, UNEJECTED_AT
from nodemesh.balance.shared import Memory, Share, cluster_key, host_key
from nodemesh.config.load import load_text
from nodemesh.node.counters import CAPACITY, EndpointState, PolicedClusters, SharedCounters
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.request import Request
from nodemesh.routing.views import Views

CLIENT = Client(namespace="default")


def views(text: str) -> Views:
    return Views(compile_tables(Store().apply("files", load_text(text, "mesh.yaml").objects)))


def test_clusters_under_a_destination_rule_have_a_place_that_workers_find():
    upstream = Upstream("v1")
    upstream.close()
    seen = views(cluster(upstream) + rules("- route: [{destination: {host: reviews}}]"))
    names = {found.name for found in PolicedClusters(CLIENT).of(seen.for_client(CLIENT))}
    assert names == {f"outbound|9080|{subset}|reviews.default.svc.cluster.local" for subset in ("", "v1", "v2")}
    counters = SharedCounters(2)
    counters.assign(seen, [CLIENT, CLIENT])
    _, (fd,) = counters.message()
    memory = Memory(memoryview(mmap.mmap(fd, os.fstat(fd).st_size)), 2, CAPACITY)
    (v1,) = [found for found in PolicedClusters(CLIENT).of(seen.for_client(CLIENT)) if found.subset == "v1"]
    assert memory.find(cluster_key(v1.key)) >= 0
    assert memory.find(host_key(v1.key, "127.0.0.1", upstream.port)) >= 0
    assert memory.find(cluster_key("outbound|1||nobody")) < 0


def test_what_workers_count_is_the_clusters_state():
    upstream = Upstream("v1")
    upstream.close()
    seen = views(cluster(upstream) + rules("- route: [{destination: {host: reviews}}]"))
    counters = SharedCounters(2)
    counters.assign(seen, [CLIENT])
    _, (fd,) = counters.message()
    share = Share(memoryview(mmap.mmap(fd, os.fstat(fd).st_size)), 1)
    states = {found.subset: (found, state) for found, state in counters.states()}
    found, state = states["v1"]
    assert (state.requests, state.endpoints) == (0, (EndpointState(),))
    share.cluster_row(found.key).add(REQUESTS, 3)
    row = share.host_row(found.key, "127.0.0.1", upstream.port)
    row.add(ACTIVE, 2)
    row.set(EJECTED_AT, 5_000_000)
    (state,) = [state for found, state in counters.states() if found.subset == "v1"]
    assert (state.requests, state.endpoints) == (3, (EndpointState(in_flight=2, ejected_at=5.0),))
    row.set(UNEJECTED_AT, 6_000_000)
    (state,) = [state for found, state in counters.states() if found.subset == "v1"]
    assert state.endpoints[0].ejected_at == 0.0


def test_services_without_a_policy_need_no_place():
    seen = views(cluster())
    assert list(PolicedClusters(CLIENT).of(seen.for_client(CLIENT))) == []


def test_after_a_change_the_clusters_are_those_of_new_tables_and_the_others_the_same_objects():
    first, second, third = (Upstream(name) for name in ("v1", "v2", "v3"))
    for upstream in (first, second, third):
        upstream.close()
    other = rules("- route: [{destination: {host: reviews}}]")
    store, held = Store(), []

    def revised(*upstreams: Upstream) -> Views:
        text = cluster(*upstreams) + other
        extra = text.replace("reviews", "ratings").replace("10.96.0.7", "10.96.0.8") if upstreams[0] is first else ""
        store.apply("files", load_text(text + "---\n" + extra, "mesh.yaml").objects)
        held.append(compile_tables(store.snapshot, held[-1] if held else None))
        return Views(held[-1])

    policed = PolicedClusters(CLIENT)
    before = {found.name: found for found in policed.of(revised(first, second).for_client(CLIENT))}
    changed = revised(third)
    after = {found.name: found for found in policed.of(changed.for_client(CLIENT))}
    fresh = {found.name: found for found in PolicedClusters(CLIENT).of(changed.for_client(CLIENT))}
    assert after == fresh and before.keys() == after.keys()
    reviews, ratings = (f"outbound|9080||{name}.default.svc.cluster.local" for name in ("reviews", "ratings"))
    assert after[reviews] != before[reviews]
    assert after[ratings] is before[ratings]


def test_a_service_with_a_traffic_policy_has_a_place_for_its_budget():
    """It is the node's, not each worker's."""
    policy = (
        "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {name: p}\n"
        "spec: {targetRefs: [{group: '', kind: Service, name: reviews}], retryConstraint: {}}\n"
    )
    known = PolicedClusters(CLIENT)
    (found,) = known.of(views(cluster() + policy).for_client(CLIENT))
    assert found.name == "outbound|9080||reviews.default.svc.cluster.local" and found.retry_budget.begun
    assert list(known.of(views(cluster()).for_client(CLIENT))) == []


def test_what_grpc_routes_and_gateways_with_a_certificate_make_of_it_has_places_too():
    """Their clusters have keys of their own."""
    text = SERVED + made(
        "XBackendTrafficPolicy", "p", "targetRefs: [{group: '', kind: Service, name: cart}]\nretryConstraint: {}",
        api="gateway.networking.x-k8s.io/v1alpha1",
    )  # fmt: skip
    text += gateway("{name: web, port: 80, protocol: HTTP}", more="tls: {backend: {clientCertificateRef: {name: own}}}")
    text += made(
        "BackendTLSPolicy", "t",
        "targetRefs: [{group: '', kind: Service, name: cart}]\n"
        "validation: {hostname: cart.example, wellKnownCACertificates: System}",
    )  # fmt: skip
    text += route("g", "- backendRefs: [{name: cart, port: 80}]", kind="GRPCRoute")
    edge = Client(namespace="shop", labels={"gateway.networking.k8s.io/gateway-name": "edge"}, gateway=True)
    seen = views(text)
    counters = SharedCounters(1)
    counters.assign(seen, [edge])
    share = Share(memoryview(mmap.mmap(counters.message()[1][0], 0)), 0)
    request = Request(b"POST", b"http", b"any.example", b"/cart.Cart/Add", b"", {})
    decision = seen.for_client(edge).http_gateway(80, request)
    (destination,) = decision.destinations
    assert destination.cluster.key.endswith("|tlsshop/own|grpc") and destination.cluster.retry_budget.begun
    share.cluster_row(destination.cluster.key).add(REQUESTS, 2)
    assert [state.requests for found, state in counters.states() if found.key == destination.cluster.key] == [2]
