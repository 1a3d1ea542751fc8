"""Whose an accepted connection is: the pod's that the listener stands for, or the peer's that it brings with it."""

import pytest
from tests.playbooks.http1_peer import GET, OK
from tests.playbooks.mesh import SERVICE

from nodemesh.proxy.accept.reception import Reception
from nodemesh.proxy.peer import NOBODY, Attested, ClientPeer, ListenerRole
from nodemesh.proxy.transport import Handler, Transport
from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.sim.pipe import MemoryTransport
from nodemesh.sim.world import World

POD = Client(namespace="default", name="client", labels={"app": "client"})
OTHER = Client(namespace="elsewhere", name="other")
HTTP, UNKNOWN = ("10.96.0.10", 80), None

TCP = """
apiVersion: v1
kind: Service
metadata: {name: store, namespace: default}
spec:
  clusterIP: 10.96.0.20
  ports: [{name: tcp, port: 90, targetPort: 9090}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: store-1, namespace: default, labels: {kubernetes.io/service-name: store}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.9]}]
ports: [{name: tcp, port: 9090}]
---
"""


def accept(world: World, dialled, peer: ClientPeer = NOBODY, role: ListenerRole = ListenerRole.OUTBOUND):
    pod = world.pod(POD)
    transport = world.network.transport(pod.lane, Handler(), True)
    transport.remote = "10.1.0.5:40000"
    transport.peer = peer
    Reception(pod, role).accepted(transport, dialled)
    world.run()
    return transport


def request(world: World, end) -> None:
    end.send(GET)
    world.run()
    world.server.accept().send(OK)
    world.run()


@pytest.mark.parametrize(("brought", "client"), [(NOBODY, POD), (ClientPeer(OTHER, Attested.LISTENER), OTHER)])
def test_requests_connections_and_refusals_count_as_the_peers(brought, client):
    world = World(TCP + SERVICE)
    world.server = world.serve("10.1.0.1", 9080)
    store = world.serve("10.1.0.9", 9090)
    request(world, accept(world, HTTP, brought).far_end)
    world.server.waiting or accept(world, UNKNOWN, brought)
    relayed = accept(world, ("10.96.0.20", 90), brought)
    relayed.far_end.send(b"x")
    world.run()
    store.accept().end()
    relayed.far_end.end()
    world.run()
    http, refused, tcp = world.records
    assert http.status == 200 and refused.reasons == (Reason.ORIGINAL_DESTINATION_UNKNOWN,) and tcp.bytes_received == 1
    assert [record.client for record in (http, refused, tcp)] == [client] * 3


def test_a_connection_is_its_peers_for_as_long_as_it_stands():
    world = World(SERVICE)
    world.server = world.serve("10.1.0.1", 9080)
    end = accept(world, HTTP).far_end
    relabelled = Client(namespace="default", name="client", labels={"app": "renamed"})
    pod = world.pod(POD)
    pod.see(relabelled, pod.view)
    request(world, end)
    assert world.records[-1].client == POD
    assert accept(world, HTTP).peer.client == relabelled, "new ones are the workload's as it is now"


def test_how_the_peer_is_known():
    world = World(SERVICE)
    assert world.pod(POD).peer == ClientPeer(POD, Attested.LISTENER)
    gateway = Client(namespace="istio-system", labels={"istio": "ingressgateway"}, gateway=True)
    assert world.pod(gateway, 80).peer == ClientPeer(gateway, Attested.ADDRESS)


def test_the_role_says_what_becomes_of_a_connection():
    """A gateway's is decided by its port: nobody dialled anything. A pod's own leads nowhere without that."""
    world = World(SERVICE)
    accept(world, UNKNOWN, role=ListenerRole.OUTBOUND)
    accept(world, UNKNOWN, role=ListenerRole.GATEWAY)
    assert [record.reasons for record in world.records] == [
        (Reason.ORIGINAL_DESTINATION_UNKNOWN,),
        (Reason.ROUTE_NOT_FOUND,),
    ]


def test_a_transport_may_decline_to_be_joined():
    """Then everything is shown to the relay, which counts it all the same."""
    assert MemoryTransport.join is Transport.join, "the simulator's declines"
    world = World(TCP + SERVICE)
    store = world.serve("10.1.0.9", 9090)
    end = accept(world, ("10.96.0.20", 90)).far_end
    end.send(b"x" * 100_000)
    world.run()
    upstream = store.accept()
    upstream.send(b"y" * 50_000)
    world.run()
    assert (len(upstream.take()), len(end.take())) == (100_000, 50_000)
    end.end()
    upstream.end()
    world.run()
    (record,) = world.records
    assert (record.bytes_received, record.bytes_sent) == (100_000, 50_000)
