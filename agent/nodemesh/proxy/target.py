"""A cluster at work in this worker: its balanced group, its limits, and how its endpoints are reached."""

from __future__ import annotations

from random import Random

from ..balance.group import Group
from ..balance.host import Host
from ..balance.shared import Share
from ..routing.decision import Algorithm, Approach, Cluster
from ..routing.names import strip_port
from .clock import Clock
from .connector import Connector
from .outlet import Outlet
from .transport import Handler, Transport


class EndpointConnections:
    """The connections that are kept to one endpoint: what `Host.pool` is, as its cluster knows it."""

    __slots__ = ()

    def evict_one(self) -> bool:
        """Close an idle connection, to make room; False where there is none."""
        raise NotImplementedError

    def drain(self) -> None:
        """The endpoint is gone: keep no connection."""
        raise NotImplementedError

    def renew(self) -> None:
        """The cluster has changed: keep no connection that was made otherwise than the endpoint is reached now."""
        raise NotImplementedError

    def drop_lane(self, lane: int) -> None:
        """A client is gone: close its idle connections."""
        raise NotImplementedError


class Target:
    """State lives as long as the cluster's key does, across changes of its endpoints and policies."""

    __slots__ = ("cluster", "group", "limits", "passthrough", "clock", "rng", "used", "_connector")

    def __init__(self, cluster: Cluster, connector: Connector, clock: Clock, rng: Random, share: Share | None) -> None:
        self.cluster = cluster
        self.passthrough = cluster.load_balancer.algorithm is Algorithm.PASSTHROUGH
        self.group = Group(cluster, clock.read, rng, share)
        self.limits = self.group.limits
        self.clock = clock
        self.rng = rng
        self.used = clock.now
        self._connector = connector

    def adopt(self, cluster: Cluster) -> None:
        """Newer endpoints or policies; connections to endpoints that left are drained."""
        changed = cluster != self.cluster
        if changed:
            drain(self.group.update(cluster))
        self.cluster = cluster
        self.passthrough = cluster.load_balancer.algorithm is Algorithm.PASSTHROUGH
        if changed:
            for host in self._hosts():
                pool = host.pool
                if isinstance(pool, EndpointConnections):
                    pool.renew()

    def close(self) -> None:
        """The cluster is in no table any more."""
        drain(self.group.close())

    def sweep(self, now: float) -> None:
        """End ejections, and drain what left."""
        if now >= self.group.next_sweep:
            drain(self.group.sweep(now))

    def pick(self, key: int | None, tried: list[Host], remote: bool, dialled: tuple[str, int] | None) -> Host | None:
        """The endpoint for one try; None where none serves. PASSTHROUGH takes the address that the client dialled."""
        if self.passthrough and dialled is not None:
            return self.group.pick_address(dialled[0], dialled[1])
        return self.group.pick(key, tried, remote)

    def server_name(self, authority: bytes) -> str:
        """The name that a connection to this cluster asks for over TLS: empty without TLS or where the rule has the
        name, else the request's Host, or the cluster's for connections that have none."""
        tls = self.cluster.tls
        if tls is None or tls.sni:
            return ""
        return strip_port(authority.decode("latin-1")) or self.cluster.host

    def connect(
        self,
        host: Host,
        outlet: Outlet,
        handler: Handler,
        approach: Approach,
        name: str,
        alpn: str,
        source: str = "",
        destination: str = "",
    ) -> Transport:
        """Open a connection to one endpoint; `name` is `server_name`'s, the rest `Connector.connect`'s."""
        endpoint = host.endpoint
        return self._connector.connect(endpoint, approach, outlet, handler, name, alpn, source, destination)

    def admit(self) -> bool:
        """Take a place under the breaker for one more connection; an idle one may have to go for it."""
        connections = self.limits.connections
        return connections.try_acquire() or (self.evict_one() and connections.try_acquire())

    def evict_one(self) -> bool:
        """Close one idle connection, to make room where `maxConnections` is reached by other pods' idle ones."""
        for host in self._hosts():
            pool = host.pool
            if isinstance(pool, EndpointConnections) and pool.evict_one():
                return True
        return False

    def drop_lane(self, lane: int) -> None:
        """A pod is gone: close its idle connections."""
        for host in self._hosts():
            pool = host.pool
            if isinstance(pool, EndpointConnections):
                pool.drop_lane(lane)

    @property
    def busy(self) -> bool:
        """Whether requests or connections are under way."""
        return any(host.load for host in self._hosts())

    def _hosts(self) -> list[Host]:
        return [*self.group.by_address.values(), *self.group.passing.values()]


def drain(hosts: list[Host]) -> None:
    """Close endpoints' idle connections; the others close after their present request."""
    for host in hosts:
        pool = host.pool
        if isinstance(pool, EndpointConnections):
            pool.drain()
