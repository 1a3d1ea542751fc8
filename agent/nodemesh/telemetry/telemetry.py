"""A worker's telemetry: counts each request under its labels, keeps the last ones, and hands all over on request."""

from __future__ import annotations

import sys
from typing import Final

import msgspec
from mypy_extensions import mypyc_attr

from ..reasons import Reason
from ..routing.client import Client
from ..routing.observation import TraceRule, observes
from ..routing.tables import Tables
from .access_log import AccessLog
from .bounds import Bounds
from .bypass import Bypasses
from .canaries import Canaries, Count
from .decisions import Decisions
from .dump import Dump, Numbered
from .labels import ANONYMOUS_CLUSTERS, UNKNOWN, common_labels, http_labels, message_labels
from .names import Names
from .observer import HTTP, MESSAGES, TCP, Observer
from .operators import ShownFields
from .overrides import STANDARD
from .record import ConnectionRecord, RequestRecord
from .series import HttpSeries, MessageSeries, TcpSeries
from .shares import Shares
from .span import spans_of
from .sweep import Sweep
from .trace import Trace

#: Label tuples found before are looked up by what they were made from; beyond this many the index starts over.
CACHE_LIMIT = 20_000

#: Characters of a series' first label from which on its entry counts as several.
SHORT: Final = 256

#: Records that are accounted for together: the code and the tables that this takes are at hand from the second one on,
#: which makes it twice as fast as one by one between all else.
BATCH: Final = 64

#: Hosts that no service of the registry answers for come from clients: only so many get series of their own.
FOREIGN_HOST_LIMIT: Final = 500

#: Longer ones are no host's name (RFC 1035 section 2.3.4) and get none.
FOREIGN_HOST_LONGEST: Final = 255 + len(":65535")

#: Looks at series for one dump, of which those with something new count as several: some 2 ms, in which all
#: requests wait.
LOOKS: Final = 2048

#: Dumps that wait for control to keep them; it asks no faster than it keeps them, unless it is in trouble.
DUMPS_KEPT: Final = 128

#: Spans of one dump; what comes beyond is lost, and counted.
SPANS = 1024

