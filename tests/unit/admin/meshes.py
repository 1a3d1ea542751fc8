"""Meshes of 5, 50 and 200 services with traffic, as the page's node: the history is made by the workers' own code."""

import time
from random import Random
from typing import Any

import msgspec

from nodemesh.admin.state import AgentRow, EndpointRow, Heard, ModeRow, ShadowReport
from nodemesh.config.load import load_text
from nodemesh.config.problems import Problem
from nodemesh.node.propagation import Rollout
from nodemesh.reasons import Reason
from nodemesh.registry.snapshot import Service
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import Cluster
from nodemesh.routing.explain import explain
from nodemesh.routing.question import client_for
from nodemesh.routing.view import View
from nodemesh.routing.views import Views
from nodemesh.telemetry.dump import Dump
from nodemesh.telemetry.history import History
from nodemesh.telemetry.record import RequestRecord
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals

NAMES = ("productpage", "details", "reviews", "ratings", "stock")


def service_yaml(name: str, namespace: str, number: int, versions: tuple[str, ...]) -> str:
    ends = "\n".join(
        f"- {{addresses: [10.{1 + number // 200}.{number % 200}.{index + 1}], conditions: {{ready: true}}, "
        f"targetRef: {{kind: Pod, name: {name}-{version}, namespace: {namespace}}}}}"
        for index, version in enumerate(versions)
    )
    pods = "".join(
        f"""---
apiVersion: v1
kind: Pod
metadata: {{name: {name}-{version}, namespace: {namespace}, labels: {{app: {name}, version: {version}}}}}
status: {{podIP: 10.{1 + number // 200}.{number % 200}.{index + 1}, phase: Running}}
"""
        for index, version in enumerate(versions)
    )
    return f"""---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{clusterIP: 10.96.{number // 200}.{number % 200 + 1}, ports: [{{name: http, port: 9080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 9080}}]
endpoints:
{ends}
{pods}"""


SPLIT = """---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: bookinfo}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v3, labels: {version: v3}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: bookinfo}
spec:
  hosts: [reviews]
  http:
  - name: canary
    route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v3}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: bookinfo}
spec:
  hosts: [ratings]
  http:
  - fault: {abort: {percentage: {value: 20}, httpStatus: 503}}
    route: [{destination: {host: ratings}}]
"""


#: Of 200 services the one on which half of all requests fail.
FAILING = 117


