from nodemesh.admin.state import KernelEndpointRow
from nodemesh.datapath.traffic import Traffic
from nodemesh.node.kernel_endpoints import KernelEndpoints
from nodemesh.registry.snapshot import Endpoint, Service
from nodemesh.routing.decision import Cluster

A, B = ("10.1.0.1", 80), ("10.1.0.2", 80)
SERVICE = Service(
    host="a.test",
    name="a",
    namespace="default",
    endpoints={80: tuple(Endpoint(address=ip, port=port) for ip, port in (A, B))},
)
CLUSTER = Cluster(name="c", key="c", host="a.test", namespace="default", port=80)


def traffic(opened=1, failed=0, closed=0, sent=0, received=0):
    return Traffic(opened, failed, closed, sent, received, 0.0, 0.0)


def test_sums_are_kept_by_endpoint_and_those_without_connections_are_shown_beside():
    sums = KernelEndpoints()
    assert sums.of(SERVICE, 80) == ()
    sums.add(CLUSTER, A, traffic(2, 1))
    sums.add(CLUSTER, A, traffic(0, 0, 1, 10, 20))
    first = KernelEndpointRow(address=A[0], port=80, opened=2, failed=1, closed=1, sent=10, received=20)
    assert sums.of(SERVICE, 80) == (first, KernelEndpointRow(address=B[0], port=80))


def test_another_services_counts_are_its_own():
    """The same endpoint may stand behind several services and ports."""
    sums = KernelEndpoints()
    for other in (
        Cluster(name="c", key="c", host="b.test", namespace="default", port=80),
        Cluster(name="c", key="c", host="a.test", namespace="other", port=80),
        Cluster(name="c", key="c", host="a.test", namespace="default", port=81),
    ):
        sums.add(other, A, traffic())
    assert sums.of(SERVICE, 80) == ()


def test_of_too_many_the_one_that_was_used_longest_ago_is_forgotten():
    sums = KernelEndpoints(limit=2)
    sums.add(CLUSTER, A, traffic())
    sums.add(CLUSTER, B, traffic())
    sums.add(CLUSTER, A, traffic())
    sums.add(Cluster(name="c", key="c", host="b.test", namespace="default", port=80), A, traffic())
    assert [row.opened for row in sums.of(SERVICE, 80)] == [2, 0]
