"""One client's datagrams: the endpoint that all of them go to, the way back, and the session's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mypy_extensions import mypyc_attr

from ...balance.host import Host
from ...balance.outlier import Outcome
from ...reasons import Reason
from ...routing.decision import Cluster, Decision, Route
from ...telemetry.record import ConnectionRecord
from ..addresses import show
from ..connector import is_literal
from ..network import Asker, Datagram, Watcher
from ..target import Target
from ..tcp.connection import find
from ..transport import Buffer, Handler

if TYPE_CHECKING:
    from ..clock import Timer
    from ..pod import Pod

#: Seconds without a datagram in either direction after which a session is over (Envoy's udp_proxy idle_timeout).
IDLE: Final = 60.0

#: The same once the worker is to end: a successor has the client's next datagram.
LEAVING: Final = 1.0

#: Seconds for which the datagrams of a client are dropped that nobody takes; then it is decided again.
REFUSED: Final = 1.0

#: Hops that a datagram goes on with at most, whatever it came with: as many as Linux gives its own (ip_default_ttl).
MOST_HOPS: Final = 64

#: Where a client's datagrams come from, and the address of ours that they came to, as the socket gives both:
#: IPv6 has more in it than address and port.
Ends = tuple[tuple[Any, ...], bytes]


@mypyc_attr(allow_interpreted_subclasses=True)
class ClientEntrance(Watcher):
    """A socket that clients' datagrams come by."""

    __slots__ = ()

    def reply(self, data: bytes, ends: Ends) -> bool:
        """Send an answer from where the client's datagram went. False: it is lost, as datagrams are."""
        raise NotImplementedError

    def name(self, ends: Ends) -> str:
        """The address of ours, `address:port`."""
        raise NotImplementedError


class SessionOwner:
    """Who has all sessions of a port."""

    __slots__ = ("pod",)

    def __init__(self, pod: Pod) -> None:
        self.pod = pod

    def forget(self, session: UdpSession) -> None:
        """It is over."""
        raise NotImplementedError


