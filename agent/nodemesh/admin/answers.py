"""The shapes of the admin API's answers, from which its OpenAPI document and its reference page are made."""

from __future__ import annotations

from typing import Any

import msgspec

from ..telemetry.decision_record import DecisionRecord
from .state import KernelEndpointRow, Unheard


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the shapes; a test holds them against what a node answers."""


class ErrorAnswer(Shape, frozen=True, kw_only=True):
    """One sentence: what was wrong, and what would be right."""

    error: str


class HealthAnswer(Shape, frozen=True, kw_only=True):
    """Control lives."""

    status: str


class ReadinessAnswer(Shape, frozen=True, kw_only=True):
    """Whether the node serves as it is to, with a sentence for each thing that is missing."""

    ready: bool
    missing: list[str]


class VersionAnswer(Shape, frozen=True, kw_only=True):
    """The agent's version, its Python's and the kernel's."""

    version: str
    python: str
    kernel: str


class PortAnswer(Shape, frozen=True, kw_only=True):
    """One port of a service: its endpoints, which way its connections go (pass, kernel, proxy) and why, which HTTP is
    spoken upstream, and what went past the proxy."""

    port: int
    name: str
    protocol: str
    endpoints: int
    ready: int
    mode: str
    mode_reason: str
    upstream_http: str
    http_reason: str
    http_rules_bypassed: dict[str, int]
    kernel_endpoints: list[KernelEndpointRow]


class ServiceAnswer(Shape, frozen=True, kw_only=True):
    """A host of the registry; `location` is where it is written."""

    host: str
    namespace: str
    kind: str
    addresses: list[str]
    allocated: list[str]
    resolution: str
    external: bool
    ports: list[PortAnswer]
    location: str


class EndpointAnswer(Shape, frozen=True, kw_only=True):
    """One address of a service port; `in_flight` and `ejected_for` (seconds) where a policy counts them."""

    service: str
    port: int
    address: str
    target_port: int
    health: str
    workload: str
    locality: str
    cluster: str
    weight: int
    in_flight: int | None
    ejected_for: float | None
    subset: str | None = None
    node: str | None = None
    network: str | None = None
    labels: dict[str, str] | None = None


class RouteAnswer(Shape, frozen=True, kw_only=True):
    """A rule as it is written; or, for a client, what it is for one of the hosts that the client sees. `when` and
    `does` say match and action in words."""

    virtual_service: str
    rule: str
    name: str
    match: list[Any]
    action: dict[str, Any]
    when: str
    does: str
    location: str
    route: str | None = None
    hosts: list[str] | None = None
    gateways: list[str] | None = None
    protocol: str | None = None
    host: str | None = None
    port: int | None = None
    clusters: list[str] | None = None


class ClusterAnswer(Shape, frozen=True, kw_only=True):
    """A group of endpoints that a client's rules may lead to, and the DestinationRule about it."""

    cluster: str
    host: str
    port: int
    subset: str
    type: str
    balancing: str
    tls: str
    outlier_detection: bool
    endpoints: int
    ready: int
    destination_rule: str


class ListenerAnswer(Shape, frozen=True, kw_only=True):
    """What of a client's connections is taken over, and which way it goes."""

    host: str
    addresses: list[str]
    port: int
    protocol: str
    mode: str
    mode_reason: str
    failure_policy: str


class ConnectionsAnswer(Shape, frozen=True, kw_only=True):
    """What is open now, and the last requests, newest first; of paths nothing behind `?` is shown."""

    open: list[dict[str, str]]
    recent: list[DecisionRecord]


class TotalNode(Shape, frozen=True, kw_only=True):
    """A workload or a service."""

    id: str
    kind: str
    namespace: str
    name: str


class TotalEdge(Shape, frozen=True, kw_only=True):
    """The calls from one to the other since the agent began to count."""

    source: str
    target: str
    protocol: str
    requests: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    sent: float
    received: float


class GraphAnswer(Shape, frozen=True, kw_only=True):
    """All calls since the agent began to count."""

    nodes: list[TotalNode]
    edges: list[TotalEdge]


class ProblemAnswer(Shape, frozen=True, kw_only=True):
    """A finding, with its place."""

    severity: str
    refused: bool
    code: str
    message: str
    file: str
    line: int
    column: int
    kind: str
    group: str
    namespace: str
    name: str
    path: str


class ChangedObjectAnswer(Shape, frozen=True, kw_only=True):
    """What a change did to an object: added, changed or removed; who wrote it and when (seconds since the epoch), or
    where it is written, as far as that is known."""

    kind: str
    group: str
    namespace: str
    name: str
    change: str
    author: str
    written: float
    location: str


class ChangeAnswer(Shape, frozen=True, kw_only=True):
    """A change of the configuration, how many seconds it took to all workers (-1: it has not reached them), and which
    objects of the mesh's kinds changed, some of many."""

    at: float
    version: int
    causes: list[str]
    count: int
    seconds: float
    objects: list[ChangedObjectAnswer] = []


class RestoredAnswer(Shape, frozen=True, kw_only=True):
    """An object as it was before a version changed it. `document` is to be applied again; null where the object was not
    there, and so is to be deleted, or where it is not kept any more (`kept` is false). `later` are versions that
    changed it since."""

    version: int
    kind: str
    group: str
    namespace: str
    name: str
    change: str
    kept: bool
    later: list[int]
    document: dict[str, Any] | None


class PictureAnswer(Shape, frozen=True, kw_only=True):
    """The calls of the last seconds as the live page draws them; `missing` says why there is nothing to see. `agents`
    are the nodes whose agents were heard, `silent` the others."""

    as_of: float
    window: float
    since: float
    namespaces: list[str]
    missing: list[str]
    problems: list[ProblemAnswer]
    changes: list[ChangeAnswer]
    agents: list[str]
    silent: list[Unheard]
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
