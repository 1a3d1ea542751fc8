"""What the admin API asks of the node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ..config.problems import Problem
from ..registry.snapshot import Service, Snapshot
from ..routing.view import View
from ..telemetry.history import History
from ..telemetry.totals import Totals


class PodRow(msgspec.Struct, frozen=True, kw_only=True):
    """One pod of this node. `why_not` is a sentence, empty where the pod is enrolled; `since` is seconds since the
    epoch, 0 where it is not; `capture` is what Istio's annotations on it include and exclude, by their short names.
    `dns` says whether its DNS queries are taken over, `dns_why_not` why not, though they are to be. `node` is where it
    is, as far as the agents of several nodes were asked."""

    namespace: str
    name: str
    addresses: tuple[str, ...] = ()
    enrolled: bool = False
    why_not: str = ""
    cgroup: str = ""
    since: float = 0.0
    without_rules: float | None = None  # seconds that its connections went without rules before that
    sockmap: bool = False  # its bytes may reach the proxy without TCP
    capture: dict[str, str] = {}
    dns: bool = False
    dns_why_not: str = ""
    node: str = ""


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """The agent of a node: since when it runs and has its newest tables (seconds since the epoch), and why its newest
    configuration is not in force. One that did not answer has the reason as its `error`, and nothing else."""

    node: str
    version: str = ""
    ready: bool = False
    missing: tuple[str, ...] = ()
    started: float = 0.0
    tables: int = 0
    changed: float = 0.0
    pods: int = 0
    enrolled: int = 0
    errors: int = 0
    warnings: int = 0
    refused: str = ""
    error: str = ""


class Unheard(msgspec.Struct, frozen=True, kw_only=True):
    """A node whose agent did not answer, and why."""

    node: str
    why: str


class Heard(msgspec.Struct, frozen=True):
    """What the other nodes' agents have answered, by node, and who has not."""

    answers: tuple[tuple[str, bytes], ...] = ()
    silent: tuple[Unheard, ...] = ()


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint under a policy: `ejected_for` seconds ago outlier detection has ejected it, -1: it has not."""

    host: str
    in_flight: int = 0
    ejected_for: float = -1.0


class KernelEndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint of a service in kernel mode: the connections of this node's pods to it, from their SYN on, and the
    bytes that apps sent and received by closed ones. `failed` ones were never established."""

    address: str
    port: int
    opened: int = 0
    failed: int = 0
    closed: int = 0
    sent: int = 0
    received: int = 0


class ModeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Which way connections to a service port take (pass, kernel, proxy), and the sentence why; which HTTP requests go
    upstream in (http/1.1, http/2, client: as it speaks), empty where the port has none, and the word why; how many
    connections its HTTP rules could not be applied to, by what they spoke; and what the kernel sent to its
    endpoints, empty where it sent nothing."""

    mode: str
    mode_reason: str
    upstream_http: str = ""
    http_reason: str = ""
    http_rules_bypassed: dict[str, int] = {}
    kernel_endpoints: tuple[KernelEndpointRow, ...] = ()


class ShadowSample(msgspec.Struct, frozen=True, kw_only=True):
    """A request that would be answered otherwise: who asked what, without secrets (`redacted` names the fields, and
    with `?` before it the parameters, whose values are gone). `live` and `candidate` are what `explain` says of it,
    where that is asked for; `unsure` are the redacted parts that rules look at, so that it may say something else."""

    at: float
    client: str
    method: str
    url: str
    authority: str
    headers: dict[str, str]
    redacted: list[str]
    unsure: list[str] = []
    live: dict[str, Any] | None = None
    candidate: dict[str, Any] | None = None


class ShadowRow(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to one place that would all be answered otherwise in the same way: by aspect (`to` is where they go)
    what both sides say, the rules with their places, how many there were, samples."""

    place: str
    count: int
    aspects: list[str]
    live: dict[str, str]
    candidate: dict[str, str]
    live_rule: str
    candidate_rule: str
    samples: list[ShadowSample]


class ShadowWay(msgspec.Struct, frozen=True, kw_only=True):
    """A service's port that the candidate changes, whose connections are balanced in the kernel on one side or both:
    how it is on both, and how many have stayed there."""

    place: str
    live: str
    candidate: str
    connections: int


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """The shadow on this node. Of `requests` to what the candidate changes, `differing` would be answered otherwise; of
    those `folded` are in no row. `failed` are requests that the candidate could not decide about, with the first
    `error`. `unseen` are `uncompared` connections that stayed in the kernel, of what the candidate changes. `until` is
    0 where no time was given."""

    on: bool
    asked_by: str = ""
    since: float = 0.0
    until: float = 0.0
    objects: list[str] = []
    requests: int = 0
    differing: int = 0
    folded: int = 0
    failed: int = 0
    error: str = ""
    uncompared: int = 0
    unseen: list[ShadowWay] = []
    rows: list[ShadowRow] = []


class ExplainQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question to `explain`; `client` is `namespace` or `namespace/name`, `gateway` labels select a gateway."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    client: str = ""
    gateway: tuple[tuple[str, str], ...] = ()
    sni: str = ""


class AdminNode(Protocol):
    """The running node, as the API sees it."""

    @property
    def snapshot(self) -> Snapshot:
        """What the cluster says now."""

    def problems(self) -> Sequence[Problem]:
        """What is wrong with the objects, and what they claim of other namespaces."""

    def missing(self) -> list[str]:
        """What is missing for readiness, a sentence each."""

    def status(self) -> dict[str, Any]:
        """The body of /status."""

    def pods(self) -> Sequence[PodRow]:
        """The pods of this node."""

    def agent(self) -> AgentRow:
        """How this agent is."""

    async def ask_others(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Heard:
        """What the agents of the other nodes say; nothing where there are none."""

    def mode(self, service: Service, port: int) -> ModeRow:
        """Which way connections to a service port take."""

    def view(self, client: str) -> View:
        """What a client sees: `namespace/pod`, or anyone in `namespace`. Raises QuestionError."""

    def explain(self, question: ExplainQuery) -> dict[str, Any]:
        """The matcher's own account. Raises QuestionError."""

    async def telemetry(self) -> Totals:
        """The sum of all workers' numbers, fetched now."""

    @property
    def history(self) -> History:
        """What was counted lately."""

    def endpoint_states(self) -> Mapping[tuple[str, int], EndpointRow]:
        """By address and port: what the data plane knows of endpoints under a policy."""

    async def shadow(self, explained: bool) -> ShadowReport:
        """What a candidate would have answered otherwise so far, fetched now."""

    def changes(self) -> Sequence[Any]:
        """The newest changes of the configuration, oldest first, and how long they took."""

    def rollback(self, version: int, name: str) -> Sequence[Any]:
        """What a version changed (0: the last change of the object `KIND/NAMESPACE/NAME`), as it was before. Raises
        QuestionError."""

    def why_empty(self) -> list[str]:
        """Sentences that say why there may be no traffic to see; none where nothing stands in its way."""

    async def connections(self) -> list[Any]:
        """What is open now, from all workers."""

    async def metrics(self) -> Iterator[bytes]:
        """The /metrics page, made piece by piece; any thread may do it."""
