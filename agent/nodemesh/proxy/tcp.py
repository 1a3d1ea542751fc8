"""Connections without HTTP: one decision, one endpoint, and a relay to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..balance.host import Host
from ..balance.outlier import Outcome
from ..reasons import Reason
from ..routing.decision import Cluster, Decision, Destination, Failure, Route
from ..telemetry.record import RequestRecord
from .clock import Timer
from .relay import Relay, RelayOwner
from .target import Target
from .transport import Transport

if TYPE_CHECKING:
    from .pod import Pod


def start_tcp(
    pod: Pod, transport: Transport, decision: Decision, dialled: tuple[str, int] | None, first: bytes, sni: str
) -> Relay | None:
    """Connect a client's TCP connection as decided; `first` is what it has said so far. None: it was closed."""
    record = begin(pod, transport, decision, sni)
    found = find(pod, transport, record, decision, dialled)
    if found is None:
        refuse(pod, transport, record)
        return None
    return TcpConnection(pod, *found, record).open(transport, first)


def begin(pod: Pod, transport: Transport, decision: Decision, sni: str) -> RequestRecord:
    """What is known of a connection when it has been decided about."""
    record = RequestRecord(pod.client)
    record.started = pod.proxy.clock.time()
    record.protocol = b"TCP"
    record.downstream_remote = transport.remote
    record.downstream_local = transport.local
    record.route_name = decision.name
    record.sni = sni
    return record


def find(
    pod: Pod, transport: Transport, record: RequestRecord, decision: Decision, dialled: tuple[str, int] | None
) -> tuple[Target, Host] | None:
    """The endpoint for a connection, with its place under the breaker taken; None where the record says why."""
    if isinstance(decision, Route):
        destination = choose(decision, pod)
        if destination.cluster is not None:
            return pick(pod, transport, record, destination.cluster, dialled)
        record.reasons = (Reason.CLUSTER_NOT_FOUND,)
    elif isinstance(decision, Failure):
        record.reasons = (decision.reason,)
    return None


def choose(route: Route, pod: Pod) -> Destination:
    """One destination by weight."""
    roll = pod.proxy.rng.random() * route.total_weight
    for destination in route.destinations:
        roll -= destination.weight
        if roll < 0.0:
            return destination
    return route.destinations[-1]


def pick(
    pod: Pod, transport: Transport, record: RequestRecord, cluster: Cluster, dialled: tuple[str, int] | None
) -> tuple[Target, Host] | None:
    """An endpoint of a cluster."""
    target = pod.proxy.target(cluster)
    record.cluster = cluster
    key = None
    hashing = cluster.load_balancer.hash
    if hashing is not None and hashing.source_ip:
        key = pod.proxy.hash(transport.remote.rpartition(":")[0].encode())
    host = target.pick(key, [], False, dialled)
    if host is None:
        record.reasons = (Reason.NO_HEALTHY_UPSTREAM,)
    elif not target.limits.connections.try_acquire():
        record.reasons = (Reason.UPSTREAM_OVERFLOW,)
    else:
        return target, host
    return None


def refuse(pod: Pod, transport: Transport, record: RequestRecord) -> None:
    """Close a connection that leads nowhere."""
    record.duration = max(record.duration, 0.0)
    transport.abort()
    pod.proxy.telemetry.opened(record)
    pod.proxy.telemetry.record(record)
    pod.budget.release_connection()


class TcpConnection(RelayOwner):
    """Accounts of one relayed connection: breaker, load, outlier detection, metrics."""

    __slots__ = ("pod", "target", "host", "record", "_timer", "_counted")

    def __init__(self, pod: Pod, target: Target, host: Host, record: RequestRecord) -> None:
        self.pod = pod
        self.target = target
        self.host = host
        self.record = record
        self._timer: Timer | None = None  # of connecting
        self._counted = False

    def open(self, client: Transport, first: bytes) -> Relay:
        """Start connecting, and relay; the client is not read until the upstream connection stands."""
        settings = self.target.cluster.pool
        relay = Relay(self.pod, self.record, settings.tcp_idle_timeout, self)
        self.host.begin()
        relay.client.take(client)
        self._timer = self.pod.proxy.clock.after(settings.connect_timeout, relay.connect_timed_out)
        name = self.target.server_name(b"")
        relay.upstream.take(self.target.connect(self.host, self.pod, relay.upstream, name))
        self.record.upstream_host = relay.upstream.name()
        relay.start(first, b"")
        return relay

    def relay_established(self, relay: Relay) -> None:
        self._stop_timer()
        self.target.group.report(self.host, 0, Outcome.COMPLETED)
        self._count()

    def relay_closed(self, relay: Relay) -> None:
        self._release()
        self._count()

    def _count(self) -> None:
        """Count the connection as opened, once."""
        if not self._counted:
            self._counted = True
            self.pod.proxy.telemetry.opened(self.record)

    def _release(self) -> None:
        """Give back what the connection has taken, and tell outlier detection if it was not made."""
        self._stop_timer()
        self.host.end()
        self.target.limits.connections.release()
        if Reason.UPSTREAM_CONNECTION_FAILURE in self.record.reasons:
            self.target.group.report(self.host, 0, Outcome.CONNECT_FAILED)
        elif Reason.UPSTREAM_CONNECTION_TIMEOUT in self.record.reasons:
            self.target.group.report(self.host, 0, Outcome.TIMEOUT)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.pod.proxy.clock.cancel(self._timer)
            self._timer = None
