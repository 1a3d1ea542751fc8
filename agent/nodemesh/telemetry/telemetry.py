"""A worker's telemetry: counts each request under its labels, keeps the last ones, and hands all over on request."""

from __future__ import annotations

import msgspec
from mypy_extensions import mypyc_attr

from .access_log import AccessLog
from .decisions import Decisions
from .dump import Dump, HttpCounts, TcpCounts
from .labels import ANONYMOUS_CLUSTERS, UNKNOWN, common_labels, http_labels
from .names import Names
from .record import ConnectionRecord, RequestRecord
from .series import HttpSeries, TcpSeries

#: Label tuples found before are looked up by what they were made from; beyond this many the index starts anew.
CACHE_LIMIT = 20_000

#: Records that are accounted for together: the code and the tables that this takes are at hand from the second one on,
#: which makes it twice as fast as one by one between all else.
BATCH = 64

#: Hosts that no service of the registry answers for come from clients: only so many get series of their own.
FOREIGN_HOST_LIMIT = 500


@mypyc_attr(allow_interpreted_subclasses=True)
class Telemetry:
    """What the proxy tells of its work. A record costs a dictionary look-up and three bisections once the labels of a
    (client, cluster, endpoint, status, reasons) have been made, and a line of the log if there is one."""

    __slots__ = (
        "log", "_ended", "_decisions", "_http", "_tcp", "_http_cache", "_tcp_cache", "_held", "_foreign", "names",
    )  # fmt: skip

    def __init__(self, log: AccessLog | None = None, decisions: Decisions | None = None) -> None:
        self.log = log
        self._ended: list[ConnectionRecord] = []  # not accounted for yet
        self._decisions = decisions if decisions is not None else Decisions()
        self._http: dict[tuple[str, ...], HttpSeries] = {}
        self._tcp: dict[tuple[str, ...], TcpSeries] = {}
        self._http_cache: dict[tuple[object, ...], HttpSeries] = {}
        self._tcp_cache: dict[tuple[object, ...], TcpSeries] = {}
        self._held: list[object] = []  # clients and clusters whose id() the caches know: kept, so no id comes again
        self._foreign: set[str] = set()
        self.names = Names()

    def record(self, record: ConnectionRecord) -> None:
        """Take a request or a TCP connection that has ended; the record is ours from now on."""
        self._ended.append(record)
        if len(self._ended) >= BATCH:
            self.account()

    def account(self) -> None:
        """Count and log what has ended."""
        ended, self._ended = self._ended, []
        for record in ended:
            if isinstance(record, RequestRecord):
                self._count_request(record)
            else:
                series = record.series
                if series is None or record.reasons:  # flags are labels, too
                    series = self._tcp_series(record)
                series.closed += 1
                series.sent += record.bytes_sent
                series.received += record.bytes_received
        self._decisions.extend(ended)
        if ended and self.log is not None:
            self.log.add(ended)

    def flush(self) -> None:
        """Account for what has ended, and write what the log's reader takes now; called a few times a second."""
        self.account()
        if self.log is not None:
            self.log.flush()

    def opened(self, record: ConnectionRecord) -> None:
        """Count a TCP connection that has reached its upstream, or has failed to; once, however often told."""
        if record.series is None:
            series = record.series = self._tcp_series(record)
            series.opened += 1

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
        """Everything counted so far, as msgpack of `Dump`."""
        self.account()
        http = [
            HttpCounts(
                labels,
                series.requests,
                (series.duration.counts, series.duration.sum),
                (series.request_bytes.counts, series.request_bytes.sum),
                (series.response_bytes.counts, series.response_bytes.sum),
            )
            for labels, series in self._http.items()
        ]
        tcp = [
            TcpCounts(labels, series.opened, series.closed, series.sent, series.received)
            for labels, series in self._tcp.items()
        ]
        lost = self.log.lost if self.log is not None else 0
        dump = Dump(http=http, tcp=tcp, decisions=self._decisions.dump(), log_lines_lost=lost, names=self.names)
        return msgspec.msgpack.encode(dump)

    def _count_request(self, record: RequestRecord) -> None:
        cluster = record.cluster
        foreign = cluster is None or cluster.name in ANONYMOUS_CLUSTERS
        key = (
            id(record.client),
            id(cluster),
            record.upstream_host,
            record.status,
            record.reasons,
            record.grpc_status,
            record.authority if foreign else b"",
        )
        series = self._http_cache.get(key)
        if series is None:
            labels = http_labels(record, self._foreign_host(record.authority) if foreign else "")
            series = self._http.setdefault(labels, HttpSeries())
            self._http_cache[key] = series
            self._hold(record)
        series.requests += 1
        series.duration.add(record.duration * 1000.0)
        series.request_bytes.add(record.bytes_received)
        series.response_bytes.add(record.bytes_sent)

    def _tcp_series(self, record: ConnectionRecord) -> TcpSeries:
        cluster = record.cluster
        key = (id(record.client), id(cluster), record.upstream_host, record.reasons, record.authority)
        series = self._tcp_cache.get(key)
        if series is None:
            foreign = cluster is None or cluster.name in ANONYMOUS_CLUSTERS
            labels = common_labels(record, self._foreign_host(record.authority) if foreign else "", "tcp")
            series = self._tcp.setdefault(labels, TcpSeries())
            self._tcp_cache[key] = series
            self._hold(record)
        return series

    def _hold(self, record: ConnectionRecord) -> None:
        """Called after an entry was made: keep what its key's ids stand for, and bound the index."""
        self._held.append(record.client)
        self._held.append(record.cluster)
        if len(self._held) > 2 * CACHE_LIMIT:
            self._http_cache.clear()
            self._tcp_cache.clear()
            self._held.clear()

    def _foreign_host(self, authority: bytes) -> str:
        host = authority.decode("latin-1").lower()
        if host not in self._foreign:
            if len(self._foreign) >= FOREIGN_HOST_LIMIT:
                return UNKNOWN
            self._foreign.add(host)
        return host
