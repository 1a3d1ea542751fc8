"""The connections to one endpoint: idle ones wait here by pod, since each pod's live in its own namespace, and by the
TLS server's name; `approach` says with which credentials they were made."""

from __future__ import annotations

from typing import Final

from ...balance.host import Host
from ..clock import Clock, Timer
from ..target import EndpointConnections, Target
from .queue import Queue, WaitingLine
from .stream import Exclusive, Multiplexed, Pooled

#: How often idle connections are looked at.
SWEEP: Final = 5.0


class Pool(EndpointConnections):
    """HTTP connections to one host of a target. Those that carry one request at a time are here while they are idle,
    the most recently used is taken first; shared ones are here as long as they take requests. `line` counts all of
    them, and has the requests that wait for one."""

    __slots__ = ("target", "queue", "line", "host", "clock", "draining", "approach", "_idle", "_shared", "_timer")

    def __init__(self, target: Target, queue: Queue, host: Host) -> None:
        self.target = target
        self.queue = queue
        self.line = WaitingLine()
        self.host = host
        self.clock: Clock = target.clock
        self.draining = False
        self.approach = target.cluster.approach(host.endpoint)
        self._idle: dict[int, list[Exclusive]] = {}
        self._shared: dict[int, list[Multiplexed]] = {}
        self._timer: Timer | None = None

    def take(self, lane: int, name: str) -> Exclusive | None:
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

    def share(self, lane: int, name: str, tunnels: bool) -> Multiplexed | None:
        """A shared connection of this pod that has room, if there is one; for a request that wants to change to another
        protocol one that `tunnels`."""
        for connection in self._shared.get(lane, ()):
            if connection.has_room() and connection.name == name and (not tunnels or connection.tunnels):
                return connection
        return None

    def keep(self, connection: Multiplexed) -> None:
        """A new connection that requests may share."""
        self._shared.setdefault(connection.lane, []).append(connection)
        self._watch()

    def leave(self, connection: Multiplexed) -> None:
        """It takes no more requests."""
        shared = self._shared.get(connection.lane)
        if shared and connection in shared:
            shared.remove(connection)
            if not shared:
                del self._shared[connection.lane]

    def released(self, connection: Multiplexed) -> None:
        """One of its requests is over."""
        connection.became_idle(self.clock.now)
        if self._is_spent(connection):
            connection.retire()
        if self.queue.lines:
            self.queue.serve(self.line)

    def give(self, upstream: Exclusive) -> None:
        """A connection has done its request."""
        queue, limits = self.queue, self.target.limits
        if self._is_spent(upstream) or (limits.shared and not queue.lines and limits.wanted_elsewhere):
            upstream.close()
            return
        upstream.became_idle(self.clock.now)
        lane = upstream.lane
        idle = self._idle.get(lane)
        if idle is None:
            self._idle[lane] = [upstream]
        else:
            idle.append(upstream)
        if self._timer is None:
            self._watch()
        if queue.lines:
            queue.serve(self.line)

    def forget(self, upstream: Pooled) -> None:
        """A connection is gone."""
        idle = self._idle.get(upstream.lane)
        if idle and upstream in idle:
            idle.remove(upstream)
            if not idle:
                del self._idle[upstream.lane]
        self.line.open -= 1
        self.target.limits.connections.release()
        if self.queue.lines:
            self.queue.serve(self.line)

    def evict_one(self) -> bool:
        """Close the connection that was idle longest of any pod's."""
        for idle in self._idle.values():
            if idle:
                idle[0].close()
                return True
        for shared in self._shared.values():
            for connection in shared:
                if not connection.busy:
                    connection.close()
                    return True
        return False

    def drain(self) -> None:
        """The endpoint is gone: keep no connection."""
        self.draining = True
        self._retire_all()
        for requester in list(self.line.waiting):
            requester.redirected()

    def renew(self) -> None:
        """Those that carry requests come to their end with these."""
        approach = self.target.cluster.approach(self.host.endpoint)
        if approach != self.approach:
            self.approach = approach
            self._retire_all()

    def _retire_all(self) -> None:
        for idle in list(self._idle.values()):
            for upstream in list(idle):
                upstream.close()
        for shared in list(self._shared.values()):
            for connection in list(shared):
                connection.retire()

    def drop_lane(self, lane: int) -> None:
        """A pod is gone: close its idle connections."""
        for upstream in list(self._idle.get(lane, ())):
            upstream.close()
        for connection in list(self._shared.get(lane, ())):
            connection.retire()

    def _is_spent(self, upstream: Pooled) -> bool:
        """Whether a connection has carried what it may."""
        target = self.target
        return (
            self.draining
            or upstream.approach is not self.approach
            or 0 < target.limits.requests_per_connection <= upstream.requests
            or (target.cluster.pool.max_connection_duration > 0.0 and self._too_old(upstream))
        )

    def _too_old(self, upstream: Pooled) -> bool:
        longest = self.target.cluster.pool.max_connection_duration
        return longest > 0.0 and self.clock.now - upstream.opened >= longest

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self.clock.after(SWEEP, self._sweep)

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
        for shared in list(self._shared.values()):
            for connection in list(shared):
                expired = timeout > 0.0 and self.clock.now - connection.idle_since >= timeout
                if not connection.busy and (expired or target.limits.wanted_elsewhere):
                    connection.close()
                elif self._too_old(connection):
                    connection.retire()
                else:
                    waiting = True
        if waiting:
            self._timer = self.clock.after(SWEEP, self._sweep)
