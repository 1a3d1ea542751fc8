"""A cluster at work in this worker: its balanced group, its connections, and the requests that wait for one."""

from __future__ import annotations

import socket
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

from ..balance.group import Group
from ..balance.host import Host
from ..registry.snapshot import HTTP_PROTOCOLS
from ..routing.decision import Algorithm, Cluster
from ..routing.names import strip_port
from .http.pool import Pool
from .http.stream import Requester
from .http1.client import Http1Client
from .tls.transport import Doomed, Records, TlsError, TlsTransport
from .transport import Handler, Transport

if TYPE_CHECKING:
    from .pod import Pod
    from .proxy import Proxy


class Target:
    """State lives as long as the cluster's key does, across changes of its endpoints and policies."""

    __slots__ = ("proxy", "cluster", "group", "limits", "waiting", "used")

    def __init__(self, proxy: Proxy, cluster: Cluster) -> None:
        self.proxy = proxy
        self.cluster = cluster
        self.group = Group(cluster, proxy.clock.read, proxy.rng, proxy.share)
        self.limits = self.group.limits
        self.waiting: deque[Requester] = deque()
        self.used = proxy.clock.now

    def adopt(self, cluster: Cluster) -> None:
        """Newer endpoints or policies; connections to endpoints that left are drained."""
        if cluster != self.cluster:
            for host in self.group.update(cluster):
                drain(host)
        self.cluster = cluster

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
        """Whom a connection to this cluster calls over TLS: empty without TLS or where the rule has the name, else the
        request's Host, or the cluster's for connections that have none."""
        tls = self.cluster.tls
        if tls is None or tls.sni:
            return ""
        return strip_port(authority.decode("latin-1")) or self.cluster.host

    def upstream(self, host: Host, pod: Pod, fresh: bool, name: str) -> Http1Client | None:
        """A connection for one request: an idle one (not if it has to be `fresh`) or a new one; None where the breaker
        allows no more. `name` is `server_name`'s."""
        pool = host.pool
        if not isinstance(pool, Pool):
            pool = host.pool = Pool(self, host)
        if not fresh:
            idle = pool.take(pod.lane, name)
            if idle is not None:
                return idle
        if not self.limits.connections.try_acquire() and not (
            self.evict_one() and self.limits.connections.try_acquire()
        ):
            return None
        return Http1Client(pool, pod, name)

    def wait(self, requester: Requester) -> bool:
        """Queue for a connection; False where the queue is full (flag UO)."""
        if not self.limits.pending.try_acquire():
            return False
        self.waiting.append(requester)
        return True

    def leave(self, requester: Requester) -> None:
        """Wait no longer."""
        if requester in self.waiting:
            self.waiting.remove(requester)
            self.limits.pending.release()

    def serve_waiting(self) -> None:
        """A connection has become free, or may be opened: let the first in line ask again."""
        if self.waiting:
            requester = self.waiting.popleft()
            self.limits.pending.release()
            requester.proceed()

    def evict_one(self) -> bool:
        """Close one idle connection, to make room where `maxConnections` is reached by other pods' idle ones."""
        for host in self._hosts():
            pool = host.pool
            if isinstance(pool, Pool) and pool.evict_one():
                return True
        return False

    def connect(self, host: Host, pod: Pod, handler: Handler, name: str) -> Transport:
        """Open a connection to one endpoint on a pod's account, with TLS where the cluster has it."""
        proxy, tls, keepalive = self.proxy, self.cluster.tls, self.cluster.pool.keepalive
        endpoint = host.endpoint if is_literal(host.address) else proxy.resolve(host.endpoint)
        if tls is None:
            return proxy.network.connect(endpoint, pod.namespace, pod.lane, keepalive, handler)
        try:
            terms = proxy.certificates.client_terms(tls, name, self.cluster.protocol in HTTP_PROTOCOLS)
            transport = TlsTransport(handler, proxy.clock, terms)
        except TlsError as error:
            return Doomed(handler, proxy.clock, error)
        except ValueError as error:
            return Doomed(handler, proxy.clock, TlsError(f"{name!r} is no server name: {error}"))
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
        return bool(self.waiting) or any(host.load for host in self._hosts())

    def _hosts(self) -> list[Host]:
        return [*self.group.by_address.values(), *self.group.passing.values()]


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
