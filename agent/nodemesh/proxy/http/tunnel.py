"""A request that has changed its protocol: its relay stays in the request's accounts until it ends."""

from __future__ import annotations

from ..pod import Pod
from ..tcp.relay import Relay, RelayOwner
from .call import Call


class Tunnel(RelayOwner):
    """As in Envoy an upgraded request is one in flight: it counts against the cluster's breakers, the endpoint's load
    and the pod's limits. `began` is when the request came."""

    __slots__ = ("pod", "call", "began")

    def __init__(self, pod: Pod, call: Call, began: float) -> None:
        self.pod = pod
        self.call = call
        self.began = began

    @property
    def idle_timeout(self) -> float:
        """Seconds without a byte either way, as the cluster has it for TCP (0: none)."""
        return self.call.target.cluster.pool.tcp_idle_timeout

    def relay_closed(self, relay: Relay) -> None:
        self.call.cancel()
        self.pod.budget.release_request()
        relay.record.duration = self.pod.proxy.clock.now - self.began
