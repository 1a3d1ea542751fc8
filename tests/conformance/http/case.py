"""What a case may say: a mesh, what its upstreams do, what the client sends, and what each side must see.

A file of this folder is a list of cases. The mesh that all start from has the services `reviews` (10.96.0.10:80, pods
v1, v2 and v3, a DestinationRule with a subset for each) and `ratings` (10.96.0.11:80, pod r1); each case gets it in a
namespace of its own. Text may have `$v1` for a pod's address, `$port` for the port that every pod listens on, `$ns`
for the namespace."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import yaml

HERE = Path(__file__).parent

#: A number, or the least and the most.
Range = int | tuple[int, int]


H1, H2 = "h1", "h2"


class Pair(NamedTuple):
    """Which HTTP the client speaks, and which the pods."""

    client: str
    upstream: str

    def __str__(self) -> str:
        return f"{self.client}-{self.upstream}"


PAIRS = tuple(Pair(client, upstream) for client in (H1, H2) for upstream in (H1, H2))


class Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Base of a case's parts."""


class Script(Part):
    """What a pod does with one request. Without `headers` of its own framing the body gets a content-length."""

    status: int = 200
    headers: tuple[str, ...] = ()
    body: str = ""
    delay: float = 0.0  # seconds before the answer
    hang: bool = False  # no answer as long as the case lasts
    interim: tuple[int, ...] = ()  # 1xx before the answer
    trailers: tuple[str, ...] = ()  # makes the body chunked
    close: bool = False  # a FIN in place of an answer
    reset: bool = False  # a RST in place of an answer
    raw: str = ""  # exactly these bytes in place of an answer, then a FIN
    cut: bool = False  # the connection is closed in the midst of the body
    leave: bool = False  # a FIN after the answer, of which the answer says nothing
    refuse: bool = False  # nobody listens there (for the whole case)
    echo: bool = False  # after the answer every byte comes back (upgrades)


class Pod(Part):
    """A pod of the mesh; its address is the case's own. `locality` is region/zone/subzone."""

    app: str = "reviews"
    labels: dict[str, str] = {}
    locality: str = ""
    ready: bool = True


class Who(Part):
    """The client's workload."""

    labels: dict[str, str] = msgspec.field(default_factory=lambda: {"app": "client"})
    namespace: str = ""
    locality: str = ""
    gateway: bool = False


class Seen(Part):
    """The last request that a pod got. A field of None must be absent, `*` may be anything, `/…/` is a pattern."""

    method: str = ""
    target: str = ""
    host: str = ""
    headers: dict[str, str | None] = {}
    body: str | None = None
    lines: tuple[str, ...] = ()  # exactly these field lines, among others


class Expect(Part):
    """What a step brings about."""

    status: int | dict[int, Range] = 200
    headers: dict[str, str | None] = {}  # as in Seen
    lines: tuple[str, ...] = ()  # these field lines of the response, among others
    body: str | None = None
    body_has: tuple[str, ...] = ()
    interim: tuple[int, ...] = ()
    trailers: dict[str, str] = {}
    pods: dict[str, Range] = {}  # how many requests each pod got in this step; one that is not named: any number
    connections: dict[str, Range] = {}  # how many connections each pod has accepted since the case began
    saw: dict[str, Seen] = {}
    log: dict[str, str | int | None] = {}  # of the request's line in the access log (JSON format)
    at_least: float = 0.0  # seconds until the answer
    closed: bool = False  # the proxy closes the connection afterwards, where one request does not share it with others
    broken: bool = False  # the answer breaks off
    same_pod: bool = False  # all requests of the step went to one pod
    tries: int = 0  # how many requests one pod got in this step, all the others none
    gaps: tuple[float, ...] = ()  # the most seconds between the tries that one pod saw


class Step(Part):
    """One request (or `count` of them, `parallel` at a time); on a connection of its own unless `via` names one.
    `raw` is sent as it is, `send` in good form."""

    send: str = "GET /"
    host: str = "reviews"
    headers: tuple[str, ...] = ()
    body: str = ""
    size: int = 0  # of a body of zeros
    chunks: tuple[str, ...] = ()  # the body, chunked
    trailers: tuple[str, ...] = ()  # after the chunks
    raw: str = ""
    then: str = ""  # sent after an upgrade, and expected back
    half_close: bool = False  # a FIN after the request
    hold: bool = False  # the answer is not waited for: the next step comes while a pod has the request
    leave: bool = False  # a RST when a pod has got the request
    count: int = 1
    parallel: int = 1
    via: str = ""
    port: int = 0  # that is dialled in place of the case's
    pause: float = 0.0  # seconds before this step
    http: list[dict[str, Any]] | None = None  # the rules change before this step
    expect: Expect = Expect()
    from_h2: dict[str, Any] = {}  # what is expected otherwise where the client speaks HTTP/2
    to_h2: dict[str, Any] = {}  # … where the pods do
    only_from_h1: str = ""  # why the step is no client's of HTTP/2
    only_to_h1: str = ""  # … and why only where the pods speak HTTP/1.1, or HTTP/2
    only_to_h2: str = ""

    def applies(self, pair: Pair) -> bool:
        if pair.client == H2 and self.only_from_h1:
            return False
        return not (self.only_to_h1 if pair.upstream == H2 else self.only_to_h2)


class Metric(Part, kw_only=True):
    """A sum over series of Istio's metrics with these labels."""

    labels: dict[str, str]
    requests: Range


class Case(Part, kw_only=True):
    """One mesh and the steps through it. `sentences` are the identifiers in sentences.yaml that it shows."""

    name: str
    sentences: tuple[str, ...]
    http: list[dict[str, Any]] = []  # the rules of a VirtualService for `reviews`
    traffic: dict[str, Any] = {}  # the trafficPolicy of the DestinationRule for `reviews`
    subsets: dict[str, dict[str, Any]] = {}  # trafficPolicy by subset
    mesh: dict[str, Any] = {}  # the MeshConfig's spec
    config: list[dict[str, Any]] = []  # further objects; one of the same kind and name replaces the mesh's own
    pods: dict[str, Pod] = {}  # in place of v1, v2 and v3
    client: Who = Who()
    address: str = "10.96.0.10"  # that the client dials
    port: int = 80
    upstreams: dict[str, Script | list[Script]] = {}  # by pod; of a list the last repeats
    steps: list[Step]
    metrics: list[Metric] = []
    pods_hear: Literal["", "h1", "client"] = ""  # which HTTP, where it is not the pair's
    only_from_h1: str = ""  # why no client of HTTP/2 can do this
    only_to_h1: str = ""  # why no pod of HTTP/2 can

    def applies(self, pair: Pair) -> bool:
        return not (pair.client == H2 and self.only_from_h1) and not (pair.upstream == H2 and self.only_to_h1)


@cache
def cases() -> dict[str, list[Case]]:
    """All cases by file."""
    found = {}
    for path in sorted(HERE.glob("*.yaml")):
        if path.stem != "sentences":
            found[path.stem] = msgspec.convert(yaml.safe_load(path.read_text()), list[Case])
    return found


def within(number: int, wanted: Range) -> bool:
    """Whether a count is as wanted."""
    least, most = (wanted, wanted) if isinstance(wanted, int) else wanted
    return least <= number <= most