#: The greatest status that HTTP has (RFC 9110 section 15), and gRPC (its `Status` codes). What an upstream says beyond
#: is counted as unknown: 0 there, UNKNOWN here.
HTTP_LEAST: Final = 100
HTTP_GREATEST: Final = 599
GRPC_GREATEST: Final = 16
GRPC_UNKNOWN: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class Telemetry:
    """What the proxy tells of its work. A record costs a dictionary look-up and three comparisons once the labels of a
    (client, cluster, endpoint, status, reasons) have been made, and a line of the log if there is one."""

    __slots__ = (
        "log", "wanted", "names", "bypasses", "_ended", "_decisions", "_http", "_tcp", "_http_cache", "_tcp_cache",
        "_held", "_foreign", "_bounds", "_names_told", "_number", "_waiting",
        "logs", "observer", "_spans", "_spans_lost", "_reasons", "_retries", "open", "lag", "_messages",
        "_message_cache", "_cached", "_sweep", "_canaries", "_canary_counts",
    )  # fmt: skip

    def __init__(self, log: AccessLog | None = None, decisions: Decisions | None = None) -> None:
        self.log = log
        self.logs: dict[str, AccessLog] = {}  # by their providers, the mesh's own under an empty name
        self._canaries: Canaries | None = None  # of staged rollouts, while there are any
        self._canary_counts: dict[str, Count] = {}  # of rollouts before
        self.observer: Observer | None = None  # what is said of the clients' telemetry, where anything is
        self.wanted: ShownFields | None = None  # fields that records are to hold for the log
        self._spans = Shares(SPANS)
        self._spans_lost = 0
        self._ended: list[ConnectionRecord] = []  # not accounted for yet
        self._decisions = decisions if decisions is not None else Decisions()
        self._http: dict[tuple[str, ...], HttpSeries] = {}
        self._tcp: dict[tuple[str, ...], TcpSeries] = {}
        self._messages: dict[tuple[str, ...], MessageSeries] = {}
        self._sweep = Sweep(self._http, self._tcp, self._messages)
        self._message_cache: dict[tuple[object, ...], MessageSeries] = {}
        self._http_cache: dict[tuple[object, ...], HttpSeries] = {}
        self._tcp_cache: dict[tuple[object, ...], TcpSeries] = {}
        self._held: list[object] = []  # clients, clusters and services whose id() the caches know
        self._cached = 0  # entries of the caches; long ones are several
        self._foreign: set[str] = set()
        self.names = Names()
        self.bypasses = Bypasses()
        self._names_told = Names()
        self._bounds = Bounds()
        self._number = 0  # of the last dump
        self._reasons: dict[int, int] = {}
        self._retries = 0
        self.open = 0  # connections of clients; who dumps keeps it
        self.lag = 0.0  # seconds that the loop was late at the worst since the last dump; whose loop it is keeps it
        self._waiting: list[Numbered] = []  # dumps that control may not have

    def record(self, record: ConnectionRecord) -> None:
        """Take a request or a TCP connection that has ended; the record is ours from now on."""
        self._ended.append(record)
        if len(self._ended) >= BATCH:
            self.account()

    def count(self, record: RequestRecord) -> None:
        """Take a request of our own that has ended: it is counted, and stands in no log."""
        series = self._http_series(record)
        series.ended.append(record)
        series.count()

    def account(self) -> None:
        """Count and log what has ended."""
        ended, self._ended = self._ended, []
        touched: list[HttpSeries] = []
        for record in ended:
            for reason in record.reasons:
                self._reasons[reason] = self._reasons.get(reason, 0) + 1
            if isinstance(record, RequestRecord):
                if record.attempts > 1:
                    self._retries += record.attempts - 1
                if record.trace is not None and record.trace.sampled:
                    self._trace(record, record.trace)
                requests = self._http_series(record)
                if not requests.ended:
                    touched.append(requests)
                requests.ended.append(record)
            else:
                series = self._tcp_series(record)  # not the one of its opening: flags are labels, too
                series.closed += 1
                series.sent += record.bytes_sent - record.counted_sent
                series.received += record.bytes_received - record.counted_received
        for requests in touched:
            requests.count()
        if self.observer is not None:
            self.observer.log(ended)
        elif ended and self.log is not None:
            self.log.add(ended)
        if self._canaries is not None:
            self._canaries.add(ended)
        self._decisions.extend(ended)

    def flush(self) -> None:
        """Account for what has ended, and write what the log's reader takes now; called a few times a second."""
        self.account()
        for log in self._all_logs():
            log.flush()

    def see(self, tables: Tables) -> None:
        """Log and count by what these tables say of it from now on."""
        self.account()
        self._canary_counts = self._counted_canaries()
        self._canaries = Canaries(tables.rollouts) if tables.rollouts else None
        self.observer = Observer(tables, self.logs) if observes(tables) else None
        self._clear()

    def _counted_canaries(self) -> dict[str, Count]:
        """What was counted since the last dump; the present rollouts count anew from here."""
        canaries, found = self._canaries, dict(self._canary_counts)
        if canaries is not None:
            for name, (requests, failures) in canaries.counts.items():
                before = found.get(name, (0, 0))
                found[name] = (before[0] + requests, before[1] + failures)
            canaries.counts = {}
        return found

    def tracing(self, client: Client) -> TraceRule | None:
        """How a client's requests are traced, None: not at all."""
        observer = self.observer
        return None if observer is None else observer.of(client.namespace, client.labels).tracing

    def _trace(self, record: RequestRecord, trace: Trace) -> None:
        """Have a request's spans exported, if that is wanted."""
        if not trace.rule.report or self.observer is None:
            return
        for span in spans_of(record, trace, self.observer.environment):
            if not self._spans.put(span):
                self._spans_lost += 1

    def _all_logs(self) -> list[AccessLog]:
        found = {id(log): log for log in self.logs.values()}
        if self.log is not None:
            found[id(self.log)] = self.log
        return list(found.values())

    def opened(self, record: ConnectionRecord) -> None:
        """Count a TCP connection that has reached its upstream, or has failed to; once, however often told."""
        if not record.opened:
            record.opened = True
            self._tcp_series(record).opened += 1

    def progressed(self, record: ConnectionRecord, received: int, sent: int) -> None:
        """Count the bytes that a TCP connection, which goes on, has had in all so far."""
        if record.opened and (received > record.counted_received or sent > record.counted_sent):
            series = self._tcp_series(record)
            series.received += received - record.counted_received
            series.sent += sent - record.counted_sent
            record.counted_received, record.counted_sent = received, sent

    def add_messages(self, record: RequestRecord, requests: int, responses: int) -> None:
        """Count further messages of a gRPC call."""
        series = self._message_series(record)
        series.requests += requests
        series.responses += responses

    def add_connections(
        self, record: ConnectionRecord, *, opened: int = 0, closed: int = 0, sent: int = 0, received: int = 0
    ) -> None:
        """Count TCP connections that somebody else has counted already; the record only names them."""
        series = self._tcp_series(record)
        series.opened += opened
        series.closed += closed
        series.sent += sent
        series.received += received

    def dump(self) -> bytes:
        """What was counted since the last dump, as msgpack of `Dump`."""
        return msgspec.msgpack.encode(self._take(sys.maxsize))

    def dumps(self, kept: int, heard: int = 0) -> bytes:
        """All dumps that control does not have yet, as msgpack of a list of `Numbered`: up to number `heard` it has
        them, up to `kept` for good. One that says `more` stands for a part of the series."""
        self._number = max(self._number, kept)
        self._waiting = [each for each in self._waiting if each.number > kept]
        if len(self._waiting) < DUMPS_KEPT:
            self._number += 1
            self._waiting.append(Numbered(self._number, msgspec.Raw(msgspec.msgpack.encode(self._take(LOOKS)))))
        return msgspec.msgpack.encode([each for each in self._waiting if each.number > heard])

    def _take(self, looks: int) -> Dump:
        self.account()
        lost = 0
        for log in self._all_logs():
            lost += log.lost
            log.lost = 0
        names, self._names_told = self.names - self._names_told, self.names + Names()
        http, tcp, messages = self._sweep.take(looks)
        self._forget()
        dump = Dump(
            http=http,
            tcp=tcp,
            messages=messages,
            spans=self._spans.take(SPANS),
            spans_lost=self._spans_lost,
            decisions=self._decisions.take(),
            log_lines_lost=lost,
            names=names,
            folded=self._bounds.folded,
            reasons=self._reasons,
            retries=self._retries,
            open=self.open,
            lag=self.lag,
            bypasses=self.bypasses.take(),
            canaries=self._counted_canaries(),
            more=self._sweep.more,
        )
        self._canary_counts = {}
        self._reasons, self._retries, self.lag = {}, 0, 0.0
        self._spans_lost = 0
        self._bounds.folded = 0
        return dump

    def _forget(self) -> None:
        """What was not counted under for long has no series any more."""
        for labels in self._sweep.idle:
            self._bounds.free(labels)
        if self._sweep.idle:
            self._sweep.idle.clear()
            self._clear()

    def _http_series(self, record: RequestRecord) -> HttpSeries:
        cluster = record.cluster
        foreign = cluster is None or cluster.name in ANONYMOUS_CLUSTERS
        named = cluster is None and record.service is not None
        status, grpc_status = record.status, record.grpc_status
        if status < HTTP_LEAST or status > HTTP_GREATEST:
            status = 0
        if grpc_status > GRPC_GREATEST:
            grpc_status = GRPC_UNKNOWN
        observer = self.observer
        shape = STANDARD if observer is None else observer.override(record, HTTP).of(record)
        key = (
            id(record.client),
            id(cluster),
            record.upstream_host,
            status,
            record.reasons,
            grpc_status,
            b"" if not foreign or named or len(record.authority) > FOREIGN_HOST_LONGEST else record.authority,
            id(record.service) if named else 0,
            shape,
        )
        series = self._http_cache.get(key)
        if series is None:
            host = self._foreign_host(record.authority) if foreign and not named else ""
            labels = http_labels(record, host, status, grpc_status)
            if observer is not None:
                labels = observer.override(record, HTTP).applied(labels, shape)
            labels = self._bounds.place(labels, self._http)
            series = self._http.setdefault(labels, HttpSeries())
            self._http_cache[key] = series
            self._hold(record, shape)
        return series

    def _tcp_series(self, record: ConnectionRecord) -> TcpSeries:
        observer = self.observer
        shape = STANDARD if observer is None else observer.override(record, TCP).of(record)
        key = (*_key_of(record, record.reasons, shape), record.protocol)
        series = self._tcp_cache.get(key)
        if series is None:
            labels = common_labels(record, self._host_of(record), record.protocol.decode().lower())
            if observer is not None:
                labels = observer.override(record, TCP).applied(labels, shape)
            labels = self._bounds.place(labels, self._tcp)
            series = self._tcp.setdefault(labels, TcpSeries())
            self._tcp_cache[key] = series
            self._hold(record, shape)
        return series

    def _message_series(self, record: RequestRecord) -> MessageSeries:
        observer = self.observer
        shape = STANDARD if observer is None else observer.override(record, MESSAGES).of(record)
        key = _key_of(record, (), shape)
        series = self._message_cache.get(key)
        if series is None:
            labels = message_labels(record, self._host_of(record))
            if observer is not None:
                labels = observer.override(record, MESSAGES).applied(labels, shape)
            labels = self._bounds.place(labels, self._messages)
            series = self._messages.setdefault(labels, MessageSeries())
            self._message_cache[key] = series
            self._hold(record, shape)
        return series

    def _host_of(self, record: ConnectionRecord) -> str:
        """The host that was asked for, where no service of the registry answers for it."""
        cluster = record.cluster
        foreign = cluster is None or cluster.name in ANONYMOUS_CLUSTERS
        return self._foreign_host(record.authority) if foreign else ""

    def _hold(self, record: ConnectionRecord, shape: str) -> None:
        """Called after an entry was made: keep what its key's ids stand for, and bound the index. Where labels have
        values of expressions, keys are long, and each request may have another one."""
        self._held.append(record.client)
        self._held.append(record.cluster)
        self._held.append(record.service)
        self._cached += 1 + len(shape) // SHORT
        if self._cached > CACHE_LIMIT:
            self._clear()

    def _clear(self) -> None:
        self._http_cache.clear()
        self._tcp_cache.clear()
        self._message_cache.clear()
        self._held.clear()
        self._cached = 0

    def _foreign_host(self, authority: bytes) -> str:
        if len(authority) > FOREIGN_HOST_LONGEST:
            return UNKNOWN
        host = authority.decode("latin-1").lower()
        if host not in self._foreign:
            if len(self._foreign) >= FOREIGN_HOST_LIMIT:
                return UNKNOWN
            self._foreign.add(host)
        return host


def _key_of(record: ConnectionRecord, reasons: tuple[Reason, ...], shape: str) -> tuple[object, ...]:
    """What the labels of a connection, or of a call's messages, are made from."""
    return (
        id(record.client),
        id(record.cluster),
        id(record.service),
        record.upstream_host,
        reasons,
        shape,
        record.authority if len(record.authority) <= FOREIGN_HOST_LONGEST else b"",
    )
