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
    `dns` says whether its DNS queries are taken over, `dns_why_not` why not, though they are to be."""

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
