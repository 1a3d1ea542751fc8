"""A candidate configuration beside the live one: each request is decided by both, and only the live one acts."""

from __future__ import annotations

from typing import Final

from ..bounded import NAMES, Bounded
from ..routing.client import Client
from ..routing.decision import Decision
from ..routing.diff.sides import Contraster, decide
from ..routing.diff.spots import Rules, http_rules
from ..routing.frontend import Frontend
from ..routing.heads import TCP, TLS, decide_connection, gateway_place, place_of
from ..routing.match import VirtualHost
from ..routing.request import Request
from ..routing.tables import Tables
from ..routing.view import View
from ..routing.views import Views
from ..telemetry.disagreement import SAMPLES, Disagreement, ShadowCounts
from ..telemetry.redaction import Redaction, connection_head
from .clock import Clock
from .tap import ConnectionPlace, Onlooker, PodTap, Tap

#: Disagreements that are told apart. More are counted, and not told.
MOST: Final = 256

#: Characters of a sample's fields.
SAMPLE: Final = 4096

#: Pairs of decisions, and authorities, that are remembered for one place: the latter come from clients.
REMEMBERED = 4096


class Tally:
    """What was counted in one run of a shadow, whatever tables came and went meanwhile."""

    def __init__(self, run: int, clock: Clock) -> None:
        self.run = run
        self.clock = clock
        self.requests = 0
        self.folded = 0
        self.failed = 0
        self.error = ""
        self.redaction = Redaction(frozenset(), SAMPLE)
        self._known: dict[tuple[object, ...], Disagreement] = {}

    def place(self, found: Disagreement) -> Disagreement | None:
        """Where a disagreement is counted; None: there is no room for one more."""
        key = found.contrast.key
        known = self._known.get(key)
        if known is None and len(self._known) < MOST:
            known = self._known[key] = found
        return known

    def fail(self, error: Exception) -> None:
        """The candidate has no answer: no trouble of the request's."""
        self.failed += 1
        self.error = self.error or f"{type(error).__name__}: {error}"[:SAMPLE]

    def counts(self, version: int) -> ShadowCounts:
        return ShadowCounts(
            run=self.run,
            version=version,
            requests=self.requests,
            disagreements=list(self._known.values()),
            folded=self.folded,
            failed=self.failed,
            error=self.error,
        )


class DecisionPair:
    """Two decisions that were made about one request, held since they are known by their ids. They agree where
    `disagreement` is None, unless there was no room for it (`folded`)."""

    __slots__ = ("old", "new", "disagreement", "folded")

    def __init__(self, old: Decision, new: Decision | None) -> None:
        self.old = old
        self.new = new
        self.disagreement: Disagreement | None = None
        self.folded = False


class PlaceShadow(Onlooker):
    """The candidate's rules for one place, as one pod sees them."""

    def __init__(
        self,
        tally: Tally,
        contraster: Contraster,
        client: Client,
        rules: Rules,
        host: str,
        port: int,
        frontend: Frontend | None,
        scheme: str = "",
    ) -> None:
        """`scheme` where it is about connections without HTTP."""
        self._tally = tally
        self._contraster = contraster
        self._client = client
        self._rules = rules
        self._host = host
        self._port = port
        self._scheme = scheme
        service = frontend.service if frontend is not None else None
        self._service = service.host if service is not None else ""
        self._home = service.namespace if service is not None else ""
        self._known: Bounded[tuple[int, int], DecisionPair] = Bounded(REMEMBERED)

    def decided(self, request: Request, decision: Decision) -> None:
        try:
            self.compare(request, decision, decide(self._rules, request), "")
        except Exception as error:
            self._tally.fail(error)

    def compare(self, request: Request | None, old: Decision, new: Decision | None, name: str) -> None:
        """Count a request (None: a connection without any) that both sides have decided about; `name` is the server
        name of TLS."""
        tally = self._tally
        tally.requests += 1
        if new is old:
            return
        pair = self._known.found.get((id(old), id(new)))
        if pair is None:
            pair = self._pair(old, new)
        found = pair.disagreement
        if found is not None:
            count = found.count = found.count + 1
            if not count & (count - 1):  # the first, the second, the fourth …: rare ones and frequent ones alike
                self._sample(found, request, name)
        elif pair.folded:
            tally.folded += 1

    def _pair(self, old: Decision, new: Decision | None) -> DecisionPair:
        pair = DecisionPair(old, new)
        place = place_of(self._service or self._host, self._port) if self._host else gateway_place(self._port)
        contrast = self._contraster.contrast(place, self._home, self._port, old, new)
        if contrast is not None:
            pair.disagreement = self._tally.place(Disagreement(contrast=contrast))
            pair.folded = pair.disagreement is None
        return self._known.keep((id(old), id(new)), pair)

    def _sample(self, found: Disagreement, request: Request | None, name: str) -> None:
        tally, now, at_gateway = self._tally, self._tally.clock.time(), not self._host
        if request is None:
            head = connection_head(
                self._client, now, self._host, self._service, self._port, name, self._scheme, at_gateway
            )
        else:
            head = tally.redaction.head(
                request, self._client, now, self._host, self._service, self._port, name, at_gateway
            )
        found.samples = [*found.samples, head][-SAMPLES:]


