"""What was counted in the last quarter of an hour, in slots of some seconds: rates, and pictures of a moment ago."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from .dump import Dump
from .histogram import BOUNDS
from .labels import HTTP_LABELS, TCP_LABELS

#: Seconds of a slot, and how many are kept.
SLOT = 5.0
SLOTS = 180

#: Edges in all slots together that are kept, each some 500 bytes: a big mesh has a shorter history.
CELLS = 60_000

#: Services of which it is known when their rules changed last.
RENEWED = 10_000

_SOURCE_NAMESPACE, _SOURCE = TCP_LABELS.index("source_workload_namespace"), TCP_LABELS.index("source_workload")
_HOST, _SERVICE = TCP_LABELS.index("destination_service"), TCP_LABELS.index("destination_service_name")
_NAMESPACE = TCP_LABELS.index("destination_service_namespace")
_WORKLOAD, _VERSION = TCP_LABELS.index("destination_workload"), TCP_LABELS.index("destination_version")
_PROTOCOL, _FLAGS = TCP_LABELS.index("request_protocol"), TCP_LABELS.index("response_flags")
_CODE, _GRPC = HTTP_LABELS.index("response_code"), HTTP_LABELS.index("grpc_response_status")

#: gRPC's statuses that are no failure of the server's: OK.
_GRPC_FINE = ("", "0")


class Way(NamedTuple):
    """From a client's workload to the workload behind a service that answered; `unknown` where none did."""

    namespace: str
    workload: str
    host: str
    service: str
    service_namespace: str
    answered: str
    version: str
    protocol: str


class FlowCounts:
    """What went that way. Of TCP a request is a connection. `seconds` it took; 0.0 is the whole time that was asked
    for."""

    __slots__ = ("seconds", "requests", "errors", "sent", "received", "duration", "codes")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.requests = 0
        self.errors = 0
        self.sent = 0.0
        self.received = 0.0
        self.duration = [0] * (len(BOUNDS) + 1)
        self.codes: Counter[tuple[str, str]] = Counter()  # by code and flags

    def add(self, other: FlowCounts) -> None:
        self.seconds = max(self.seconds, other.seconds)
        self.requests += other.requests
        self.errors += other.errors
        self.sent += other.sent
        self.received += other.received
        self.duration = [one + another for one, another in zip(self.duration, other.duration, strict=True)]
        self.codes.update(other.codes)


Flows = dict[Way, FlowCounts]


class History:
    """Times are seconds since the epoch.

    A sum of requests by two rules would be a picture of neither: a canary of half a minute ago, a mirror's copies as
    a version's share. So what a caller sent to a service counts from when the service's rules changed last, as soon as
    something was counted since."""

    __slots__ = ("_cells", "_slots", "_renewed")

    def __init__(self) -> None:
        self._slots: deque[tuple[float, Flows]] = deque()  # when each begins
        self._cells = 0
        self._renewed: dict[str, float] = {}  # by host, when other rules came in force, the oldest first

    def add(self, dump: Dump, now: float) -> None:
        """Take what was counted until now."""
        if not dump.http and not dump.tcp:
            return
        flows = self._slot(now)
        before = len(flows)
        for counts in dump.http:
            labels = counts.labels
            flow = _flow(flows, labels)
            code, grpc = labels[_CODE], labels[_GRPC]
            flow.requests += counts.requests
            if code[0] in "05" or grpc not in _GRPC_FINE:
                flow.errors += counts.requests
            flow.sent += counts.response_bytes[1]
            flow.received += counts.request_bytes[1]
            flow.duration = [one + other for one, other in zip(flow.duration, counts.duration[0], strict=True)]
            flow.codes[code if not grpc else f"grpc {grpc}", labels[_FLAGS]] += counts.requests
        for tcp in dump.tcp:
            flow = _flow(flows, tcp.labels)
            flow.requests += tcp.opened
            flow.errors += tcp.opened if tcp.labels[_FLAGS] != "-" else 0
            flow.sent += tcp.sent
            flow.received += tcp.received
            if tcp.opened:
                flow.codes["", tcp.labels[_FLAGS]] += tcp.opened
        self._cells += len(flows) - before
        while len(self._slots) > 1 and (self._cells > CELLS or len(self._slots) > SLOTS):
            self._cells -= len(self._slots.popleft()[1])

    def renew(self, hosts: Iterable[str], now: float) -> None:
        """Other rules are in force for these hosts, and all is counted that went by the old ones. What stands in the
        present slot of them belongs to the one before."""
        hosts = set(hosts)
        for host in hosts:
            self._renewed.pop(host, None)
            self._renewed[host] = now
        while len(self._renewed) > RENEWED:
            del self._renewed[next(iter(self._renewed))]
        begins = now - now % SLOT
        if not self._slots or self._slots[-1][0] < begins:
            return
        flows = self._slots[-1][1]
        old = [way for way in flows if way.host in hosts]
        if not old:
            return
        if len(self._slots) < 2:
            self._slots.appendleft((begins - SLOT, {}))
        before = self._slots[-2][1]
        for way in old:
            flow = flows.pop(way)
            known = before.setdefault(way, flow)
            if known is not flow:
                known.add(flow)
                self._cells -= 1

    def renewed_after(self, moment: float) -> set[str]:
        """Hosts that had other rules then."""
        return {host for host, changed in self._renewed.items() if changed > moment}

    @property
    def since(self) -> float:
        """When the oldest slot begins; 0 where nothing was counted yet."""
        return self._slots[0][0] if self._slots else 0.0

    def covered(self, start: float, end: float, now: float) -> float:
        """How many seconds the slots that begin in that time stand for: the last one may not have ended."""
        first = max(ceil(start / SLOT) * SLOT, self.since)
        return max(min(ceil(end / SLOT) * SLOT, now) - first, 1.0)

    def between(self, start: float, end: float) -> Flows:
        """The sum of the slots that begin in that time, for each caller of a service by the rules of the end of it."""
        found: Flows = {}
        by_new: set[tuple[str, str, str]] = set()  # callers and hosts with something counted since the rules changed
        for begins, flows in reversed(self._slots):
            if not start <= begins < end:
                continue
            for way, flow in flows.items():
                changed, ends = self._renewed.get(way.host, 0.0), (way.namespace, way.workload, way.host)
                if start < changed < end:
                    if changed < begins + SLOT:
                        by_new.add(ends)
                    elif ends in by_new:
                        continue
                known = found.get(way)
                if known is None:
                    known = found[way] = FlowCounts()
                known.add(flow)
                if ends in by_new:
                    known.seconds = max(end - changed, 1.0)
        return found

    def _slot(self, now: float) -> Flows:
        begins = now - now % SLOT
        if not self._slots or self._slots[-1][0] < begins:
            self._slots.append((begins, {}))
        return self._slots[-1][1]


def _flow(flows: Flows, labels: tuple[str, ...]) -> FlowCounts:
    way = Way(
        labels[_SOURCE_NAMESPACE],
        labels[_SOURCE],
        labels[_HOST],
        labels[_SERVICE],
        labels[_NAMESPACE],
        labels[_WORKLOAD],
        labels[_VERSION],
        labels[_PROTOCOL],
    )
    flow = flows.get(way)
    if flow is None:
        flow = flows[way] = FlowCounts()
    return flow
