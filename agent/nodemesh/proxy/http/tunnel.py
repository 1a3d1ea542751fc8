"""A request that has changed its protocol: its relay stays in the request's accounts until it ends."""

from __future__ import annotations

from ...telemetry.record import RequestRecord
from ..pod import Pod
from ..tcp.relay import Relay, RelayOwner
from ..transport import Transport
from .call import Call


class Upgrade(RelayOwner):
    """As in Envoy an upgraded request is one in flight: it counts against the cluster's breakers, the endpoint's load
    and the pod's limits. `began` is when the request came."""

    __slots__ = ("pod", "call", "began")

    def __init__(self, pod: Pod, call: Call, began: float) -> None:
        self.pod = pod
        self.call = call
        self.began = began

    def open(self, record: RequestRecord, client: Transport, upstream: Transport) -> Relay:
        """Join the two connections; it lasts as long without a byte either way as the cluster has it for TCP."""
        relay = Relay(self.pod, record, self.call.target.cluster.pool.tcp_idle_timeout, self)
        relay.client.take(client)
        relay.upstream.take(upstream)
        return relay

    def relay_closed(self, relay: Relay) -> None:
        self.call.cancel()
        self.pod.budget.release_request()
        relay.record.duration = self.pod.shared.clock.now - self.began
