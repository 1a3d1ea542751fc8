import socket

import pytest

from nodemesh.config.load import load_text
from nodemesh.node.exposed import bound_address, client_from, doubts, gateway_from
from nodemesh.node.options import ListenAddress, RunOptions, parse_expose
from nodemesh.registry.snapshot import Snapshot, Workload
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.views import Views

REVIEWS = """
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {clusterIP: 10.0.0.1, ports: [{port: 80, name: http}]}
"""


def test_the_client_is_the_pod_where_the_registry_knows_it():
    pod = Workload(name="a", namespace="shop", labels={"app": "a"})
    snapshot = Snapshot(workloads={"shop/a": pod})
    assert client_from(snapshot, "shop/a").labels == {"app": "a"}
    assert client_from(snapshot, "shop/b").name == "b"
    assert (client_from(snapshot, "shop").namespace, client_from(snapshot, "shop").name) == ("shop", "")


def test_a_gateway_is_the_pod_with_its_labels():
    labels = {"istio": "ingressgateway"}
    pod = Workload(name="gw", namespace="istio-system", labels={**labels, "app": "gw"})
    snapshot = Snapshot(workloads={"istio-system/gw": pod})
    for said in ("", "istio-system", "istio-system/gw"):
        found = gateway_from(snapshot, labels, said)
        assert (found.namespace, found.gateway, found.labels) == ("istio-system", True, pod.labels)
    assert gateway_from(snapshot, labels, "edge").namespace == "edge", "labels make nobody a gateway of a namespace"
    alone = gateway_from(Snapshot(), labels, "edge")
    assert (alone.namespace, alone.gateway, alone.labels) == ("edge", True, labels)


def test_a_bound_address_is_read_without_closing_the_socket():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        assert bound_address(sock.fileno()) == ListenAddress("127.0.0.1", port)
        assert sock.getsockname()[1] == port


@pytest.mark.parametrize(
    ("exposed", "namespace", "hint"),
    [
        ("reviews:81", "shop", "it has 80"),
        ("reviews.shop:81", "other", "it has 80"),
        ("reviews:80", "other", "did you mean reviews.shop?"),
        ("rewiews:80", "shop", "did you mean reviews?"),
    ],
)
def test_what_was_meant_is_said_where_nothing_is_found(exposed, namespace, hint):
    snapshot = Store().apply("files", load_text(REVIEWS, "mesh.yaml").objects)
    options = RunOptions(expose=(parse_expose(f"{exposed}=127.0.0.1:0"),), client=namespace)
    (doubt,) = doubts(options, snapshot, Views(compile_tables(snapshot)))
    assert doubt == f"--expose {exposed}: no service has this host and port; {hint}"
