"""A user's mesh in one process: made from their YAML, asked by `send`, with fake upstreams and a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.load import load_text
from ..config.meta import Object
from ..config.problems import Problem
from ..proxy.shadow import CandidateTap, Tally
from ..registry.overlay import overlay
from ..registry.snapshot import Snapshot
from ..registry.sources.directory import DirectorySource
from ..registry.store import Store
from ..routing.client import Client
from ..routing.compile import compile_beside, compile_tables
from ..routing.question import QuestionError, client_for
from ..routing.tables import Tables
from ..telemetry.record import ConnectionRecord, RequestRecord
from ..telemetry.telemetry import Telemetry
from .answer import HUNG, Answer, Answers, take_record
from .asking import RequestSpec, asked_of
from .caller import BytesCaller, SimCall, SimCaller
from .dialling import Dialler
from .invented import pods_for
from .places import MeshError, SimNetwork
from .tls import Simulated
from .upstream import Upstream
from .world import World

#: The clock stands this much (seconds) before a whole tick, so that a timer for 3 s takes 3 s and no tick more.
GRAIN = 5e-7

Config = str | Path | Tables

#: Seconds after which a client gives up.
PATIENCE = 3600.0


class Records(Telemetry):
    """The proxy's records, by the port of the client's end, and those of the copies that mirrors got."""

    __slots__ = ("newest", "copies")

    def __init__(self) -> None:
        super().__init__()
        self.newest: dict[int, ConnectionRecord] = {}
        self.copies: dict[int, list[ConnectionRecord]] = {}

    def record(self, record: ConnectionRecord) -> None:
        port = int(record.downstream_remote.rpartition(":")[2] or 0)
        if isinstance(record, RequestRecord) and record.is_copy:
            self.copies.setdefault(port, []).append(record)
        else:
            self.newest[port] = record


class Mesh:
    """`config` are files and folders of YAML, or YAML itself, or tables that were made of some. The same seed gives the
    same draws. Raises MeshError where an object is refused."""

    def __init__(self, *config: Config, seed: int = 1) -> None:
        self._records = Records()
        self.certificates = Simulated()
        self.places = SimNetwork(lambda: self.world.clock, self.certificates.server)
        self.world = World(Tables(), seed, self.places, self._records)
        self.world.proxy.shared.connector.certificates = self.certificates
        self.world.clock.now -= GRAIN
        self.tables = Tables()
        self._dialler = Dialler(self)
        self._clients: dict[tuple[Any, ...], Client] = {}
        self._under_way = 0
        self._resolved: dict[str, tuple[str, ...]] = {}
        self.configure(*config)

    # === what there is

    def configure(self, *config: Config) -> None:
        """Replace the configuration, as `kubectl apply` would; connections and upstreams stay."""
        given = next((each for each in config if isinstance(each, Tables)), None)
        self.tables = given or compile_tables(read([each for each in config if not isinstance(each, Tables)]))
        self._clients.clear()
        self._resolved = self.places.settle(self.tables)
        self.world.proxy.taps = ()
        self.world.configure(self.tables)
        self.world.proxy.set_addresses(self._resolved, self._resolved)

    def shadow(self, *candidate: Config) -> CandidateTap:
        """Lay a candidate over the configuration: until that is replaced, each request is decided about by both, and
        only the configuration acts. `counts()` says how many the candidate would answer otherwise, and how."""
        given = next((each for each in candidate if isinstance(each, Tables)), None)
        above = given.snapshot if given else read([each for each in candidate if not isinstance(each, Tables)])
        live = self.tables.snapshot
        if live is None or above is None:
            raise MeshError("a shadow needs YAML on both sides")
        tables = compile_beside(overlay(live, above), self.tables)
        shadow = CandidateTap(self.tables, tables, self._resolved, Tally(1, self.world.clock))
        self.world.proxy.tap((shadow,))
        return shadow

    def upstream(self, name: str, subset: str = "", *, namespace: str = "default") -> Upstream:
        """The fake pods behind a service (`reviews`, `reviews.prod`), those of a subset, one pod, or a host outside. At
        first all of them answer 200 with their name. Raises MeshError."""
        return self.places.find(name, subset, namespace)

    def resolve(self, host: str) -> str:
        """The address of a host outside."""
        if host not in self._resolved:
            self._resolved[host] = (self.places.outside(host).address,)
            self.world.proxy.set_addresses(self._resolved, self._resolved)
        return self._resolved[host][0]

    @property
    def now(self) -> float:
        """The virtual clock, in seconds."""
        return self.world.clock.now

    # === requests

    def send(
        self,
        request: str,
        headers: Mapping[str, str] = {},
        body: bytes | str = b"",
        *,
        as_: str = "default",
        labels: Mapping[str, str] | None = None,
        gateway: Mapping[str, str] | None = None,
        http2: bool = False,
        sni: str = "",
        source: str = "",
        patience: float = PATIENCE,
    ) -> Answer:
        """Send `GET http://reviews:9080/path` and let the clock run until it is over, at most `patience` seconds.

        `as_` is who asks, `namespace/pod` or a namespace; `labels` are those of a client that is no pod of the YAML.
        With `gateway` it comes from outside (from the address `source`) to the gateway workload with these labels.
        `https` and `tls` URLs are TLS with the URL's host, or `sni`, as server name; `tcp` sends the body as it is."""
        call = self.begin(
            request, headers, body, as_=as_, labels=labels, gateway=gateway, http2=http2, sni=sni, source=source
        )
        return self.finish(call, patience)

    def grpc(
        self,
        url: str,
        message: bytes = b"",
        headers: Mapping[str, str] = {},
        *,
        as_: str = "default",
        labels: Mapping[str, str] | None = None,
        gateway: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Answer:
        """Call a method of gRPC: `http://ratings:9080/package.Ratings/Get`, or without `http://`."""
        asked = asked_of("POST " + (url if "://" in url else f"http://{url}"), "")
        call = self._call(asked, headers, b"")
        call.frame(message)
        self._begin(call, asked, self._client(as_, labels, gateway), True, "")
        return self.finish(call, patience)

    def send_many(self, times: int, request: str, headers: Mapping[str, str] = {}, **options: Any) -> Answers:
        """Send a request so many times, one after the other; the options are those of `send`."""
        return Answers(self.send(request, headers, **options) for _ in range(times))

    def at_once(
        self, times: int, request: str, headers: Mapping[str, str] = {}, *, patience: float = PATIENCE, **options: Any
    ) -> Answers:
        """Send it so many times at the same moment, each on a connection of its own."""
        calls = [self.begin(request, headers, **options) for _ in range(times)]
        return Answers(self.finish(call, patience) for call in calls)

    def begin(
        self,
        request: str,
        headers: Mapping[str, str] = {},
        body: bytes | str = b"",
        *,
        as_: str = "default",
        labels: Mapping[str, str] | None = None,
        gateway: Mapping[str, str] | None = None,
        http2: bool = False,
        sni: str = "",
        source: str = "",
    ) -> SimCall:
        """Send a request and do not wait; `finish` does."""
        asked = asked_of(request, sni)
        call = self._call(asked, headers, body.encode() if isinstance(body, str) else body)
        self._begin(call, asked, self._client(as_, labels, gateway), http2, source)
        return call

    def finish(self, call: SimCall, patience: float = PATIENCE) -> Answer:
        """Let the virtual clock run until the call is over."""
        end = call.began + patience
        while not call.done and self._step(end):
            pass
        caller = call.caller
        assert caller is not None
        if not call.done:
            call.end(self.now, HUNG)
            caller.leave()
        elif caller.peer.watcher is not None and self._dialler.is_used_once(caller):
            caller.peer.end()
        self.world.network.run()
        self._conclude(call, caller)
        return call.answer

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._step(end):
            pass
        self.world.clock.advance(end)
        self.world.network.run()

    def _call(self, asked: RequestSpec, headers: Mapping[str, str], body: bytes) -> SimCall:
        host, fields = asked.authority, []
        for name, value in headers.items():
            if name.lower() == "host":
                host = value.encode()
            else:
                fields.append((name.encode(), value.encode("latin-1")))
        call = SimCall(Answer(request=asked.text), asked.method, asked.wire_scheme, asked.target, host, fields)
        call.body = body
        return call

    def _begin(self, call: SimCall, asked: RequestSpec, client: Client, http2: bool, source: str) -> None:
        if not self._under_way:
            self.places.trail.clear()
        self._under_way += 1
        call.before = len(self.places.trail)
        self._dialler.caller(asked, client, http2, source, call).begin(call)
        self.world.network.run()

    def _step(self, end: float) -> bool:
        """Let happen what is due next; False where nothing is until `end`."""
        clock, network = self.world.clock, self.world.network
        network.run()
        wait = clock.wait()
        due = None if wait is None else round((clock.now + wait) * 1000) / 1000 - GRAIN
        if due is None or due > end:
            return False
        clock.advance(max(due, clock.now))
        network.run()
        return True

    def _conclude(self, call: SimCall, caller: SimCaller) -> None:
        """What the proxy and the upstreams say about it."""
        self._under_way -= 1
        answer = call.answer
        record = self._records.newest.pop(caller.port, None)
        seen = self.places.trail[call.before :]
        if record is not None:
            take_record(answer, record)
            answer.pod = self.places.name_at(answer.address)
            if isinstance(record, RequestRecord) and record.request_id:
                identity = record.request_id.decode("latin-1")
                seen = [each for each in seen if each.headers.get("x-request-id") == identity]
        answer.seen = tuple(seen)
        copies = self._records.copies.pop(caller.port, ())
        answer.copies = tuple(self.places.name_at(copy.upstream_host) for copy in copies)
        if isinstance(caller, BytesCaller) and not answer.error:
            answer.error = "" if answer.body else HUNG

    def _client(self, as_: str, labels: Mapping[str, str] | None, gateway: Mapping[str, str] | None) -> Client:
        key = (as_, *(tuple(sorted(each.items())) if each is not None else None for each in (labels, gateway)))
        found = self._clients.get(key)
        if found is None:
            found = self._clients[key] = self._find_client(as_, labels, gateway)
        return found

    def _find_client(self, who: str, labels: Mapping[str, str] | None, gateway: Mapping[str, str] | None) -> Client:
        namespace, _, name = who.partition("/")
        if labels is not None:
            return Client(namespace=namespace or "default", name=name, labels=dict(labels))
        try:
            return client_for(self.tables, self._pod_named(who), gateway_labels=dict(gateway) if gateway else None)
        except QuestionError as error:
            raise MeshError(f"{error}; give `labels` for a client that is not in the YAML") from None

    def _pod_named(self, who: str) -> str:
        """A pod by its name, its Deployment's, or its label `app`."""
        namespace, _, name = who.partition("/")
        workloads = self.tables.snapshot.workloads if self.tables.snapshot is not None else {}
        if not name or who in workloads:
            return who
        for key, workload in sorted(workloads.items()):
            if workload.namespace == namespace and name in (workload.owner, workload.labels.get("app")):
                return key
        return who


def read(config: Sequence[str | Path]) -> Snapshot:
    """The snapshot of files, folders and texts, with pods where there are none. Raises MeshError."""
    texts = [each for each in config if isinstance(each, str) and "\n" in each]
    paths = [each for each in config if each not in texts]
    problems: list[Problem] = []
    objects: list[Object[Any]] = []
    changes = DirectorySource(paths).scan()
    if changes is not None:
        objects += changes.changed.values()
        problems += changes.problems
    for number, text in enumerate(texts, 1):
        loaded = load_text(text, "text" if len(texts) == 1 else f"text {number}")
        objects += loaded.objects
        problems += loaded.problems
    refused = [problem for problem in problems if problem.refused]
    if refused:
        raise MeshError("\n".join(f"{problem.location}: {problem.message}" for problem in refused))
    store = Store()
    snapshot = store.apply("files", objects, (), problems)
    made = pods_for(objects, snapshot)
    return store.apply("simulator", made) if made else snapshot
