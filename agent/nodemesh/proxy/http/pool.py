"""The connections to one endpoint: idle ones wait here, per pod, since each pod's live in its own namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...balance.host import Host
from ..clock import Clock, Timer

if TYPE_CHECKING:
    from ..http1.client import Http1Client
    from ..target import Target
    from .stream import Requester

#: How often idle connections are looked at.
SWEEP: Final = 5.0


class Pool:
    """HTTP/1.1 connections to one host of a target; the most recently used is taken first. `open` counts all of them,
    `waiting` holds in their order the requests that wait for one, each with the moment at which it came."""

    __slots__ = ("target", "host", "clock", "draining", "open", "waiting", "_idle", "_timer")

    def __init__(self, target: Target, host: Host) -> None:
        self.target = target
        self.host = host
        self.clock: Clock = target.proxy.clock
        self.draining = False
        self.open = 0
        self.waiting: dict[Requester, float] = {}
        self._idle: dict[int, list[Http1Client]] = {}
        self._timer: Timer | None = None

    def take(self, lane: int, name: str) -> Http1Client | None:
        """An idle connection of this pod, if there is one; over TLS, one that was made for this server name."""
        idle = self._idle.get(lane)
        if not idle:
            return None
        if not name:
            return idle.pop()
        for index in range(len(idle) - 1, -1, -1):
            if idle[index].name == name:
                return idle.pop(index)
        return None

    def give(self, upstream: Http1Client) -> None:
        """A connection has done its request."""
        target = self.target
        if (
            self.draining
            or 0 < target.limits.requests_per_connection <= upstream.requests
            or (target.cluster.pool.max_connection_duration and self._too_old(upstream))
            or (not target.queues and target.limits.wanted_elsewhere)
        ):
            upstream.close()
            return
        upstream.idle_since = self.clock.now
        lane = upstream.pod.lane
        idle = self._idle.get(lane)
        if idle is None:
            self._idle[lane] = [upstream]
        else:
            idle.append(upstream)
        if self._timer is None:
            self._timer = self.clock.after(SWEEP, self._sweep)
        if target.queues:
            target.serve_waiting(self)

    def forget(self, upstream: Http1Client) -> None:
        """A connection is gone."""
        idle = self._idle.get(upstream.pod.lane)
        if idle and upstream in idle:
            idle.remove(upstream)
            if not idle:
                del self._idle[upstream.pod.lane]
        self.open -= 1
        self.target.limits.connections.release()
        if self.target.queues:
            self.target.serve_waiting(self)

    def serve_first(self) -> bool:
        """Let the first in line ask again; False where it has to wait on, or there is none."""
        for requester in self.waiting:
            return requester.proceed()
        return False

    def evict_one(self) -> bool:
        """Close the connection that was idle longest of any pod's."""
        for idle in self._idle.values():
            if idle:
                idle[0].close()
                return True
        return False

    def drain(self) -> None:
        """The endpoint is gone: keep no connection."""
        self.draining = True
        for idle in list(self._idle.values()):
            for upstream in list(idle):
                upstream.close()
        for requester in list(self.waiting):
            requester.redirected()

    def drop_lane(self, lane: int) -> None:
        """A pod is gone: close its idle connections."""
        for upstream in list(self._idle.get(lane, ())):
            upstream.close()

    def _too_old(self, upstream: Http1Client) -> bool:
        longest = self.target.cluster.pool.max_connection_duration
        return longest > 0.0 and self.clock.now - upstream.opened >= longest

    def _sweep(self) -> None:
        """Close what was idle too long."""
        self._timer = None
        target = self.target
        timeout = target.cluster.pool.idle_timeout
        waiting = False
        for idle in list(self._idle.values()):
            for upstream in list(idle):
                expired = timeout > 0.0 and self.clock.now - upstream.idle_since >= timeout
                if expired or self._too_old(upstream) or target.limits.wanted_elsewhere:
                    upstream.close()
                else:
                    waiting = True
        if waiting:
            self._timer = self.clock.after(SWEEP, self._sweep)
