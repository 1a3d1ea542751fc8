"""Connections without HTTP: one decision, one endpoint, and a relay to it."""

from __future__ import annotations

from typing import Final

from ...balance.hashing import hash_key
from ...balance.host import Host
from ...balance.outlier import Outcome
from ...balance.weights import choose
from ...reasons import Reason
from ...registry.snapshot import HTTP_PROTOCOLS
from ...routing.decision import Cluster, Decision, Failure, Route
from ...telemetry.record import ConnectionRecord
from ..addresses import host_of
from ..clock import Timer
from ..layered import Lower
from ..pod import Pod
from ..target import Target
from ..transport import Handler, Transport
from .refusal import refuse
from .relay import Relay, RelayOwner
from .tunnel import TunnelTransport

#: Endpoints that are tried for one connection: as many as for a request, by default.
CONNECT_ATTEMPTS: Final = 3


#: An endpoint for a connection: its cluster's state, the host, and the key of consistent hashing.
Found = tuple[Target, Host, int | None]


def start_tcp(
    pod: Pod, transport: Transport, decision: Decision, dialled: tuple[str, int] | None, first: bytes, sni: str
) -> Relay | None:
    """Connect a client's TCP connection as decided; `first` is what it has said so far. None: it was closed."""
    record = begin(pod, transport, decision, sni)
    found = find(pod, record, decision, dialled)
    if found is None:
        refuse(pod, transport, record)
        pod.release()
        return None
    return TcpConnection(pod, found, record).open(transport, first)


def begin(pod: Pod, transport: Transport, decision: Decision, sni: str) -> ConnectionRecord:
    """What is known of a connection when it has been decided about."""
    record = ConnectionRecord(transport.peer.client)
    record.started = pod.shared.clock.time()
    record.downstream_remote = transport.remote
    record.downstream_local = transport.local
    record.route_name = decision.name
    record.rule = decision.rule
    record.sni = sni
    return record


def find(pod: Pod, record: ConnectionRecord, decision: Decision, dialled: tuple[str, int] | None) -> Found | None:
    """The endpoint for a connection, or a client's datagrams, with its place under the breaker taken; None where the
    record says why."""
    if isinstance(decision, Route):
        destination = choose(decision.destinations, decision.total_weight, pod.shared.rng)
        if destination.cluster is not None:
            return pick(pod, record, destination.cluster, dialled)
        record.reasons = (Reason.CLUSTER_NOT_FOUND,)
    elif isinstance(decision, Failure):
        record.reasons = (decision.reason,)
    return None


def pick(pod: Pod, record: ConnectionRecord, cluster: Cluster, dialled: tuple[str, int] | None) -> Found | None:
    """An endpoint of a cluster."""
    target = pod.shared.target(cluster)
    record.cluster = cluster
    key = None
    hashing = cluster.load_balancer.hash
    if hashing is not None and hashing.source_ip:
        key = hash_key(host_of(record.downstream_remote).encode())
    host = target.pick(key, [], False, dialled)
    if host is None:
        record.reasons = (Reason.NO_HEALTHY_UPSTREAM,)
    elif not target.admit():
        record.reasons = (Reason.UPSTREAM_OVERFLOW,)
    else:
        return target, host, key
    return None


class TcpConnection(RelayOwner):
    """Accounts of one relayed connection: breaker, load, outlier detection, metrics. Where an endpoint does not take
    the connection, others are tried: nothing has been said yet."""

    __slots__ = ("pod", "target", "host", "record", "_key", "_tried", "_timer")

    def __init__(self, pod: Pod, found: Found, record: ConnectionRecord) -> None:
        self.pod = pod
        self.target, host, self._key = found
        self.host: Host | None = host  # None: given up
        self.record = record
        self._tried: list[Host] = []
        self._timer: Timer | None = None  # of connecting, then of the whole

    def open(self, client: Transport, first: bytes) -> Relay:
        """Start connecting, and relay."""
        assert self.host is not None
        relay = Relay(self.pod, self.record, self.target.cluster.pool.tcp_idle_timeout, self)
        relay.client.take(client)
        relay.upstream.take(self._connect(self.host, relay))
        if first:
            relay.start(first, b"")
        return relay

    def _connect(self, host: Host, relay: Relay) -> Transport:
        host.begin()
        target = self.target
        name = target.server_name(b"") if target.cluster.tls is not None else ""
        cluster, record = target.cluster, self.record
        approach = cluster.approach(host.endpoint)
        tunnel = TunnelTransport(relay.upstream, cluster.tunnel) if cluster.tunnel is not None else None
        handler: Handler = relay.upstream if tunnel is None else Lower(tunnel)
        alpn = "http/1.1" if tunnel is not None or cluster.protocol in HTTP_PROTOCOLS else ""
        transport = target.connect(
            host, self.pod.outlet, handler, approach, name, alpn, record.downstream_remote, record.downstream_local
        )
        if tunnel is not None:
            tunnel.attach(transport)
            transport = tunnel
        if not transport.established:
            self._timer = self.pod.shared.clock.after(target.cluster.pool.connect_timeout, relay.connect_timed_out)
        self.record.upstream_host = transport.remote
        return transport

    def relay_established(self, relay: Relay) -> None:
        self._report(Outcome.COMPLETED)
        self.pod.shared.telemetry.opened(self.record)
        self._limit(relay)

    def relay_unconnected(self, relay: Relay, reason: Reason) -> Transport | None:
        if reason is Reason.LOCAL_CONNECTION_FAILURE:  # which the endpoint has no part in
            self._stop_timer()
        else:
            timed_out = reason is Reason.UPSTREAM_CONNECTION_TIMEOUT
            self._report(Outcome.TIMEOUT if timed_out else Outcome.CONNECT_FAILED)
        host = self.host
        if host is None:
            return None
        host.end()
        self.host = None
        self._tried.append(host)
        if len(self._tried) >= CONNECT_ATTEMPTS:
            return None
        tried = (
            self._tried if self._key is None else []
        )  # a hash decides for connections whatever became of earlier ones
        other = self.target.pick(self._key, tried, False, None)
        if other is None or other in self._tried:
            return None
        self.host = other
        return self._connect(other, relay)

    def relay_closed(self, relay: Relay) -> None:
        self._release()
        if not self.record.opened:
            self.pod.shared.telemetry.opened(self.record)

    def _report(self, outcome: Outcome) -> None:
        """Connecting has come to an end: tell outlier detection."""
        if self._timer is not None:
            self._stop_timer()
        if self.host is not None:
            self.target.group.report(self.host, 0, outcome)

    def _limit(self, relay: Relay) -> None:
        """No connection stands longer than its cluster says."""
        longest = self.target.cluster.pool.max_connection_duration
        if longest:
            self._timer = self.pod.shared.clock.after(longest, relay.outlived)

    def _release(self) -> None:
        """Give back what the connection has taken."""
        if self._timer is not None:
            self._stop_timer()
        if self.host is not None:
            self.host.end()
        self.target.limits.connections.release()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.pod.shared.clock.cancel(self._timer)
            self._timer = None
