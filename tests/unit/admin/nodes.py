"""A node made of plain values, and what its API answers over loopback."""

import asyncio
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.unit.telemetry.samples import request

from nodemesh.admin.http import serve
from nodemesh.admin.state import (
    AdminNode,
    AgentRow,
    EndpointRow,
    ExplainQuery,
    Heard,
    KernelEndpointRow,
    ModeRow,
    PodRow,
    ShadowReport,
    ShadowRow,
    ShadowSample,
    Unheard,
)
from nodemesh.config.meta import Location
from nodemesh.config.problems import Problem
from nodemesh.registry.snapshot import Endpoint, Health, Protocol, RegistryPort, Service, Snapshot
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.question import QuestionError, client_for
from nodemesh.routing.view import View
from nodemesh.routing.views import Views
from nodemesh.telemetry.history import History
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals

REVIEWS = Service(
    host="reviews.default.svc.cluster.local",
    name="reviews",
    namespace="default",
    addresses=("10.96.0.7",),
    ports=(RegistryPort(number=9080, name="http", protocol=Protocol.HTTP),),
    endpoints={
        9080: (
            Endpoint(address="10.1.0.5", port=9080, workload="default/reviews-1"),
            Endpoint(address="10.1.0.6", port=9080, health=Health.UNREADY),
        )
    },
    location=Location("mesh.yaml", 3, 1),
)
PROBLEM = Problem(
    code="unknown-field",
    message="there is no field hots; did you mean hosts?",
    location=Location("mesh.yaml", 9, 3),
    kind="VirtualService",
    path="spec.hots",
)


class FakeNode:
    """What the API asks for, as plain values."""

    def __init__(self) -> None:
        self.lacking: list[str] = []
        self.asked: list[ExplainQuery] = []
        self.open: list[dict[str, str]] = [{"client": "default/a"}]
        self.snapshot = Snapshot(services={REVIEWS.host: (REVIEWS,)}, problems=(PROBLEM,))

    def problems(self) -> tuple[Problem, ...]:
        return self.snapshot.problems

    async def shadow(self, explained: bool) -> ShadowReport:
        sample = ShadowSample(
            at=1.0, client="default/a", method="GET", url="http://reviews:9080/", authority="reviews", headers={},
            redacted=[], live={"outcome": "route"} if explained else None,
        )  # fmt: skip
        row = ShadowRow(
            place="reviews:9080", count=2, aspects=["to"], live={"to": "v1"}, candidate={"to": "v2"}, live_rule="",
            candidate_rule="", samples=[sample],
        )  # fmt: skip
        return ShadowReport(on=True, requests=3, differing=2, rows=[row])

    def missing(self) -> list[str]:
        return self.lacking

    def status(self) -> dict[str, Any]:
        return {"node": "here"}

    def pods(self) -> list[PodRow]:
        return [PodRow(namespace="default", name="a", why_not="the pod has finished")]

    def agent(self) -> AgentRow:
        return AgentRow(node="here")

    async def ask_others(self, path: str, query: Any = ()) -> Heard:
        return Heard(silent=(Unheard(node="there", why="no answer\r\nwithin 1 s"),))

    def view(self, client: str) -> View:
        tables = compile_tables(self.snapshot)
        return Views(tables).for_client(client_for(tables, client))

    def mode(self, service: Service, port: int) -> ModeRow:
        return ModeRow(
            mode="proxy",
            mode_reason=f"{service.host}:{port} has HTTP rules",
            upstream_http="http/2",
            http_reason="port_protocol",
            http_rules_bypassed={"tls": 2},
            kernel_endpoints=(KernelEndpointRow(address="10.1.0.5", port=9080, opened=3, failed=1),),
        )

    def explain(self, question: ExplainQuery) -> dict[str, Any]:
        if question.url == "nonsense":
            raise QuestionError("nonsense is no URL")
        self.asked.append(question)
        return {"outcome": "route"}

    async def telemetry(self) -> Totals:
        telemetry, totals = Telemetry(), Totals()
        telemetry.record(request())
        telemetry.record(request(status=503))
        totals.add(telemetry.dump(), 0.0)
        return totals

    history = History()

    def endpoint_states(self) -> dict[tuple[str, int], EndpointRow]:
        return {("10.1.0.5", 9080): EndpointRow(host=REVIEWS.host, in_flight=3, ejected_for=2.0)}

    def changes(self) -> list[Any]:
        return [{"version": 1}, {"version": 2}]

    def rollback(self, version: int, name: str) -> list[Any]:
        return [{"version": version, "name": name}]

    def why_empty(self) -> list[str]:
        return ["no pod of this node is enrolled"]

    async def connections(self) -> list[Any]:
        return self.open

    async def metrics(self) -> Iterator[bytes]:
        return iter((b"nodemesh_ready ", b"1.0\n"))


def ask(node: AdminNode, *paths: str, method: str = "GET") -> list[tuple[int, Any]]:
    """The status and body of each path, asked over loopback."""

    def fetch(base: str, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(urllib.request.Request(base + path, method=method), timeout=5) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        return status, json.loads(body) if body[:1] in b"[{" else body

    async def scenario() -> list[tuple[int, Any]]:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = await serve(node, listener)
        host, port = listener.getsockname()
        answers = [await asyncio.to_thread(fetch, f"http://{host}:{port}", path) for path in paths]
        await runner.cleanup()
        return answers

    return asyncio.run(scenario())
