"""Ways in which pods are replaced, step by step as Kubernetes takes them: after each step new connections succeed
wherever a pod is there to take them, and the kernel has no service of which an endpoint is dead."""

import itertools
from typing import Any

import pytest

from nodemesh.config.load import load_object
from nodemesh.datapath.calm import Calm
from nodemesh.node.foresight import Foresight
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.multicluster import Registry
from nodemesh.registry.snapshot import Health
from nodemesh.routing.compile import compile_tables
from nodemesh.sim.world import World

from .http1_peer import OK

HOST, VIP = "web.default.svc.cluster.local", "10.96.0.1"
HTTP, TCP = 80, 81
GET = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"


def meta(name, **more):
    return {"name": name, "namespace": "default", **more}


class Rollout:
    """A service `web`, its pods as the API server has them, and the apps that live or do not."""

    def __init__(self, *pods, headless=False):
        self.registry, self.calm, self.now = Registry(), Calm(), 0.0
        hears: Any = self  # in the place of fleet and interception
        self.foresight = Foresight(self.registry, hears, hears)
        self.uids, self.addresses, self.numbers = {}, {}, itertools.count(1)
        self.left = set()  # the addresses of pods whose end was told
        self.tables = None
        self.world = World("")
        self.port = 8080
        self.headless = headless
        for pod in pods:
            self.create(pod)
        self.service()
        self.slice(*pods)
        self.settle()

    # what Foresight tells

    def tell(self, message):
        self.world.proxy.shared.retire(frozenset(message.addresses))

    def pod_starts(self, pod, hosts):
        self.calm.starts(pod, hosts, self.now)

    def pod_ends(self, pod, hosts):
        self.calm.ends(pod, hosts, self.now)

    # what Kubernetes does

    def apply(self, data=None, removed=()):
        items = load_object(data, "cluster").objects if data is not None else ()
        before = self.registry.snapshot.workloads
        self.registry.apply("cluster", items, removed)
        self.foresight.see(before, items)
        self.tables = compile_tables(self.registry.snapshot, self.tables)
        self.world.configure(self.tables)
        self.calm.see(self.registry.snapshot.services, self.now)

    def service(self, selector="web"):
        ports = [{"name": "http", "port": HTTP}, {"name": "tcp", "port": TCP}]
        spec = {"clusterIP": "None" if self.headless else VIP, "ports": ports, "selector": {"app": selector}}
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": spec})

    def create(self, pod, owner="web"):
        """A pod begins, and its app listens: on all ports that it ever has."""
        number = next(self.numbers)
        self.uids[pod], self.addresses[pod] = f"uid-{number}", f"10.1.0.{number}"
        self._pod(pod, owner)
        for port in (8080, 9090):
            self.world.serve(self.addresses[pod], port)

    def _pod(self, pod, owner="web", **more):
        owners = [{"kind": "StatefulSet", "name": owner, "controller": True}]
        data = meta(pod, uid=self.uids[pod], labels={"app": owner}, ownerReferences=owners, **more)
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": data, "spec": {}})

    def slice(self, *pods, terminating=(), name="web-1"):
        """The controller writes the service's endpoints, as it has them."""
        endpoints = [
            {
                "addresses": [self.addresses[pod]],
                "conditions": {"ready": pod not in terminating, "serving": True, "terminating": pod in terminating},
                "targetRef": {"kind": "Pod", "name": pod, "uid": self.uids[pod]},
            }
            for pod in (*pods, *terminating)
        ]
        labels = {"kubernetes.io/service-name": "web"}
        ports = [{"name": "http", "port": self.port}, {"name": "tcp", "port": self.port}]
        self.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta(name, labels=labels),
                    "addressType": "IPv4", "endpoints": endpoints, "ports": ports})  # fmt: skip

    def leave(self, pod):
        """Its deletionTimestamp is set."""
        self.foresight.leaves(ObjectKey("Pod", "default", pod))
        self.left.add(self.addresses[pod])
        self._pod(pod, deletionTimestamp="2026-01-01T00:00:30Z")

    def exit(self, pod):
        """Its app ends: nobody listens any more."""
        for port in (8080, 9090):
            self.close(self.addresses[pod], port)

    def close(self, address, port):
        server = self.world.network.servers.pop((address, port), None)
        for upstream in server.connections if server is not None else ():
            upstream.reset()
        self.world.run()

    def remove(self, pod):
        self.foresight.leaves(ObjectKey("Pod", "default", pod))
        self.left.add(self.addresses[pod])
        self.apply(removed=[ObjectKey("Pod", "default", pod)])

    def settle(self):
        """Some time passes."""
        self.now += 30.0
        self.world.advance(30.0)

    # what is asked of us

    def served(self, address=VIP, count=6):
        """So many connections and requests, one after the other, each answered by a pod that lives."""
        for number in range(count):
            for port, data in ((TCP, b"hello"), (HTTP, GET)):
                client = self.world.connect(address, port)
                client.send(data)
                self.world.advance(1.0)
                if self._answer():
                    self.world.run()
                assert client.take().endswith(b"hi"), (number, port)

    def _answer(self):
        """The server that was asked something, after its answer."""
        for server in list(self.world.network.servers.values()):
            for upstream in server.connections:
                asked = upstream.take()
                if asked:
                    upstream.send(b"hi" if asked == b"hello" else OK)
                    return server
        return None

    def check(self, address=VIP):
        self.served(address)
        ready = [end for end in self.registry.snapshot.services[HOST][0].endpoints[TCP] if end.health is Health.READY]
        assert not self.left & {end.address for end in ready}, "whatever a slice that lags says"
        dead = [end.address for end in ready if (end.address, end.port) not in self.world.network.servers]
        assert not dead or self.calm.reasons(self.now), "the kernel would send connections to the dead"


