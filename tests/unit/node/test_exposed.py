import socket

from nodemesh.node.exposed import bound_address, client_from, gateway_from
from nodemesh.node.options import Address
from nodemesh.registry.snapshot import Snapshot, Workload


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
        assert bound_address(sock.fileno()) == Address("127.0.0.1", port)
        assert sock.getsockname()[1] == port