class PodShadow(PodTap):
    """The candidate's view of one pod's mesh."""

    def __init__(self, shadow: CandidateTap, client: Client, live: View, view: View) -> None:
        self._tally = shadow.tally
        self._contraster = shadow.contraster
        self._client = client
        self._live = live
        self._view = view
        self._places: Bounded[tuple[tuple[str, int], bytes], PlaceShadow | None] = Bounded(REMEMBERED, NAMES)
        self._gateways: dict[int, PlaceShadow] = {}
        self._connections: dict[tuple[str, int, bool], PlaceShadow] = {}

    def host(
        self, frontend: Frontend, dialled: tuple[str, int], authority: bytes, rules: VirtualHost
    ) -> Onlooker | None:
        key = (dialled, authority)
        if key in self._places.found:
            return self._places.found[key]
        try:
            return self._places.keep(key, self._find(frontend, dialled, authority, rules), len(authority))
        except Exception as error:
            self._tally.fail(error)
            return None

    def _find(
        self, frontend: Frontend, dialled: tuple[str, int], authority: bytes, rules: VirtualHost
    ) -> PlaceShadow | None:
        """None where the candidate has the very same rules."""
        seen = self._view.frontend(dialled[0], dialled[1])
        other = http_rules(self._view, seen, authority)
        if self._is_same(rules, other, frontend.logical_port):
            return None
        known = frontend if frontend.service is not None else seen
        return PlaceShadow(self._tally, self._contraster, self._client, other, dialled[0], frontend.logical_port, known)

    def _is_same(self, rules: VirtualHost, other: Rules, port: int) -> bool:
        """Whether no request can tell the two apart, as far as that is known without trying."""
        if other is rules or self._live.holds_in(self._view, rules, port):
            return True
        if rules.blocks or not isinstance(other, VirtualHost) or other.blocks:
            return False
        return self._contraster.contrast("", "", port, rules.otherwise, other.otherwise) is None

    def gateway(self, port: int, name: str, request: Request, decision: Decision) -> None:
        try:
            place = self._gateways.get(port)
            if place is None:
                place = PlaceShadow(self._tally, self._contraster, self._client, None, "", port, None)
                self._gateways[port] = place
            place.compare(request, decision, self._view.http_gateway(port, request, name), name)
        except Exception as error:
            self._tally.fail(error)

    def connection(self, frontend: Frontend | None, dialled: ConnectionPlace, name: str, decision: Decision) -> None:
        try:
            place, other = self._connect(frontend, dialled, name)
            if other is not decision:
                place.compare(None, decision, other, name)
        except Exception as error:
            self._tally.fail(error)

    def _connect(self, frontend: Frontend | None, dialled: ConnectionPlace, name: str) -> tuple[PlaceShadow, Decision]:
        """Where a connection counts, and what the candidate makes of it."""
        scheme = TLS if dialled.tls else TCP
        seen = self._view.frontend(dialled.address, dialled.port) if frontend is not None else None
        key = (dialled.address, dialled.port, dialled.tls)
        place = self._connections.get(key)
        if place is None:
            if len(self._connections) >= REMEMBERED:
                self._connections.clear()
            known = frontend if frontend is not None and frontend.service is not None else seen
            port = frontend.logical_port if frontend is not None else dialled.port
            place = self._connections[key] = PlaceShadow(
                self._tally, self._contraster, self._client, None, dialled.address, port, known, scheme
            )
        return place, decide_connection(self._view, seen, dialled.port, scheme, name, dialled.address)


class CandidateTap(Tap):
    """A candidate's tables beside the live ones, for all pods of a worker."""

    def __init__(self, live: Tables, candidate: Tables, resolved: dict[str, tuple[str, ...]], tally: Tally) -> None:
        """`resolved` are the addresses that hosts have in the DNS."""
        self.tally = tally
        self.version = live.version
        self.contraster = Contraster(live, candidate)
        self.views = Views(candidate)
        self.views.set_resolved(resolved)

    def of(self, client: Client, view: View) -> PodTap:
        return PodShadow(self, client, view, self.views.for_client(client, view))

    def resolved(self, addresses: dict[str, tuple[str, ...]]) -> None:
        self.views.set_resolved(addresses)

    def counts(self) -> ShadowCounts:
        return self.tally.counts(self.version)
