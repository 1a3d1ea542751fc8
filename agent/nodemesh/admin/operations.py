"""The admin API's operations as a table: paths, parameters and answers. Routes, OpenAPI and the reference are of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..telemetry.decision_record import DecisionRecord
from .answers import (
    ChangeAnswer,
    ClusterAnswer,
    ConnectionsAnswer,
    EndpointAnswer,
    GraphAnswer,
    HealthAnswer,
    ListenerAnswer,
    PictureAnswer,
    ProblemAnswer,
    ReadinessAnswer,
    RestoredAnswer,
    RouteAnswer,
    ServiceAnswer,
    VersionAnswer,
)
from .state import AgentRow, PodRow, ShadowReport

JSON = "application/json"


class Parameter(NamedTuple):
    """One part of the query; `repeated` where it may come several times."""

    name: str
    text: str
    type: str = "string"
    required: bool = False
    repeated: bool = False


class Operation(NamedTuple):
    """One path, which is read with GET: nothing here changes anything. `handler` is a method of `http.Api`, `answers`
    the types that a JSON body may have (none: it has no fixed fields). `anyone` may read it, whatever
    the client's address: what probes and Prometheus ask for."""

    path: str
    handler: str
    text: str
    answers: tuple[Any, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    media: str = JSON
    anyone: bool = False


AS = Parameter("as", "the client whose view is asked for, `NAMESPACE/POD` or `NAMESPACE`")
NAMESPACE = Parameter("namespace", "of one namespace alone")
EVERYWHERE = Parameter(
    "mesh", "`1`: of all nodes, as far as their agents answer; the field `Nodemesh-Silent` names the others"
)
WINDOW = (
    Parameter("window", "seconds, 5 to 900", "number"),
    Parameter("back", "so many seconds ago, at most 900", "number"),
    NAMESPACE,
    EVERYWHERE,
)

OPERATIONS = (
    Operation("/", "page", "The live page.", media="text/html"),
    Operation("/static/{name}", "page", "A file of the live page.", media="text/javascript"),
    Operation("/healthz", "healthz", "Whether control lives.", (HealthAnswer,), anyone=True),
    Operation(
        "/readyz",
        "readyz",
        "Whether the node is ready: 200, or 503 with what is missing.",
        (ReadinessAnswer,),
        anyone=True,
    ),
    Operation("/version", "version", "Which agent this is.", (VersionAnswer,)),
    Operation("/metrics", "metrics", "Istio's metrics and the agent's own.", media="text/plain", anyone=True),
    Operation("/openapi.json", "openapi", "This document."),
    Operation("/status", "status", "The node's state: tables, configuration, workers, listeners, pods, kernel."),
    Operation(
        "/services",
        "services",
        "The registry's services, each port with its way and the reason.",
        (list[ServiceAnswer],),
    ),
    Operation("/endpoints", "endpoints", "All endpoints; of a client by its clusters.", (list[EndpointAnswer],), (AS,)),
    Operation(
        "/routes", "routes", "All rules as written; of a client those that it sees.", (list[RouteAnswer],), (AS,)
    ),
    Operation(
        "/clusters", "clusters", "The groups of endpoints that a client may reach.", (list[ClusterAnswer],), (AS,)
    ),
    Operation(
        "/listeners", "listeners", "What of a client's connections is taken over.", (list[ListenerAnswer],), (AS,)
    ),
    Operation("/pods", "pods", "The node's pods: who is in the mesh, or why not.", (list[PodRow],), (EVERYWHERE,)),
    Operation("/agents", "agents", "The agents of all nodes: how each is, or why it is not heard.", (list[AgentRow],)),
    Operation("/connections", "connections", "What is open, and the last requests.", (ConnectionsAnswer,)),
    Operation(
        "/graph",
        "graph",
        "All calls so far; with `window` the picture of those seconds.",
        (GraphAnswer, PictureAnswer),
        WINDOW,
    ),
    Operation(
        "/graph/live",
        "live",
        "The picture each second, as server-sent events.",
        (PictureAnswer,),
        WINDOW,
        "text/event-stream",
    ),
    Operation(
        "/decisions",
        "decisions",
        "The last requests that fit, newest first.",
        (list[DecisionRecord],),
        (
            Parameter("client", "of this workload or pod, `NAMESPACE/NAME`", repeated=True),
            Parameter("namespace", "of this namespace's clients"),
            Parameter("host", "to this service: its host, or how that begins (`reviews.shop`)"),
            Parameter("status", "with this status, or of this class: `503`, `5xx`, `0` without an answer"),
            Parameter("path", "for paths that begin like this"),
            Parameter("failed", "`1`: those that failed"),
            EVERYWHERE,
        ),
    ),
    Operation(
        "/changes", "changes", "The newest changes, and how long they took to all workers.", (list[ChangeAnswer],)
    ),
    Operation(
        "/rollback",
        "rollback",
        "The objects as they were before a change, to be applied again; one of the parameters is needed.",
        (list[RestoredAnswer],),
        (
            Parameter("version", "what this version of the tables changed", "integer"),
            Parameter("object", "the last change of one object, `KIND/NAMESPACE/NAME`, or `KIND/NAME`"),
        ),
    ),
    Operation(
        "/explain",
        "explain",
        "What becomes of a request, with every rule that was tried: as `nodemesh explain`.",
        (),
        (
            Parameter("url", "what is dialled, for instance `http://reviews:9080/`", required=True),
            Parameter("method", "GET, if it is left out"),
            Parameter("header", "`name:value`", repeated=True),
            AS,
            Parameter("gateway", "labels of a gateway workload, `k=v,…`"),
            Parameter("sni", "the server name, if it is another than the URL's"),
        ),
    ),
    Operation(
        "/shadow",
        "shadow",
        "The candidate beside the live configuration, and which requests it would have answered otherwise.",
        (ShadowReport,),
        (Parameter("explain", "`1`: with what explain says of a sample of each, on both sides"),),
    ),
    Operation("/config/problems", "problems", "All findings in the configuration.", (list[ProblemAnswer],)),
    Operation(
        "/snapshot",
        "snapshot",
        "All that the configuration says, in msgpack, for `nodemesh diff agent NEW`; Secrets are no part of it.",
        media="application/msgpack",
    ),
)
