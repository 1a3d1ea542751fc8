"""The data path without its IO: the pods that are served, the tables that they are served by, and their end."""

from __future__ import annotations

from random import Random
from typing import Final

from ..balance.fairness import PodBudget
from ..routing.client import Client
from ..routing.tables import Tables
from ..routing.views import Views
from ..telemetry.telemetry import Telemetry
from .clock import Clock
from .http import environment
from .network import Network
from .outlet import Outlet
from .pod import Pod, PodOwner
from .shared import Shared
from .tap import Tap
from .transport import Handler

#: Seconds between two looks for connections that stop their pod.
RELIEF: Final = 1.0

#: Seconds between two counts of what goes on for long (Istio's tcp_reporting_duration).
PROGRESS: Final = 5.0

#: Connections that are counted at once, and seconds until the next ones are.
AT_ONCE: Final = 256
PAUSE: Final = 0.02


class Proxy(PodOwner):
    """`worker` runs one over sockets, `sim` in memory."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        rng: Random,
        telemetry: Telemetry,
        tables: Tables,
        workers: int = 1,
    ) -> None:
        self.shared = Shared(network, clock, rng, telemetry)
        self.shared.accept_http10 = tables.mesh.http10
        self.targets = self.shared.targets
        self.workers = workers
        self.views = Views(tables)
        self.limits = tables.mesh.limits
        self._share_buffers()
        telemetry.see(tables)
        self.dialled: dict[str, tuple[str, ...]] = {}  # addresses by which connections to a name are recognized
        self.taps: tuple[Tap, ...] = ()
        self.pods: dict[int, Pod] = {}
        self.leaving: dict[int, Pod] = {}  # removed pods with open connections, by lane
        self._lasting: list[tuple[Pod, Handler]] = []  # whose bytes are to be counted in this round
        clock.after(RELIEF, self._relieve)
        clock.after(PROGRESS, self._progress)

    def set_tables(self, tables: Tables) -> None:
        """Answer by these tables from now on, on open connections too."""
        self.views = Views(tables, self.views)
        self.limits = tables.mesh.limits
        self._share_buffers()
        self.shared.accept_http10 = tables.mesh.http10
        environment.allow(tables.mesh.allowed_environment)
        self.shared.telemetry.see(tables)
        for pod in self._all():
            self._show(pod, pod.client)
            pod.limit(self.limits, self.workers)

    def tap(self, taps: tuple[Tap, ...]) -> None:
        """Have these, and nobody else, look on while requests are decided about, those of open connections too."""
        self.taps = taps
        self.views = Views(self.views.tables, self.views)  # connections look rules up again where the view is another
        for pod in self._all():
            self._show(pod, pod.client)

    def _show(self, pod: Pod, client: Client) -> None:
        """Have a pod be this client, and see the mesh as it is."""
        view = self.views.for_client(client)
        pod.see(client, view)
        pod.taps = tuple([tap.of(client, view) for tap in self.taps])

    def _share_buffers(self) -> None:
        """This worker's part of what the node may have buffered."""
        self.shared.network.buffers.share = -(-self.limits.node_buffered_bytes // self.workers)

    def set_addresses(self, addresses: dict[str, tuple[str, ...]], dialled: dict[str, tuple[str, ...]]) -> None:
        """Names have these addresses from now on; those that are dialled mean the name."""
        self.shared.connector.addresses = addresses
        self.dialled = dialled
        self.views.set_resolved(dialled)
        for tap in self.taps:
            tap.resolved(dialled)

    def add_pod(self, number: int, client: Client, namespace: int, lane: int) -> Pod:
        """A new client; `number` is its listener's."""
        outlet = Outlet(namespace, lane, self.shared.network.gate(lane))
        budget = PodBudget(self.limits, self.workers)
        pod = self.pods[number] = Pod(self.shared, self, client, self.views.for_client(client), outlet, budget)
        self._show(pod, client)
        return pod

    def update_pod(self, number: int, client: Client) -> None:
        """The workload behind a listener has changed."""
        self._show(self.pods[number], client)

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
        self.shared.network.drop_lane(pod.lane, pod.outlet.namespace)

    @property
    def idle(self) -> bool:
        """Whether no client's connection is left."""
        return not self.leaving and not any(pod.connections for pod in self.pods.values())

    def start_draining(self) -> None:
        """Say `Connection: close` from now on, and close what is idle."""
        self.shared.draining = True
        for pod in self._all():
            for connection in list(pod.connections):
                connection.drain()

    def _all(self) -> list[Pod]:
        return [*self.pods.values(), *self.leaving.values()]

    def _progress(self) -> None:
        """Count what has come over connections that last."""
        self._lasting = [(pod, connection) for pod in self._all() for connection in pod.connections]
        self._progress_some()

    def _progress_some(self) -> None:
        """Of some at a time: there may be thousands, and all else waits."""
        some, self._lasting = self._lasting[:AT_ONCE], self._lasting[AT_ONCE:]
        for pod, connection in some:
            if connection in pod.connections:
                connection.progress()
        if self._lasting:
            self.shared.clock.after(PAUSE, self._progress_some)
        else:
            self.shared.clock.after(PROGRESS, self._progress)

    def _relieve(self) -> None:
        """Give up connections that have kept the others of their pods from being read for too long."""
        now = self.shared.clock.now
        for pod in self._all():
            pod.relieve(now)
        self.shared.clock.after(RELIEF, self._relieve)
