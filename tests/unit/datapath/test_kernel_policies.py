"""What Kubernetes' and Istio's policies on where traffic goes mean in kernel mode: from the objects to the slots that
the kernel draws from, as a pod on one node finds them."""

import pytest

from nodemesh.config.load import load_text
from nodemesh.datapath.maps import EntryMode, ServiceKey, pack_address, unpack_address
from nodemesh.datapath.plan import Planner
from nodemesh.registry.snapshot import Locality
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.views import Views

VIP = "10.96.0.7"
HERE, NEAR, FAR = "10.1.0.1", "10.1.0.2", "10.1.0.3"

#: Three endpoints: on the client's node, in its zone, in another.
MESH = """
apiVersion: v1
kind: Node
metadata: {name: here, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: one}}
---
apiVersion: v1
kind: Node
metadata: {name: near, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: one}}
---
apiVersion: v1
kind: Node
metadata: {name: far, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: two}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default, annotations: {ANNOTATIONS}}
spec: {clusterIP: 10.96.0.7, ports: [{name: tcp, port: 80}], SPEC}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: default, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: tcp, port: 8080}]
endpoints:
- {addresses: [10.1.0.1], nodeName: here, zone: one, HINT_HERE}
- {addresses: [10.1.0.2], nodeName: near, zone: one, HINT_NEAR}
- {addresses: [10.1.0.3], nodeName: far, zone: two, HINT_FAR}
"""

CLIENT = Client(name="app", namespace="default", node="here", locality=Locality(region="r", zone="one"))

RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: default}
spec:
  host: db
  trafficPolicy:
    loadBalancer: {localityLbSetting: {SETTING}}
    OUTLIERS
"""


def shares(spec="", annotations="", rule="", hints=("", "", ""), client=CLIENT):
    """How many of the slots each endpoint has, by its address."""
    text = MESH.replace("SPEC", spec).replace("ANNOTATIONS", annotations) + rule
    for name, hint in zip(("HERE", "NEAR", "FAR"), hints, strict=True):
        text = text.replace(f"HINT_{name}", f"hints: {hint}" if hint else "")
    loaded = load_text(text, "mesh.yaml")
    assert not loaded.problems, loaded.problems
    views = Views(compile_tables(Store().apply("files", loaded.objects)))
    found = Planner().plan([(0, views.for_client(client))])
    entry = found.entries[ServiceKey(0, pack_address(VIP), 80)]
    assert entry.mode is EntryMode.KERNEL
    counts = {}
    for backend in found.backends[entry.backends]:
        address = unpack_address(backend.address)
        counts[address] = counts.get(address, 0) + 1
    return counts


def test_without_a_policy_all_are_equal():
    assert shares() == {HERE: 1, NEAR: 1, FAR: 1}


def test_internal_traffic_policy_local_keeps_to_the_node():
    assert shares("internalTrafficPolicy: Local") == {HERE: 1}


def test_internal_traffic_policy_local_without_endpoints_on_the_node_refuses():
    """As kube-proxy: no fall back to other nodes."""
    nowhere = Client(name="app", namespace="default", node="elsewhere", locality=Locality(region="r", zone="one"))
    assert shares("internalTrafficPolicy: Local", client=nowhere) == {"127.0.0.1": 1}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("PreferClose", {HERE: 1, NEAR: 1}),
        ("PreferSameZone", {HERE: 1, NEAR: 1}),
        ("PreferSameNode", {HERE: 1}),
    ],
)
def test_traffic_distribution_prefers_what_is_near(wanted, found):
    assert shares(f"trafficDistribution: {wanted}") == found


def test_hints_of_topology_aware_routing_count():
    zones = ("{forZones: [{name: one}]}", "{forZones: [{name: two}]}", "{forZones: [{name: two}]}")
    assert shares(hints=zones) == {HERE: 1}


def test_localities_are_weighted_by_distribute():
    setting = '{distribute: [{from: r/one/*, to: {"r/one/*": 80, "r/two/*": 20}}]}'
    assert shares(rule=RULE.replace("{SETTING}", setting).replace("OUTLIERS", "")) == {HERE: 2, NEAR: 2, FAR: 1}
