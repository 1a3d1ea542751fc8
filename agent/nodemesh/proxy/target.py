"""A cluster at work in this worker: its balanced group, its connections, and the requests that wait for one."""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING

from ..balance.group import Group
from ..balance.host import Host
from ..registry.snapshot import Endpoint, Resolution
from ..routing.decision import Algorithm, Cluster
from .pool import Pool
from .transport import Handler, Transport
from .upstream import Requester, Upstream

if TYPE_CHECKING:
    from .pod import Pod
    from .proxy import Proxy

#: The client's own choice of address is dialled.
DIALLED = (Resolution.NONE, Resolution.HEADLESS)


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
        """The endpoint for one try; None where none serves."""
        cluster = self.cluster
        passing = cluster.load_balancer.algorithm is Algorithm.PASSTHROUGH or cluster.resolution in DIALLED
        if passing and dialled is not None:
            return self.group.pick_address(dialled[0], dialled[1])
        return self.group.pick(key, tried, remote)

    def upstream(self, host: Host, pod: Pod, fresh: bool) -> Upstream | None:
        """A connection for one request: an idle one (not if it has to be `fresh`) or a new one; None where the breaker
        allows no more."""
        pool = host.pool
        if not isinstance(pool, Pool):
            pool = host.pool = Pool(self, host)
        if not fresh:
            idle = pool.take(pod.lane)
            if idle is not None:
                return idle
        if not self.limits.connections.try_acquire() and not (
            self.evict_one() and self.limits.connections.try_acquire()
        ):
            return None
        return Upstream(pool, pod)

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

    def connect(self, host: Host, pod: Pod, handler: Handler) -> Transport:
        """Open a connection to one endpoint on a pod's account."""
        endpoint: Endpoint | None = host.endpoint
        if not is_literal(host.address):
            endpoint = self.proxy.resolve(host.endpoint)
        return self.proxy.network.connect(endpoint, pod.namespace, pod.lane, self.cluster.pool.keepalive, handler)

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


def is_literal(address: str) -> bool:
    """Whether an endpoint's address needs no name resolution."""
    if address.startswith("unix://"):
        return True
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        return False
    return True
