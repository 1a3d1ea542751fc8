"""Where a request goes: its destination, path and authority there, and the endpoint that it or its hash names."""

from __future__ import annotations

from random import Random

from ...balance.host import Host
from ...balance.weights import choose
from ...routing.decision import Retry, Route, WeightedCluster
from ...routing.rewrite import rewritten
from ...telemetry.record import RequestRecord
from ..clock import Clock
from .hash_key import HashKey
from .head import Edits, RequestHead, ResponseHead
from .headers import add
from .sticky import Sticky


class Composed:
    """What all requests with a placement say upstream: their edits, among which is the proxy's own identifier where
    they are `named` by that; and what their calls may do."""

    __slots__ = ("edits", "named", "timeout", "retry")

    def __init__(self, edits: Edits, named: bool, timeout: float, retry: Retry) -> None:
        self.edits = edits
        self.named = named
        self.timeout = timeout
        self.retry = retry


class Placement:
    """Drawn once, for all tries. `path` has the query with it; `key` is that of consistent hashing, `wanted` the
    endpoint of a session that was begun before (None: any will do). `announces`: there is something to `announce`.
    Requests that are the same may share one, which knows how they are `composed`."""

    __slots__ = ("destination", "path", "authority", "key", "wanted", "announces", "composed", "_sticky", "_cookie")

    def __init__(self, route: Route, head: RequestHead, record: RequestRecord, rng: Random, clock: Clock) -> None:
        self.key: int | None = None
        self.wanted: tuple[str, int] | None = None
        self._sticky: Sticky | None = None
        self._cookie = b""
        kept: WeightedCluster | None = None
        if route.session is not None:
            sticky = self._sticky = Sticky(route.session, head.headers, clock.time())
            kept = sticky.destination(route.destinations)
            self.wanted = sticky.wanted
        destinations = route.destinations
        if kept is None:
            kept = destinations[0] if len(destinations) == 1 else choose(destinations, route.total_weight, rng)
        destination = self.destination = kept
        self.path = record.path
        self.authority = head.authority
        rewrite = destination.rewrite or route.rewrite
        if rewrite is not None:
            changed = rewritten(rewrite, head.path)
            if changed != head.path:
                self.path = changed + b"?" + head.query if head.query else changed
            self.authority = rewrite.authority or self.authority
        if destination.authority and (rewrite is None or not rewrite.authority):
            self.authority = destination.authority
        cluster = destination.cluster
        if cluster is not None and cluster.load_balancer.hash is not None:
            found = HashKey(cluster.load_balancer.hash, head, record)
            self.key, self._cookie = found.value, found.cookie
        self.announces = bool(self._cookie) or self._sticky is not None
        self.composed: Composed | None = None

    def announce(self, head: ResponseHead, edits: Edits, host: Host | None) -> None:
        """Have the client bring what leads its next request to the same endpoint."""
        if self._cookie:
            add(head, edits, b"set-cookie", b"set-cookie: " + self._cookie)
        if self._sticky is not None and host is not None:
            told = self._sticky.told(host)
            if told is not None:
                add(head, edits, *told)


def place(route: Route, head: RequestHead, record: RequestRecord, rng: Random, clock: Clock) -> Placement:
    """Where a request goes: where the same ones have gone, unless something was drawn for these, or is of one alone."""
    memory = head.memory
    if memory is None or memory.decision is not route:
        return Placement(route, head, record, rng, clock)
    placement = memory.placement
    if not isinstance(placement, Placement):
        placement = Placement(route, head, record, rng, clock)
        if not placement.announces and placement.key is None and len(route.destinations) == 1:
            memory.placement = placement
    return placement
