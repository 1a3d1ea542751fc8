"""Circuit breakers over several workers: whatever comes and goes, in whatever order, every request is answered.

`python -m tests.properties.test_breakers 100000` plays so many schedules."""

from __future__ import annotations

import sys
from functools import lru_cache
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.playbooks.mesh import SERVICE

from nodemesh.balance.rows import CONNECTIONS, PENDING, REQUESTS, RETRIES
from nodemesh.balance.shared import Ledger, Share, size_of
from nodemesh.node.counters import policed_by
from nodemesh.routing.client import Client
from nodemesh.sim.pipe import Peer
from nodemesh.sim.world import World

GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: reviews\r\ncontent-length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
LAST = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
BAD = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
CAPACITY = 16
ADDRESSES = ["10.1.0.1", "10.1.0.2", "10.1.0.3"]

ROWS = (CONNECTIONS, PENDING, REQUESTS, RETRIES)

RULES = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: default}}
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {{simple: ROUND_ROBIN}}
    connectionPool: {{tcp: {{maxConnections: {connections}}}, http: {{{http}}}}}
    outlierDetection: {{consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 1s, maxEjectionPercent: 100}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec:
  hosts: [reviews]
  http:
  - route: [{{destination: {{host: reviews}}}}]
    retries: {retries}
{timeout}
"""

#: `retries` of the rule.
RETRIES_OF = ("{attempts: 0}", '{attempts: 2, retryOn: "5xx,reset,connect-failure"}')


@lru_cache(1024)
def mesh(addresses: int, connections: int, http: str, retries: str, timeout: str) -> str:
    more = "".join(f"- {{addresses: [{one}], conditions: {{ready: true}}}}\n" for one in ADDRESSES[1:addresses])
    return SERVICE + more + RULES.format(connections=connections, http=http, retries=retries, timeout=timeout)


class Worker(World):
    """One worker of a node; tables of the same text are made once."""

    compiled: dict[str, object] = {}

    def _compile(self, config):
        if config not in self.compiled:
            self.compiled[config] = super()._compile(config)
        return self.compiled[config]


class Node:
    """Workers that share their counters, a random schedule, and what must hold in the end."""

    def __init__(self, random: Random) -> None:
        self.random = random
        workers = random.randint(1, 3)
        http = [f"http1MaxPendingRequests: {random.choice((1, 3, 100))}"]
        if not random.randrange(3):
            http.append(f"http2MaxRequests: {random.randint(1, 4)}")
        if not random.randrange(3):
            http.append(f"maxRetries: {random.randint(1, 2)}")
        if not random.randrange(4):
            http.append(f"maxRequestsPerConnection: {random.randint(1, 2)}")
        self.policy = (
            random.randint(1, 3),
            ", ".join(http),
            random.choice(RETRIES_OF),
            random.choice(("", "    timeout: 5s")),
        )
        self.buffer = memoryview(bytearray(size_of(workers, CAPACITY)))
        self.ledger = Ledger(self.buffer, workers, CAPACITY)
        config = mesh(random.randint(1, 3), *self.policy)
        self.workers = [Worker(config, random.randrange(1 << 30)) for _ in range(workers)]
        self.servers = []
        for number, worker in enumerate(self.workers):
            worker.proxy.shared.share = Share(self.buffer, number)
            self.servers += [worker.serve(address, 9080) for address in ADDRESSES]
        self._assign()
        self.clients: list[tuple[Worker, Peer]] = []
        self.answered: set[Peer] = set()

    def _assign(self) -> None:
        view = self.workers[0].proxy.views.for_client(Client(namespace="default", name="one"))
        self.ledger.assign(policed_by(view, "reviews.default.svc.cluster.local").clusters)

    def play(self) -> None:
        steps = {
            self.arrive: 6, self.answer: 6, self.leave: 1, self.wait: 3, self.change: 1, self.break_off: 1,
        }  # fmt: skip
        for step in self.random.choices(list(steps), list(steps.values()), k=self.random.randint(4, 40)):
            step()

    def arrive(self) -> None:
        worker = self.random.choice(self.workers)
        client = worker.connect("10.96.0.10", 80, name=self.random.choice(("one", "two")))
        client.send(self.random.choice((GET, GET, POST + b"hi")))
        worker.run()
        self.clients.append((worker, client))

    def requests(self) -> list[Peer]:
        """Upstream connections with a request that is not answered."""
        return [peer for server in self.servers for peer in server.connections if peer.inbox and not peer.closed]

    def answer(self, message: bytes = b"") -> None:
        asked = self.requests()
        if asked:
            peer = self.random.choice(asked)
            peer.inbox = b""
            peer.send(message or self.random.choice((OK, OK, OK, LAST, BAD)))
            if self.random.randrange(4) == 0:
                peer.end()
            self.run()

    def break_off(self) -> None:
        asked = self.requests()
        if asked:
            self.random.choice(asked).reset()
            self.run()

    def leave(self) -> None:
        if self.clients:
            worker, client = self.clients.pop(self.random.randrange(len(self.clients)))
            client.reset()
            worker.run()

    def wait(self) -> None:
        seconds = self.random.choice((0.01, 0.2, 2.0, 7.0))
        for worker in self.workers:
            worker.advance(seconds)

    def change(self) -> None:
        """Endpoints come and go."""
        config = mesh(self.random.randint(1, 3), *self.policy)
        self.workers[0].configure(config)
        for worker in self.workers[1:]:
            worker.configure(config)
        self._assign()

    def run(self) -> None:
        for worker in self.workers:
            worker.run()

    def expect_answers(self) -> None:
        """From here on upstreams answer at once: soon nobody waits any more."""
        rounds = 0
        while any(not client.inbox and not client.closed for _, client in self.clients):
            rounds += 1
            assert rounds < 30, f"{self.waiting()} wait after {rounds * 0.1:.0f} s in which upstreams answer at once"
            for _ in range(len(self.requests())):
                self.answer(OK)
            for worker in self.workers:
                worker.advance(0.1)
        for _, client in self.clients:
            assert client.inbox.startswith(b"HTTP/1.1 "), client.inbox
            client.end()
        self.run()
        for worker in self.workers:
            for target in worker.proxy.targets.values():
                assert not target.queue.lines
                in_use = {field: target.group.row.own(field) for field in ROWS}
                opened = sum(host.pool.line.open for host in target._hosts() if host.pool is not None)
                assert in_use == {CONNECTIONS: in_use[CONNECTIONS], PENDING: 0, REQUESTS: 0, RETRIES: 0}, in_use
                assert opened <= in_use[CONNECTIONS]

    def waiting(self) -> int:
        return sum(not client.inbox and not client.closed for _, client in self.clients)


def expect_all_answered(random: Random) -> None:
    node = Node(random)
    node.play()
    node.expect_answers()


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_request_is_answered(random):
    expect_all_answered(random)


def main() -> None:
    count = int(sys.argv[1])
    for seed in range(count):
        try:
            expect_all_answered(Random(seed))
        except AssertionError as error:
            raise SystemExit(f"schedule {seed}: {error}") from error
    print(f"{count} schedules: every request was answered")


if __name__ == "__main__":
    main()