def play(rollout, *steps):
    rollout.check()
    for step in steps:
        step()
        rollout.check()
    rollout.settle()
    assert not rollout.calm.reasons(rollout.now), "calm in the end, and back in the kernel"


def test_a_deployments_pods_surge():
    web = Rollout("a", "b")
    play(
        web,
        lambda: web.create("c"),
        lambda: web.slice("a", "b", "c"),
        lambda: web.leave("a"),
        lambda: web.exit("a"),
        lambda: web.slice("b", "c", terminating=["a"]),
        lambda: web.slice("b", "c"),
        lambda: web.remove("a"),
    )


@pytest.mark.parametrize("order", ["the pod first", "the slice first"])
def test_a_statefulsets_pod_comes_back_with_its_name_and_another_address(order):
    """The slice still names the one before, at an address that may be anybody's."""
    web = Rollout("web-0", "web-1")
    steps = [lambda: web.leave("web-1"), lambda: web.exit("web-1")]
    if order == "the slice first":
        steps.append(lambda: web.slice("web-0"))
    steps += [lambda: web.remove("web-1"), lambda: web.create("web-1"), lambda: web.slice("web-0", "web-1")]
    play(web, *steps)
    assert {end.address for end in web.registry.snapshot.services[HOST][0].endpoints[TCP]} == {"10.1.0.1", "10.1.0.3"}


def test_a_pod_that_is_deleted_without_grace_or_evicted_is_gone_at_once():
    web = Rollout("a", "b")
    play(web, lambda: (web.exit("a"), web.remove("a")), lambda: web.create("c"), lambda: web.slice("b", "c"))


def test_a_node_that_dies_takes_its_pods_along_before_anybody_says_so():
    web = Rollout("a", "b")
    web.exit("a")
    web.served()
    web.calm.failed(HOST, "10.1.0.1:8080", web.now)  # what the first refused connect in the kernel leads to
    play(web, lambda: web.slice("b"), lambda: web.remove("a"))


def test_a_deployment_scaled_to_nothing_and_back():
    web = Rollout("a")
    web.check()
    web.leave("a")
    web.exit("a")
    web.slice(terminating=["a"])
    web.slice()
    web.remove("a")
    client = web.world.connect(VIP, HTTP)
    client.send(GET)
    web.world.advance(1.0)
    assert client.take().startswith(b"HTTP/1.1 503"), "nobody is there"
    web.settle()
    web.create("b")
    web.slice("b")
    play(web)


def test_endpoints_that_move_to_another_port():
    """The old app still listens at both."""
    web = Rollout("a", "b")
    web.check()
    web.port = 9090
    play(web, lambda: web.slice("a", "b"), lambda: web.close("10.1.0.1", 8080), lambda: web.close("10.1.0.2", 8080))


@pytest.mark.parametrize("slices", ["web-1", "web-2"])
def test_blue_green_by_the_services_selector(slices):
    """The controller writes the same slice, or makes another and deletes the first."""
    web = Rollout("blue-0", "blue-1")
    gone = [ObjectKey("EndpointSlice", "default", "web-1", "discovery.k8s.io")]
    play(
        web,
        lambda: (web.create("green-0", "green"), web.create("green-1", "green")),
        lambda: web.service("green"),
        lambda: web.slice("green-0", "green-1", name=slices),
        lambda: web.apply(removed=gone) if slices == "web-2" else None,
        lambda: (web.leave("blue-0"), web.leave("blue-1")),
        lambda: (web.exit("blue-0"), web.exit("blue-1")),
        lambda: (web.remove("blue-0"), web.remove("blue-1")),
    )


def test_a_headless_services_client_has_the_pod_that_it_dialled():
    web = Rollout("a", "b", headless=True)
    for step in (lambda: web.create("c"), lambda: web.slice("a", "b", "c"), lambda: web.leave("a")):
        step()
        for pod in web.addresses:
            web.world.serve(web.addresses[pod], TCP)
            web.world.serve(web.addresses[pod], HTTP)
            client = web.world.connect(web.addresses[pod], TCP)
            client.send(b"hello")
            web.world.advance(1.0)
            server = web._answer()
            web.world.run()
            assert client.take() == b"hi"
            at = next(place for place, found in web.world.network.servers.items() if found is server)
            assert at[0] == web.addresses[pod], "one that leaves too, as long as it listens"
