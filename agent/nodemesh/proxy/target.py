"""A cluster at work in this worker: its balanced group, its connections, and the requests that wait for one."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ..balance.group import Group
from ..balance.host import Host
from ..routing.decision import Algorithm, Cluster, HttpVersion
from ..routing.names import strip_port
from .clock import Timer
from .doomed import Doomed
from .http.head import RequestHead
from .http.pool import Pool
from .http.stream import Requester, Stream
from .http1.client import Http1Client
from .http2.client import Http2Client
from .tls.transport import Records, TlsError, TlsTransport
from .transport import Handler, Transport

if TYPE_CHECKING:
    from .pod import Pod
    from .proxy import Proxy


# What endpoints are spoken to in, as numbers: they are compared for each request.
HTTP1: Final = 0
HTTP2: Final = 1
CLIENT: Final = 2  # what the request came in
VERSIONS: Final = {HttpVersion.HTTP1: HTTP1, HttpVersion.HTTP2: HTTP2, HttpVersion.CLIENT: CLIENT}

#: How often those who wait for a connection ask again unbidden: limits are the node's, and what other workers give back
#: makes no sound here.
RECHECK: Final = 0.05

#: The longest that a request waits for a connection whose route has no timeout (Envoy's stream_idle_timeout).
LONGEST_WAIT: Final = 300.0


class Target:
    """State lives as long as the cluster's key does, across changes of its endpoints and policies. `queues` are the
    pools with waiting requests, in the order in which their first ones came."""

    __slots__ = ("proxy", "cluster", "group", "limits", "queues", "used", "http", "_serving", "_timer")

    def __init__(self, proxy: Proxy, cluster: Cluster) -> None:
        self.proxy = proxy
        self.cluster = cluster
        self.http = VERSIONS[cluster.upstream_http]
        self.group = Group(cluster, proxy.clock.read, proxy.rng, proxy.share)
        self.limits = self.group.limits
        self.queues: dict[Pool, None] = {}
        self.used = proxy.clock.now
        self._serving = False  # inside `serve_waiting`
        self._timer: Timer | None = None  # of `_recheck`

    def adopt(self, cluster: Cluster) -> None:
        """Newer endpoints or policies; connections to endpoints that left are drained."""
        if cluster != self.cluster:
            for host in self.group.update(cluster):
                drain(host)
        self.cluster = cluster
        self.http = VERSIONS[cluster.upstream_http]

    def close(self) -> None:
        """The cluster is in no table any more."""
        for host in self.group.close():
            drain(host)

    def pick(self, key: int | None, tried: list[Host], remote: bool, dialled: tuple[str, int] | None) -> Host | None:
        """The endpoint for one try; None where none serves. PASSTHROUGH takes the address that the client dialled."""
        if self.cluster.load_balancer.algorithm is Algorithm.PASSTHROUGH and dialled is not None:
            return self.group.pick_address(dialled[0], dialled[1])
        return self.group.pick(key, tried, remote)

    def server_name(self, authority: bytes) -> str:
        """The name that a connection to this cluster asks for over TLS: empty without TLS or where the rule has the
        name, else the request's Host, or the cluster's for connections that have none."""
        tls = self.cluster.tls
        if tls is None or tls.sni:
            return ""
        return strip_port(authority.decode("latin-1")) or self.cluster.host

    def stream(self, host: Host, pod: Pod, fresh: bool, name: str, head: RequestHead) -> Stream | None:
        """A place for one request: on a connection that is there (not if it has to be `fresh`) or a new one; None where
        the breaker allows no more. `name` is `server_name`'s.

        The breaker is the node's, and whoever has to wait waits for connections of this worker. So it has one to each
        endpoint that is picked, whatever the breaker says, as Envoy's workers have (its page "Circuit breaking")."""
        pool = host.pool
        if not isinstance(pool, Pool):
            pool = pool_of(self, host)
        http2 = self.http != HTTP1 and (self.http == HTTP2 or head.http2)
        tunnels = http2 and bool(head.fields.upgrade)
        if not fresh:
            if http2:
                shared = pool.share(pod.lane, name, tunnels)
                if shared is not None:
                    return shared.stream()
            if not http2 or tunnels:  # a protocol is changed over HTTP/1.1 where the peer has not said RFC 8441
                idle = pool.take(pod.lane, name)
                if idle is not None:
                    assert isinstance(idle, Http1Client)
                    return idle
        if not self.admit():
            if pool.open:
                return None
            self.limits.connections.acquire()
        if http2 and not tunnels:
            connection = Http2Client(pool, pod, name)
            pool.keep(connection)
            return connection.stream()
        return Http1Client(pool, pod, name)

    def admit(self) -> bool:
        """Take a place under the breaker for one more connection; an idle one may have to go for it."""
        connections = self.limits.connections
        return connections.try_acquire() or (self.evict_one() and connections.try_acquire())

    def wait(self, requester: Requester, host: Host) -> bool:
        """Queue for a connection to an endpoint; False where the queue is full (flag UO)."""
        if not self.limits.pending.try_acquire():
            return False
        pool = pool_of(self, host)
        pool.waiting[requester] = self.proxy.clock.now
        self.queues[pool] = None
        if self._timer is None:
            self._timer = self.proxy.clock.after(RECHECK, self._recheck)
        return True

    def leave(self, requester: Requester, host: Host) -> None:
        """Wait no longer."""
        pool = pool_of(self, host)
        if pool.waiting.pop(requester, None) is not None:
            self.limits.pending.release()
            if not pool.waiting:
                del self.queues[pool]

    def serve_waiting(self, pool: Pool | None) -> None:
        """A connection has become free, or may be opened: let those in line ask again who can be served, first the ones
        who wait for the same endpoint."""
        if self._serving:
            return
        self._serving = True
        try:
            while pool is not None and pool.serve_first():
                pass
            exhausted = False
            for other in list(self.queues):
                if not exhausted or not other.open:
                    while other.serve_first():
                        pass
                    exhausted = bool(other.waiting)
        finally:
            self._serving = False

    def _recheck(self) -> None:
        """Ask again, and send away who has waited too long."""
        self._timer = None
        self.serve_waiting(None)
        longest = self.proxy.clock.now - LONGEST_WAIT
        for pool in list(self.queues):
            while pool.waiting:
                requester, since = next(iter(pool.waiting.items()))
                if since > longest:
                    break
                requester.waited_too_long()
        if self.queues:
            self._timer = self.proxy.clock.after(RECHECK, self._recheck)

    def evict_one(self) -> bool:
        """Close one idle connection, to make room where `maxConnections` is reached by other pods' idle ones."""
        for host in self._hosts():
            pool = host.pool
            if isinstance(pool, Pool) and pool.evict_one():
                return True
        return False

    def connect(self, host: Host, pod: Pod, handler: Handler, name: str, alpn: str) -> Transport:
        """Open a connection to one endpoint on a pod's account, with TLS where the cluster has it; `alpn` is what will
        be spoken, empty where that is not known."""
        proxy, tls, keepalive = self.proxy, self.cluster.tls, self.cluster.pool.keepalive
        endpoint = host.endpoint if is_literal(host.address) else proxy.resolve(host.endpoint)
        if tls is None:
            return proxy.network.connect(endpoint, pod.namespace, pod.lane, keepalive, handler)
        try:
            terms = proxy.certificates.client_terms(tls, name, alpn)
            transport = TlsTransport(handler, proxy.clock, terms)
        except TlsError as error:
            return Doomed(handler, proxy.clock, pod.gate, error)
        except ValueError as error:
            return Doomed(handler, proxy.clock, pod.gate, TlsError(f"{name!r} is no server name: {error}"))
        transport.attach(proxy.network.connect(endpoint, pod.namespace, pod.lane, keepalive, Records(transport)))
        return transport

    def drop_lane(self, lane: int) -> None:
        """A pod is gone: close its idle connections."""
        for host in self._hosts():
            if isinstance(host.pool, Pool):
                host.pool.drop_lane(lane)

    @property
    def busy(self) -> bool:
        """Whether requests or connections are under way."""
        return bool(self.queues) or any(host.load for host in self._hosts())

    def _hosts(self) -> list[Host]:
        return [*self.group.by_address.values(), *self.group.passing.values()]


def pool_of(target: Target, host: Host) -> Pool:
    """An endpoint's connections."""
    pool = host.pool
    if not isinstance(pool, Pool):
        pool = host.pool = Pool(target, host)
    return pool


def drain(host: Host) -> None:
    """Close an endpoint's idle connections; the others close after their present request."""
    pool = host.pool
    if isinstance(pool, Pool):
        pool.drain()


@lru_cache(4096)
def is_literal(address: str) -> bool:
    """Whether an endpoint's address needs no name resolution."""
    if address.startswith("unix://"):
        return True
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        return False
    return True
