"""A cluster as requests use it: a connection that is there, a new one, or a place in the queue for one."""

from __future__ import annotations

from random import Random
from typing import Final

from ...balance.host import Host
from ...balance.shared import Share
from ...routing.decision import Cluster, HttpVersion
from ..clock import Clock
from ..connector import Connector
from ..outlet import Outlet
from ..target import Target
from .head import RequestHead
from .pool import Pool
from .queue import Queue
from .stream import Exclusive, Multiplexed, Requester, Stream

# What endpoints are spoken to in, as numbers: they are compared for each request.
HTTP1: Final = 0
HTTP2: Final = 1
CLIENT: Final = 2  # what the request came in
VERSIONS: Final = {HttpVersion.HTTP1: HTTP1, HttpVersion.HTTP2: HTTP2, HttpVersion.CLIENT: CLIENT}


class Codecs:
    """What makes the connections of the versions of HTTP."""

    __slots__ = ()

    def http1(self, pool: Pool, outlet: Outlet, name: str) -> Exclusive:
        """A new connection of HTTP/1.1; `name` is the TLS server's."""
        raise NotImplementedError

    def http2(self, pool: Pool, outlet: Outlet, name: str) -> Multiplexed:
        """A new connection of HTTP/2."""
        raise NotImplementedError


class HttpTarget(Target):
    """A target with a pool of connections to each endpoint."""

    __slots__ = ("http", "queue", "_codecs")

    def __init__(
        self, cluster: Cluster, connector: Connector, codecs: Codecs, clock: Clock, rng: Random, share: Share | None
    ) -> None:
        super().__init__(cluster, connector, clock, rng, share)
        self.http = VERSIONS[cluster.upstream_http]
        self.queue = Queue(clock, self.limits)
        self._codecs = codecs

    def adopt(self, cluster: Cluster) -> None:
        super().adopt(cluster)
        self.http = VERSIONS[cluster.upstream_http]

    def stream(self, host: Host, outlet: Outlet, fresh: bool, name: str, head: RequestHead) -> Stream | None:
        """A place for one request: on a connection that is there (not if it has to be `fresh`) or a new one; None where
        the breaker allows no more. `name` is `server_name`'s.

        The breaker is the node's, and whoever has to wait waits for connections of this worker. So it has one to each
        endpoint that is picked, whatever the breaker says, as Envoy's workers have (its page "Circuit breaking")."""
        pool = host.pool
        if not isinstance(pool, Pool):
            pool = self.pool_of(host)
        http2 = self.http != HTTP1 and (self.http == HTTP2 or head.http2)
        tunnels = http2 and bool(head.fields.upgrade)
        if not fresh:
            if http2:
                shared = pool.share(outlet.lane, name, tunnels)
                if shared is not None:
                    return shared.stream()
            if not http2 or tunnels:  # a protocol is changed over HTTP/1.1 where the peer has not said RFC 8441
                idle = pool.take(outlet.lane, name)
                if idle is not None:
                    return idle
        if not self.admit():
            if pool.line.open:
                return None
            self.limits.connections.acquire()
        if http2 and not tunnels:
            connection = self._codecs.http2(pool, outlet, name)
            pool.keep(connection)
            return connection.stream()
        return self._codecs.http1(pool, outlet, name)

    def wait(self, requester: Requester, host: Host) -> bool:
        """Queue for a connection to an endpoint; False where the queue is full (flag UO)."""
        return self.queue.enter(requester, self.pool_of(host).line)

    def leave(self, requester: Requester, host: Host) -> None:
        """Wait no longer."""
        self.queue.leave(requester, self.pool_of(host).line)

    def pool_of(self, host: Host) -> Pool:
        """An endpoint's connections."""
        pool = host.pool
        if not isinstance(pool, Pool):
            pool = host.pool = Pool(self, self.queue, host)
        return pool

    @property
    def busy(self) -> bool:
        return bool(self.queue.lines) or super().busy
