"""What went to each endpoint in kernel mode since this process began: what `nodemesh services` shows of it."""

from __future__ import annotations

from ..admin.state import KernelEndpointRow
from ..datapath.traffic import Traffic
from ..registry.snapshot import Service
from ..routing.decision import Cluster

#: Endpoints that are remembered at most; where there are more, the one that was used longest ago goes.
LIMIT = 16384

#: A service's host and namespace, its port, and the endpoint's address and port.
Key = tuple[str, str, int, str, int]


class KernelEndpoints:
    """Sums over all pods of this node."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._sums: dict[Key, KernelEndpointRow] = {}  # the one used longest ago first

    def add(self, cluster: Cluster, backend: tuple[str, int], traffic: Traffic) -> None:
        """What has happened between a pod and an endpoint of the cluster."""
        key = (cluster.host, cluster.namespace, cluster.port, *backend)
        before = self._sums.pop(key, None) or KernelEndpointRow(address=backend[0], port=backend[1])
        self._sums[key] = KernelEndpointRow(
            address=before.address,
            port=before.port,
            opened=before.opened + traffic.opened,
            failed=before.failed + traffic.failed,
            closed=before.closed + traffic.closed,
            sent=before.sent + traffic.sent,
            received=before.received + traffic.received,
        )
        if len(self._sums) > self._limit:
            del self._sums[next(iter(self._sums))]

    def of(self, service: Service, port: int) -> tuple[KernelEndpointRow, ...]:
        """The endpoints that a service port has now, those without connections too; empty where none had any."""
        keys = [
            (service.host, service.namespace, port, endpoint.address, endpoint.port)
            for endpoint in service.endpoints.get(port, ())
        ]
        if self._sums.keys().isdisjoint(keys):
            return ()
        return tuple(self._sums.get(key) or KernelEndpointRow(address=key[3], port=key[4]) for key in keys)
