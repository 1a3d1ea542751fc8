import msgspec
from tests.unit.cli.mesh import Upstream, cluster
from tests.written import snapshot_of, views_of

from nodemesh.admin.state import KernelEndpointRow
from nodemesh.datapath.traffic import Path, Traffic
from nodemesh.node import kernel_traffic
from nodemesh.node.kernel_endpoints import KernelEndpoints
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.views import Views
from nodemesh.telemetry.dump import Dump
from nodemesh.telemetry.labels import TCP_LABELS

CLIENT = Client(namespace="default", name="app", labels={"app": "app"})


def test_kernel_connections_stand_under_the_labels_of_their_service():
    upstream = Upstream("v1")
    upstream.close()
    snapshot = snapshot_of(cluster(upstream, port_name="tcp-x"))
    views = Views(compile_tables(snapshot))
    path = Path(7, ("10.96.0.7", 9080), ("127.0.0.1", upstream.port))
    taken = {
        path: Traffic(opened=5, failed=1, closed=3, sent=100, received=1000, duration=1.0, rtt=0.1),
        Path(8, ("10.96.0.7", 9080), ("127.0.0.1", upstream.port)): Traffic(1, 0, 1, 2, 2, 0.0, 0.0),
    }
    endpoints = KernelEndpoints()
    data = kernel_traffic.dump(taken, {7: CLIENT}.get, views, endpoints)
    (service,) = snapshot.services["reviews.default.svc.cluster.local"]
    assert endpoints.of(service, 9080) == (
        KernelEndpointRow(
            address="127.0.0.1", port=upstream.port, opened=5, failed=1, closed=3, sent=100, received=1000
        ),
    )
    found = msgspec.msgpack.decode(data, type=Dump).tcp
    flows = {flow.labels[TCP_LABELS.index("response_flags")]: flow for flow in found}
    assert (flows["-"].opened, flows["-"].closed, flows["-"].sent, flows["-"].received) == (5, 3, 1000, 100)
    assert (flows["UF"].opened, flows["UF"].closed) == (1, 1)
    labels = dict(zip(TCP_LABELS, flows["-"].labels, strict=True))
    assert labels["destination_service_name"] == "reviews"
    assert labels["destination_version"] == "v1"
    assert labels["source_workload"] == "app"


def test_connects_that_failed_name_the_host_whose_endpoint_it_was():
    upstream = Upstream("v1")
    upstream.close()
    views = views_of(cluster(upstream, port_name="tcp-x"))
    dialled, backend = ("10.96.0.7", 9080), ("127.0.0.1", upstream.port)
    good, bad = Traffic(5, 0, 3, 106, 1006, 1.0, 0.1), Traffic(0, 2, 0, 0, 0, 0.0, 0.0)
    failed = Path(7, dialled, backend)
    taken = {
        failed: bad,
        Path(7, ("10.96.0.8", 9080), backend): bad,  # a service that is gone
        Path(7, dialled, ("127.0.0.1", 0)): bad,  # a destination without endpoints
        Path(8, dialled, backend): bad,  # a pod that is gone
    }
    found = list(kernel_traffic.failures(taken, {7: CLIENT}.get, views))
    assert found == [(failed, "reviews.default.svc.cluster.local")]
    assert list(kernel_traffic.failures({failed: good}, {7: CLIENT}.get, views)) == []


def test_connections_are_counted_by_the_services_port_that_was_dialled():
    upstream = Upstream("v1")
    upstream.close()
    views = views_of(cluster(upstream, port_name="tcp-x"))
    dialled, backend = ("10.96.0.7", 9080), ("127.0.0.1", upstream.port)
    taken = {
        Path(7, dialled, backend): Traffic(5, 2, 3, 106, 1006, 1.0, 0.1),
        Path(7, ("10.96.0.8", 9080), backend): Traffic(1, 0, 0, 0, 0, 0.0, 0.0),  # a service that is gone
        Path(8, dialled, backend): Traffic(1, 0, 0, 0, 0, 0.0, 0.0),  # a pod that is gone
    }
    assert list(kernel_traffic.places(taken, {7: CLIENT}.get, views)) == [("reviews.default.svc.cluster.local:9080", 7)]


def test_what_the_kernel_sent_before_rules_came_still_has_its_services_name():
    upstream = Upstream("v1")
    upstream.close()
    rule = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
"""
    views = views_of(cluster(upstream, port_name="http-x"), rule)
    dialled, traffic = ("10.96.0.7", 9080), Traffic(1, 0, 1, 2, 2, 0.0, 0.0)
    there, gone = Path(7, dialled, ("127.0.0.1", upstream.port)), Path(7, dialled, ("10.9.9.9", 80))
    data = kernel_traffic.dump({there: traffic, gone: traffic}, {7: CLIENT}.get, views, KernelEndpoints())
    found = [dict(zip(TCP_LABELS, flow.labels, strict=True)) for flow in msgspec.msgpack.decode(data, type=Dump).tcp]
    assert {row["destination_service"] for row in found} == {"reviews.default.svc.cluster.local"}
    assert {row["destination_service_name"] for row in found} == {"reviews"}
    assert {row["destination_version"] for row in found} == {"v1", "unknown"}