class UdpSession(Handler):
    """`record.bytes_received` and `bytes_sent` count what was passed on. A session without a host drops what comes: so
    the share of an invalid backend is dropped (UDPRoute's backendRefs)."""

    __slots__ = (
        "owner", "entrance", "ends", "source", "record", "target", "host", "_datagram", "_timer", "_heard", "_view",
        "_patience", "_answered",
    )  # fmt: skip

    def __init__(self, owner: SessionOwner, entrance: ClientEntrance, ends: Ends, source: str) -> None:
        pod = owner.pod
        self.owner = owner
        self.entrance = entrance
        self.ends = ends
        self.source = source
        self.target: Target | None = None
        self.host: Host | None = None
        self._datagram: Datagram | None = None
        self._heard = pod.shared.clock.now  # when a datagram came last, in either direction
        self._view = pod.view
        self._answered = False
        record = self.record = ConnectionRecord(pod.client)
        record.started = pod.shared.clock.time()
        record.protocol = b"UDP"
        record.downstream_remote = show(ends[0])
        record.downstream_local = entrance.name(ends)
        self._patience = IDLE if self._open(pod.view.udp_gateway(pod.gateway_port)) else REFUSED
        self._timer: Timer | None = pod.shared.clock.after(self._patience, self._look)

    # === the endpoint

    def _open(self, decision: Decision) -> bool:
        """Choose an endpoint, and have a socket to it; False where there is none."""
        pod, record = self.owner.pod, self.record
        shared, outlet = pod.shared, pod.outlet
        record.route_name, record.rule = decision.name, decision.rule
        found = find(pod, record, decision, None)
        if found is None:
            return False
        self.target, self.host, _ = found
        self.host.begin()
        endpoint = self.host.endpoint
        resolved = endpoint if is_literal(endpoint.address) else shared.connector.resolve(endpoint)
        if resolved is None:
            self._give_back((Reason.UPSTREAM_CONNECTION_FAILURE,))
            return False
        address = (resolved.address, resolved.port)
        record.upstream_host = show(address)
        try:
            self._datagram = shared.network.datagrams(address, outlet.namespace, outlet.lane, HeardAnswers(self))
        except OSError as error:
            record.transport_failure = error.strerror or ""
            self._give_back((Reason.LOCAL_CONNECTION_FAILURE,))
            return False
        shared.telemetry.opened(record)
        return True

    def _give_back(self, reasons: tuple[Reason, ...] = ()) -> None:
        """Leave the endpoint."""
        self.record.reasons += reasons
        if self._datagram is not None:
            self._datagram.close()
            self._datagram = None
        if self.target is not None and self.host is not None:
            self.host.end()
            self.target.limits.connections.release()
            self.host = None

    @property
    def stands(self) -> bool:
        """Whether its endpoint is still one that the client's datagrams may go to: weights may have changed since, as
        for a connection, but neither the route away nor the endpoint."""
        pod = self.owner.pod
        if self._view is pod.view:
            return self.host is None or self.host.member
        self._view = pod.view
        cluster = cluster_in(pod.view.udp_gateway(pod.gateway_port), self.target)
        if self.host is None or cluster is None:
            return False
        pod.shared.target(cluster)  # which takes over what is new of its endpoints
        return self.host.member

    # === datagrams

    def forward(self, data: Buffer, hops: int) -> None:
        """From the client, with so many hops left. It goes on with one less, as from a router (RFC 1812, 5.3.1): so one
        that comes back to a gateway, by whatever way, ends; the record says so once."""
        datagram, record = self._datagram, self.record
        if datagram is None:
            return
        if hops <= 1:
            if Reason.HOPS_USED_UP not in record.reasons:
                record.reasons += (Reason.HOPS_USED_UP,)
            return
        self._heard = self.owner.pod.shared.clock.now
        try:
            if datagram.send(data, min(hops - 1, MOST_HOPS)):
                record.bytes_received += len(data)
        except OSError as error:
            self.lost(error)

    def answered(self, data: bytes) -> None:
        """From the endpoint."""
        self._heard = self.owner.pod.shared.clock.now
        if not self._answered:
            self._answered = True
            self._report(Outcome.COMPLETED)
        if self.entrance.reply(data, self.ends):
            self.record.bytes_sent += len(data)

    def lost(self, error: OSError) -> None:
        """Nobody listens at the endpoint, says ICMP: the client's next datagram may find another one."""
        self._report(Outcome.CONNECT_FAILED)
        self.record.transport_failure = error.strerror or ""
        self.end(Reason.UPSTREAM_CONNECTION_FAILURE)

    def _report(self, outcome: Outcome) -> None:
        if self.target is not None and self.host is not None:
            self.target.group.report(self.host, 0, outcome)

    # === its end

    def ended(self) -> None:
        """Datagrams have no FIN."""

    @property
    def idle(self) -> bool:
        return True

    def _look(self) -> None:
        """See whether it has been silent for long enough. What is dropped does not count as a word."""
        clock = self.owner.pod.shared.clock
        silent = clock.now - self._heard
        if self.host is None or silent >= self._patience:
            self._timer = None
            self.end()
        else:
            self._timer = clock.after(self._patience - silent, self._look)

    def drain(self) -> None:
        self._patience = LEAVING
        self._stop_timer()
        self._timer = self.owner.pod.shared.clock.after(LEAVING, self._look)

    def end(self, *reasons: Reason) -> None:
        """Give everything back, and write the record."""
        self._stop_timer()
        self._give_back(reasons)
        pod, record = self.owner.pod, self.record
        record.duration = pod.shared.clock.time() - record.started
        pod.shared.telemetry.opened(record)
        pod.shared.telemetry.record(record)
        self.owner.forget(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.owner.pod.shared.clock.cancel(self._timer)
            self._timer = None

    # === what is told of it

    def progress(self) -> None:
        record = self.record
        self.owner.pod.shared.telemetry.progressed(record, record.bytes_received, record.bytes_sent)

    def describe(self) -> dict[str, str]:
        record = self.record
        return {
            "protocol": "UDP",
            "client": record.downstream_remote,
            "destination": record.downstream_local,
            "upstream": record.upstream_host,
        }


class HeardAnswers(Asker):
    """What a session's socket to its endpoint hears."""

    __slots__ = ("session",)

    def __init__(self, session: UdpSession) -> None:
        self.session = session

    def heard(self, data: bytes) -> None:
        self.session.answered(data)

    def lost(self, error: OSError) -> None:
        self.session.lost(error)


def cluster_in(decision: Decision, target: Target | None) -> Cluster | None:
    """A target's cluster as a decision has it now; None where it has it no more."""
    if not isinstance(decision, Route) or target is None:
        return None
    for destination in decision.destinations:
        if destination.cluster is not None and destination.cluster.key == target.cluster.key:
            return destination.cluster
    return None
