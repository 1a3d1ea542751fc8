"""Pods' connections are taken over: the kernel's half, who is enrolled in it, and the proof that it works."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..config.meshconfig import EnrolmentMode
from ..datapath.calm import Calm
from ..datapath.standing import StandingBytes
from ..proxy.addresses import show
from ..proxy.messages import Message, SetMaps, SetSockmap
from ..registry.snapshot import Snapshot
from ..routing.client import Client
from ..routing.views import Views
from . import kernel_traffic
from .enrol import Enrolment
from .fleet import Fleet, WorkerLink
from .kernel import Kernel
from .kernel_endpoints import KernelEndpoints
from .kubeconfig import own_namespace
from .listeners import Listeners
from .logs import Log
from .options import RunOptions
from .pods import KUBE_SYSTEM, Custom, fails_closed
from .sockmap import SockmapOffer
from .views import ViewNumbers

log = Log("control")

#: Seconds between looks at the pods' cgroups.
POD_INTERVAL = 0.25

#: Seconds between looks at the connections in kernel mode, as between the proxy's counts of those that last; and by how
#: many times a look's own time they are apart, where there are very many.
STANDING_INTERVAL = 5.0
STANDING_SHARE = 20.0

#: Services' ports whose connections in the kernel are counted by themselves.
PLACES = 10_000

#: Seconds between tries of the self-test connection.
PROOF_INTERVAL = 0.05


class Interception:
    """Only with eBPF; raises StartError. `changed` is called when there is news of the proof."""

    def __init__(self, options: RunOptions, listeners: Listeners, fleet: Fleet, changed: Callable[[], None]) -> None:
        self._fleet = fleet
        self._changed = changed
        self._numbers = ViewNumbers()
        self._closed: frozenset[str] = frozenset()  # namespaces whose pods' connections are refused while nobody serves
        self._started = False
        self._calm = Calm()
        self.kernel = Kernel(options)
        self.connections: Counter[str] = Counter()  # that stayed in the kernel, by the service's port
        self.endpoints = KernelEndpoints()
        self._standing = StandingBytes()
        custom = Custom(
            mode=EnrolmentMode.LABELLED if options.kubernetes else EnrolmentMode.ALL,
            apart=frozenset({KUBE_SYSTEM, own_namespace()}),
        )
        self.enrolment = Enrolment(self.kernel, listeners, options.node, self._numbers.number, time.time, custom)
        self.sockmap = SockmapOffer(self.kernel, self._sockmap_changed)
        self.unproven = "the self-test connection has not been made yet"

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_pods(), name="pods")
            tasks.create_task(self._prove(), name="self-test")
            tasks.create_task(self._count_standing(), name="standing connections")

    def clients(self, snapshot: Snapshot) -> dict[str, Client]:
        """Choose the pods that are to be in the mesh; those that are, by name."""
        self.enrolment.choose(snapshot)
        return self.enrolment.clients()

    def apply(
        self, snapshot: Snapshot, views: Views, pods: Mapping[str, Client], addresses: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Bring the kernel, then the pods to new tables."""
        self._calm.see(snapshot.services, time.monotonic())
        self._closed = frozenset(
            name for name, namespace in snapshot.namespaces.items() if fails_closed(namespace, snapshot.mesh)
        )
        self._numbers.assign(views, pods)
        self.resolved(addresses)
        self.enrolment.reconcile()
        self.sockmap.want(snapshot.mesh.sockmap, self.enrolment.asks_for_sockmap)

    def resolved(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """Names have these addresses now."""
        self.kernel.apply(self._numbers.numbered(), addresses, self.restless(), self._closed)

    def end(self) -> None:
        """An orderly end: nothing is left in the kernel, but for pods whose connections are to be refused now."""
        self.kernel.clear(self.enrolment.closed())

    def pod_starts(self, pod: str, hosts: Iterable[str]) -> None:
        """A pod is made for these hosts, which is no endpoint yet."""
        self._calm.starts(pod, hosts, time.monotonic())

    def pod_ends(self, pod: str, hosts: Iterable[str]) -> None:
        """A pod behind these hosts leaves, or is gone: the proxy has their connections from now on."""
        self._calm.ends(pod, hosts, time.monotonic())
        self.kernel.settle(self.restless())

    def restless(self) -> dict[str, str]:
        """The hosts whose connections are the proxy's for a while, each with the reason."""
        return self._calm.reasons(time.monotonic())

    def finish_start(self) -> None:
        """The first tables are in force: take over or remove what an earlier process left."""
        self.enrolment.finish_start()
        self._started = True

    def replay(self, link: WorkerLink) -> Iterator[tuple[Message, Sequence[int]]]:
        """What a new worker is told of the kernel."""
        yield SetMaps(heartbeat_slot=link.number), self.kernel.worker_fds
        if self.sockmap.offered:
            yield SetSockmap(), self.kernel.sockmap_fds

    def take_traffic(self, views: Views) -> bytes:
        """What went past the workers since the last time, as a worker's dump; empty where nothing did."""
        taken = self.kernel.take_traffic()
        for path, host in kernel_traffic.failures(taken, self.enrolment.client_of, views):
            self._calm.failed(host, show(path.backend), time.monotonic())
        for place, count in kernel_traffic.places(taken, self.enrolment.client_of, views):
            self.connections[place] += count
        for place in list(self.connections)[:-PLACES]:
            del self.connections[place]
        self.kernel.settle(self.restless())
        settled = self._standing.settle(taken)
        return kernel_traffic.dump(settled, self.enrolment.client_of, views, self.endpoints) if settled else b""

    def missing(self) -> list[str]:
        """What is missing for readiness."""
        missing = [self.unproven] if self.unproven else []
        return missing + [f"pod {key} is not enrolled: {why}" for key, why in self.enrolment.waiting().items()]

    async def _watch_pods(self) -> None:
        """Pods come and go on their own: look often while one is awaited, less often otherwise."""
        while True:
            await asyncio.sleep(POD_INTERVAL)
            if not self._started:
                continue
            try:
                self.enrolment.reconcile()
                self.kernel.settle(self.restless())
            except OSError as error:
                log.error("pods not reconciled", error=error)

    async def _count_standing(self) -> None:
        """Look at the connections in kernel mode that stand, so that their bytes are counted before they end, as the
        proxy's are."""
        failure = ""
        while True:
            took = 0.0
            if self._started:
                began = time.monotonic()
                try:
                    await self._look_at_standing()
                    failure = ""
                except OSError as error:
                    if failure != (failure := str(error)):
                        log.warning("connections in kernel mode are counted at their ends alone", error=error)
                took = time.monotonic() - began
            await asyncio.sleep(max(STANDING_INTERVAL, STANDING_SHARE * took) if self._started else POD_INTERVAL)

    async def _look_at_standing(self) -> None:
        """Raises OSError."""
        found = self.enrolment.namespaces()
        # A pod may leave meanwhile, and its descriptor's number be another's.
        owned = [os.dup(namespace) for _, namespace, _ in found]
        self._standing.begin()
        try:
            standing = await asyncio.to_thread(self.kernel.standing, owned)
        except BaseException:
            self._standing.abandon()
            raise
        finally:
            for namespace in owned:
                os.close(namespace)
        self._standing.end(standing, {cookie: began for cookie, _, began in found})

    async def _prove(self) -> None:
        """One redirected connection through the whole data path, before the node calls itself ready; then sockmap,
        where it is asked for."""
        while self.unproven:
            await asyncio.sleep(PROOF_INTERVAL)
            if not any(link.applied for link in self._fleet):
                continue
            unproven = await asyncio.to_thread(self.kernel.self_test)
            if unproven and unproven != self.unproven:
                log.error("self-test failed", why=unproven)
            self.unproven = unproven
            self._changed()
        while True:
            await asyncio.sleep(POD_INTERVAL)
            try:
                await self.sockmap.decide()
            except OSError as error:
                log.error("sockmap not decided", error=error)

    def _sockmap_changed(self) -> None:
        """Workers first: an app's socket that is entered before they know goes by TCP."""
        if self.sockmap.offered:
            self._fleet.tell(SetSockmap(), self.kernel.sockmap_fds)
        self.enrolment.offer_sockmap(self.sockmap.offered)
        self.enrolment.reconcile()