class PageNode:
    """A node with so many services; `tick` lets a second of traffic go by."""

    def __init__(self, services: int) -> None:
        self.random = Random(services)
        self.services: list[tuple[str, str, tuple[str, ...]]] = []
        for number in range(services):
            name = NAMES[number] if number < len(NAMES) else f"store-{number}"
            namespace = "bookinfo" if number < len(NAMES) else f"team-{number % 12}"
            versions = ("v1", "v3") if name == "reviews" else ("v1",)
            self.services.append((name, namespace, versions))
        text = "".join(service_yaml(*row[:2], number, row[2]) for number, row in enumerate(self.services)) + SPLIT
        loaded = load_text(text, "mesh.yaml")
        assert not loaded.problems, loaded.problems
        self.snapshot = Store().apply("mesh", loaded.objects)
        self.views = Views(compile_tables(self.snapshot))
        self.telemetry_of_worker = Telemetry()
        self.totals = Totals()
        self.clusters: dict[str, Cluster] = {}
        self.history = History()
        self.calls = self._calls()
        for back in range(70, 0, -5):
            self.tick(time.time() - back, 5)

    async def shadow(self, explained: bool) -> ShadowReport:
        return ShadowReport(on=False)

    def _calls(self) -> list[tuple[int, int, int]]:
        """(caller, called, requests a second)."""
        if len(self.services) == 5:
            return [(0, 1, 10), (0, 2, 10), (2, 3, 9), (0, 4, 1)]
        calls = [(0, 1, 10), (0, 2, 10), (2, 3, 9), (0, 4, 1)]
        for number in range(5, len(self.services)):
            calls.append((self.random.randrange(0, max(1, number // 2)), number, self.random.choice((1, 1, 2, 5))))
            if number % 3 == 0:
                calls.append((number, self.random.randrange(5, len(self.services)), 1))
        return [call for call in calls if call[0] != call[1]]

    def tick(self, now: float, seconds: int = 1) -> None:
        for caller, called, requests in self.calls:
            name, namespace, versions = self.services[caller]
            client = Client(namespace=namespace, name=f"{name}-v1", owner=f"{name}-v1", labels={"app": name})
            host = "{}.{}.svc.cluster.local".format(*self.services[called][:2])
            frontend = self.views.for_client(client).frontend_for_host(host, 9080)
            service = frontend.service
            assert service is not None
            for _ in range(requests * seconds):
                self._record(client, service, called, now)
        dump = msgspec.msgpack.decode(self.telemetry_of_worker.dump(), type=Dump)
        self.history.add(dump, now)
        self.totals._add(dump, now)

    def _record(self, client: Client, service: Service, called: int, now: float) -> None:
        record = RequestRecord(client)
        record.started, record.method, record.path = now, b"GET", b"/"
        record.authority = f"{service.name}.{service.namespace}:9080".encode()
        ends = service.endpoints[9080]
        end = ends[-1] if len(ends) > 1 and self.random.random() < 0.1 else ends[0]
        record.cluster = self._cluster(service)
        record.service = service
        record.upstream_host = f"{end.address}:{end.port}"
        record.status, record.duration = 200, 0.002 + self.random.random() * 0.03
        fails = {3: 0.2, FAILING: 0.5}.get(called, 0.0)
        if self.random.random() < fails:
            record.status, record.reasons, record.upstream_host = 503, (Reason.FAULT_ABORT,), ""
        self.telemetry_of_worker.record(record)

    def _cluster(self, service: Service) -> Cluster:
        known = self.clusters.get(service.host)
        if known is None:
            known = self.clusters[service.host] = Cluster(
                name=f"outbound|9080||{service.host}", key=service.host, host=service.host, port=9080,
                service=service.name, namespace=service.namespace, endpoints=service.endpoints[9080],
            )  # fmt: skip
        return known

    # what the API asks

    def problems(self) -> list[Problem]:
        return []

    def missing(self) -> list[str]:
        return []

    def status(self) -> dict[str, Any]:
        return {}

    def pods(self) -> list[Any]:
        return []

    def agent(self) -> AgentRow:
        return AgentRow(node="here", ready=True, started=1.0)

    async def ask_others(self, path: str, query: Any = ()) -> Heard:
        return Heard()

    def view(self, client: str) -> View:
        return self.views.for_client(client_for(self.views.tables, client))

    def mode(self, service: Service, port: int) -> ModeRow:
        frontend = self.views.for_client(Client(namespace=service.namespace)).frontend_for_host(service.host, port)
        return ModeRow(mode=frontend.mode.value, mode_reason=frontend.mode_reason)

    def explain(self, question: Any) -> dict[str, Any]:
        client = client_for(self.views.tables, question.client)
        answer = explain(self.views, client, question.method, question.url, question.headers, question.sni)
        return msgspec.json.decode(msgspec.json.encode(answer), type=dict[str, Any])

    async def telemetry(self) -> Totals:
        self.tick(time.time())
        return self.totals

    def endpoint_states(self) -> dict[tuple[str, int], EndpointRow]:
        return {}

    def changes(self) -> list[Any]:
        return [Rollout(time.time() - 42, 7, ("VirtualService bookinfo/reviews changed (mesh.yaml:31)",), 1, 0.031)]

    def rollback(self, version: int, name: str) -> list[Any]:
        return []

    def why_empty(self) -> list[str]:
        return ["eBPF is off: only what comes through --expose and gateway listeners is seen"]

    async def connections(self) -> list[Any]:
        return []

    async def metrics(self) -> Any:
        return iter((b"",))
