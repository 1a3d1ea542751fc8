"""What all connections of one worker share: the tables' views, the clusters at work, clock, randomness, telemetry."""

from __future__ import annotations

from email.utils import formatdate
from random import Random
from typing import Final

from ..balance.hashing import hash_key
from ..balance.shared import Share
from ..config.meshconfig import PodLimits
from ..registry.snapshot import Endpoint
from ..routing.client import Client
from ..routing.decision import Cluster
from ..routing.tables import Tables
from ..routing.views import Views
from ..telemetry.telemetry import Telemetry
from .clock import Clock
from .http import environment
from .http.request_id import RequestIds
from .network import Network
from .pod import Pod
from .target import Target, drain
from .tls.certificates import Certificates

#: Seconds between two rounds of housekeeping over all targets.
HOUSEKEEPING: Final = 1.0

#: A target that nothing has used for this long is given up.
TARGET_IDLE: Final = 600.0


class Proxy:
    """The data path without its IO: `worker` runs one over sockets, `sim` in memory."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        rng: Random,
        telemetry: Telemetry,
        tables: Tables,
        workers: int = 1,
    ) -> None:
        self.network = network
        self.clock = clock
        self.rng = rng
        self.telemetry = telemetry
        self.share: Share | None = None  # counters in common with the node's other workers
        self.workers = workers
        self.views = Views(tables)
        self.limits: PodLimits = tables.mesh.limits
        self._share_buffers()
        self.pods: dict[int, Pod] = {}
        self.leaving: dict[int, Pod] = {}  # removed pods with open connections, by lane
        self.targets: dict[str, Target] = {}
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.certificates = Certificates()
        self.request_ids = RequestIds()
        self.draining = False
        self.accept_http10 = tables.mesh.http10
        self._date = b""
        self._date_until = 0.0
        clock.after(HOUSEKEEPING, self._keep_house)

    def set_tables(self, tables: Tables) -> None:
        """Answer by these tables from now on, on open connections too."""
        self.views = Views(tables, self.views)
        self.limits = tables.mesh.limits
        self._share_buffers()
        self.accept_http10 = tables.mesh.http10
        environment.allow(tables.mesh.allowed_environment)
        for pod in self.pods.values():
            pod.see(pod.client, self.views.for_client(pod.client))
            pod.limit(self.limits, self.workers)
        for pod in self.leaving.values():
            pod.see(pod.client, self.views.for_client(pod.client))
            pod.limit(self.limits, self.workers)

    def _share_buffers(self) -> None:
        """This worker's part of what the node may have buffered."""
        self.network.buffers.share = -(-self.limits.node_buffered_bytes // self.workers)

    def set_addresses(self, addresses: dict[str, tuple[str, ...]], dialled: dict[str, tuple[str, ...]]) -> None:
        """Names have these addresses from now on; those that are dialled stand for the name."""
        self.addresses = addresses
        self.views.set_resolved(dialled)

    def add_pod(self, number: int, client: Client, namespace: int, lane: int) -> Pod:
        """A new client; `number` is its listener's."""
        pod = Pod(self, client, self.views.for_client(client), namespace, lane)
        self.pods[number] = pod
        return pod

    def update_pod(self, number: int, client: Client) -> None:
        """The workload behind a listener has changed."""
        self.pods[number].see(client, self.views.for_client(client))

    def remove_pod(self, number: int) -> None:
        """Its listener is gone."""
        pod = self.pods.pop(number)
        self.leaving[pod.lane] = pod
        pod.remove()

    def pod_emptied(self, pod: Pod) -> None:
        """A removed pod's last connection is closed: close the idle ones to its upstreams."""
        self.leaving.pop(pod.lane, None)
        for target in self.targets.values():
            target.drop_lane(pod.lane)
        self.network.drop_lane(pod.lane, pod.namespace)

    def target(self, cluster: Cluster) -> Target:
        """The cluster at work."""
        target = self.targets.get(cluster.key)
        if target is None:
            target = self.targets[cluster.key] = Target(self, cluster)
        elif target.cluster is not cluster:
            target.adopt(cluster)
        target.used = self.clock.now
        return target

    def resolve(self, endpoint: Endpoint) -> Endpoint | None:
        """An endpoint known by name, with one of the addresses that control has found for it."""
        addresses = self.addresses.get(endpoint.address)
        if not addresses:
            return None
        return Endpoint(address=self.rng.choice(addresses), port=endpoint.port)

    def hash(self, value: bytes) -> int:
        """A consistent hash of one value."""
        return hash_key(value)

    def date_line(self) -> bytes:
        """The `date` field, made once per second."""
        if self.clock.now >= self._date_until:
            time = self.clock.time()
            self._date = b"date: " + formatdate(time, usegmt=True).encode()
            self._date_until = self.clock.now + 1.0 - time % 1.0
        return self._date

    @property
    def idle(self) -> bool:
        """Whether no client's connection is left."""
        return not self.leaving and not any(pod.connections for pod in self.pods.values())

    def start_draining(self) -> None:
        """Say `Connection: close` from now on, and close what is idle."""
        self.draining = True
        for pod in (*self.pods.values(), *self.leaving.values()):
            for connection in list(pod.connections):
                connection.drain()

    def _keep_house(self) -> None:
        """End ejections, drain what left, give up targets that are out of use and connections that stop their pod."""
        now = self.clock.now
        for pod in (*self.pods.values(), *self.leaving.values()):
            pod.relieve(now)
        for key, target in list(self.targets.items()):
            if now >= target.group.next_sweep:
                for host in target.group.sweep(now):
                    drain(host)
            if now - target.used > TARGET_IDLE and not target.busy:
                target.close()
                del self.targets[key]
        self.clock.after(HOUSEKEEPING, self._keep_house)
