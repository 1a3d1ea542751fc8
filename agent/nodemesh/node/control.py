"""Control's work: sources -> snapshot -> tables -> workers and kernel; enrolment and the admin API beside it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..admin.http import serve
from ..admin.state import AdminNode
from ..proxy.io.memory import Allocator
from ..proxy.messages import Message
from ..registry.assemble import ObjectKey
from ..registry.multicluster import Registry
from ..registry.snapshot import Snapshot
from ..registry.sources.directory import DirectorySource, SourceChanges
from ..registry.store import CLUSTER, FILES
from ..routing.compile import compile_tables
from ..routing.views import Views
from .channel import Closed
from .cluster import FollowedCluster
from .collector import Collector
from .counters import SharedCounters
from .credentials import Credentials
from .dialled import Dialled
from .enrol import Failing
from .exporter import Exporter
from .exposed import ExposedListeners
from .first_load import check_first
from .fleet import Fleet, WorkerLink
from .foresight import Foresight
from .gatewayports import GatewayPorts
from .interception import Interception
from .listener_credentials import backend_uses, listener_uses
from .listeners import Listeners
from .logs import Log
from .managed import wanted_objects
from .managed_gateways import Placed
from .materials import MaterialSource, Secrets, only
from .operator import Operator
from .options import Ebpf, RunOptions
from .past import Past
from .problems import tell_new, tell_read, why_refused
from .propagation import Propagation
from .publish import Publisher
from .pulse import BEAT, Heart
from .resolve import Addresses, Resolver
from .review import Review
from .route_facts import StatusJudge
from .routestatus import WantedStatus
from .shadow import ShadowControl
from .store import Children, StoreClient
from .touched import hosts_touched

log = Log("control")

#: Seconds between looks at the configuration's files.
CONFIG_INTERVAL = 0.25


class Control:
    """Puts the parts together; one per process. Built by `start`, which raises StartError."""

    def __init__(self, options: RunOptions, store: StoreClient, workers: socket.socket, first: bool) -> None:
        """`first` where the agent has just been started, and this process does not stand for one that died."""
        self.options = options
        self.started = time.time()
        self.children = Children(pids={}, restarts={})
        self.source = DirectorySource(options.config)
        self.cluster: FollowedCluster | None = None
        if options.kubernetes:
            self.cluster = FollowedCluster(
                options, self._secrets_changed, self._take_remote, self.failing, self._statuses, self._managed,
                lambda: self.snapshot, lambda: not self.missing(), lambda: self.registry.staging,
                lambda: self.collector.canaries(),
            )  # fmt: skip
        self.registry = Registry(options.cluster, gateway=options.serves_gateways_alone)
        self.error = ""  # why the newest configuration is not in force
        self.reloads = {"ok": 0, "failed": 0}
        self.files_modified = 0  # ns: when the newest of those was written that were read again
        self.fleet = Fleet(workers, self._replay, self._changed, self._worker_gone)
        self.listeners = Listeners(store, self.fleet.tell)
        self.exposed = ExposedListeners(options, self.listeners)
        self.gateway_ports = GatewayPorts(options, self.listeners)
        self.exporter = Exporter(lambda: self.snapshot)
        self.collector = Collector(
            self.fleet,
            store,
            self._take_kernel_traffic,
            lambda: self.snapshot.mesh.metrics.expiry / 1000.0,
            self.exporter,
        )
        self.publisher = Publisher(self.fleet)
        self.shadow = ShadowControl(
            self.fleet,
            lambda: (self.snapshot, self.publisher.tables),
            lambda: self.interception.connections if self.interception is not None else {},
        )
        self.operator = Operator(options.operator_socket, self.fleet, self.shadow)
        self.propagation = Propagation(time.monotonic)
        self.past = Past()
        self.review = Review(lambda: (self.snapshot, self.publisher.tables) if self.publisher.tables else None)
        self.counters = SharedCounters(options.workers)
        self.resolver = Resolver(self._resolved)
        self.dialled = Dialled()
        self.credentials = Credentials()
        self.materials = MaterialSource(self.fleet.tell)
        self.views: Views | None = None
        self.interception: Interception | None = None
        if options.ebpf is not Ebpf.OFF:
            self.interception = Interception(options, self.listeners, self.fleet, self._changed)
        self.foresight = Foresight(self.registry, self.fleet, self.interception)
        if self.cluster is not None:
            self.cluster.source.on_leaving = self.foresight.leaves
        self._first = first
        self._store = store
        self._stop = asyncio.Event()
        self._ready = False
        self._begun = False  # a first snapshot is in force

    @property
    def snapshot(self) -> Snapshot:
        return self.registry.snapshot

    # life

    async def run(self, node: AdminNode) -> None:
        """Until SIGTERM or the supervisor's end; the admin API shows `node`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._first_load()
        if self.cluster is None:
            self._begin()
        admin = await serve(node, socket.socket(fileno=self._store.kept["admin"].fd))
        self._store.channel.sock.setblocking(False)
        loop.add_reader(self._store.channel.fileno(), self._hear_supervisor)
        self._store.started()
        async with asyncio.TaskGroup() as tasks:
            duties = [
                tasks.create_task(self._beat(), name="pulse"),
                *self._follow(tasks),
                tasks.create_task(self.collector.run(), name="collect"),
                tasks.create_task(self.exporter.run(), name="spans"),
                tasks.create_task(self.resolver.run(), name="dns"),
                tasks.create_task(self.review.run(), name="review"),
            ]
            if self.interception is not None:
                duties.append(tasks.create_task(self.interception.run(), name="interception"))
            if self.cluster is not None:
                duties.append(tasks.create_task(self.cluster.answer_peers(node), name="peers"))
            await self._stop.wait()
            for duty in duties:
                duty.cancel()
        if self.interception is not None:
            self.interception.end()
        await admin.cleanup()
        self.operator.close()
        self.fleet.close()

    async def _beat(self) -> None:
        """Tell the supervisor that the event loop turns."""
        heart = Heart()
        while True:
            heart.beat()
            await asyncio.sleep(BEAT)

    # the configuration

    def _first_load(self) -> None:
        """Raises StartError. A control process that is started again goes on with what is good: the workers serve."""
        changes = self.source.scan()
        self._take(FILES, changes if changes is not None else SourceChanges({}, (), ()))
        check_first(self.snapshot, strict=self._first and not self.options.keep_going)

    def _begin(self) -> None:
        """Put the first snapshot in force, and take over or remove what an earlier process left."""
        self.exposed.open(self._store.kept, self.snapshot)
        self._apply()
        if self.interception is not None:
            self.interception.finish_start()
        self.listeners.drop_left()
        self._begun = True
        # What a big cluster's first state consists of lives long: looking through it for garbage takes half a second.
        gc.collect()
        gc.freeze()
        Allocator().let_go()

    def _follow(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Follow the sources."""
        if self.cluster is None:
            return [tasks.create_task(self._watch_config(), name="config")]
        return [
            tasks.create_task(self.cluster.run(), name="cluster"),
            tasks.create_task(self._follow_cluster(self.cluster), name="config"),
        ]

    def _take(self, source: str, changes: SourceChanges) -> None:
        """Take a source's changes into the registry, and say what was refused. What was good before stays in force in
        the place of what is refused now."""
        known, workloads = set(self.snapshot.problems), self.snapshot.workloads
        problems = self.registry.apply(source, changes.changed, changes.removed, changes.problems).problems
        if source == CLUSTER and self._begun:
            self.foresight.see(workloads, changes.changed.values())
        if self.cluster is not None:
            self.cluster.source.objections = self.registry.objections
            self.cluster.source.held_back = dict(self.registry.staging.problems)
        self.error = why_refused(problems)
        tell_new(log, problems, known)

    async def _follow_cluster(self, cluster: FollowedCluster) -> None:
        """Wait for the cluster's first state, put it in force, then follow it and the files."""
        self._take(CLUSTER, await cluster.first())
        self._begin()
        cluster.started = True
        log.info("the cluster is known", version=self.publisher.version, from_disk=cluster.source.from_disk)
        self._changed()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_config(), name="files")
            while True:
                changes = await cluster.next()
                self._renew(partial(self._take, CLUSTER, changes))

    def _take_remote(self, cluster: str, changes: SourceChanges | None, whole: bool) -> None:
        """Bring another cluster's changes into force; before the own one is known they wait in the registry."""
        if changes is None:
            self._renew(partial(self.registry.remove_remote, cluster))
        else:
            self._renew(partial(self.registry.apply_remote, cluster, changes.changed, changes.removed, whole=whole))

    def _renew(self, take: Callable[[], object]) -> None:
        """Take changes in and bring them into force. Whatever fails: the last good tables serve on, and the next change
        is tried."""
        self.propagation.seen()
        try:
            take()
            if self._begun:
                self._apply()
            self.reloads["failed" if self.error else "ok"] += 1
        except Exception:
            self.error = "an internal error kept the newest configuration out; the agent's log has it"
            self.reloads["failed"] += 1
            log.exception("configuration not applied")

    async def _watch_config(self) -> None:
        while True:
            await asyncio.sleep(CONFIG_INTERVAL)
            try:
                self.materials.scan()
                changes = await asyncio.to_thread(self.source.scan)
            except Exception:
                log.exception("configuration not read")
                continue
            if changes is not None:
                self._renew(partial(self._take, FILES, changes))
                self.files_modified = self.source.modified
                tell_read(log, self.publisher.version, self.snapshot.causes, self.error)

    def _apply(self) -> None:
        """Bring everything to the newest snapshot: workers, then kernel, then pods."""
        snapshot = self.snapshot
        tables = compile_tables(snapshot, self.publisher.tables)
        self.views = Views(tables, self.views)
        pods = self.interception.clients(snapshot) if self.interception is not None else {}
        clients = [*pods.values(), *self.exposed.clients(snapshot), *self.gateway_ports.clients(snapshot)]
        self.counters.assign(self.views, clients)
        uses = (
            *self.credentials.uses(snapshot, clients, self.registry.reach),
            *listener_uses(tables, clients),
            *backend_uses(tables, clients),
        )
        if self.cluster is not None:
            self.cluster.want_secrets(uses)
            self.cluster.statuses_wanted = snapshot.mesh.enable_status
        self.materials.want(uses, self._secrets())
        self.publisher.publish(tables)
        self.shadow.follow()
        edits = self.registry.take_edits()
        objects, touched = self.past.add(tables.version, edits), hosts_touched(edits, snapshot.mesh.cluster_domain)
        self.propagation.published(tables.version, tables.causes, time.time(), objects, touched)
        self.review.due()
        self.resolver.want(snapshot)
        if self.dialled.see(snapshot):
            self.fleet.tell(self.dialled.message())
        self.exposed.update(snapshot, self.views)
        self.gateway_ports.update(self.views, snapshot)
        if self.interception is not None:
            self.interception.apply(snapshot, self.views, pods, self.dialled.addresses)

    def _statuses(self, judge: StatusJudge, path_of: Callable[[ObjectKey], str]) -> list[WantedStatus]:
        """Of the Gateway API's objects, as they are in force."""
        tables = self.publisher.tables
        if tables is None or self.cluster is None:
            return []
        return self.cluster.judged(judge, self.snapshot, tables, self._secrets(), path_of)

    def _managed(self) -> Iterator[Placed]:
        """What the Gateways that we deploy for are to have."""
        return wanted_objects(self.publisher.tables, self.snapshot, self.options.gateway_image)

    def _secrets(self) -> Secrets:
        own = self.registry.secrets
        return self.cluster.secrets_beside(own) if self.cluster is not None else only(own)

    def _secrets_changed(self) -> None:
        """The cluster has other Secrets."""
        self.materials.renew(self._secrets())
        self._changed()

    def _resolved(self, addresses: Addresses) -> None:
        """Names have other addresses."""
        self.dialled.resolve(addresses)
        self.fleet.tell(self.dialled.message())
        if self.interception is not None:
            self.interception.resolved(self.dialled.addresses)

    # workers

    def _replay(self, link: WorkerLink) -> Iterator[tuple[Message, Sequence[int]]]:
        """What a new worker is told: the kernel's side first, then tables, and only then where to accept from."""
        if self.interception is not None:
            yield from self.interception.replay(link)
        yield self.counters.message()
        yield self.dialled.message(), ()
        yield from self.materials.replay()
        yield from self.publisher.replay(link)
        yield from self.shadow.replay()
        yield from self.operator.replay()
        yield from self.listeners.replay()

    def _changed(self) -> None:
        if self._stop.is_set():
            return
        applied = [link.applied for link in self.fleet]
        if applied and len(applied) == self.options.workers:
            self.collector.in_force(self.propagation.applied(min(applied)))
        missing = self.missing()
        if self._ready != (not missing):
            self._ready = not missing
            if self._ready:
                self._say_ready()
                if self.interception is not None:
                    self.interception.kernel.remove_other_layouts()
                log.info("ready", version=self.publisher.version, workers=self.options.workers)
            else:
                log.warning("not ready", missing="; ".join(missing))

    def _say_ready(self) -> None:
        try:
            self._store.ready()
        except Closed:
            self._stop.set()

    def _worker_gone(self, key: str) -> None:
        self.collector.retire(key)
        self.counters.forget(int(key.partition("/")[0]))

    def _take_kernel_traffic(self) -> bytes:
        interception, views = self.interception, self.views
        return interception.take_traffic(views) if interception is not None and views is not None else b""

    def missing(self) -> list[str]:
        """What is missing for readiness."""
        missing = [] if self.publisher.version else ["no configuration is in force yet"]
        missing += self.cluster.missing() if self.cluster is not None else []
        # Who has tables serves by them until it has the next: changes make nobody unready, however many there are.
        idle = self.options.workers - sum(link.applied > 0 for link in self.fleet)
        if idle:
            missing.append(f"{idle} of {self.options.workers} workers have no tables yet")
        return missing + (self.interception.missing() if self.interception is not None else [])

    def failing(self) -> list[Failing]:
        """The node's pods that run and cannot be served as they are to be: no trouble of the others'."""
        return self.interception.enrolment.failing() if self.interception is not None else []

    # the supervisor

    def _hear_supervisor(self) -> None:
        try:
            word, fds = self._store.channel.receive()
        except BlockingIOError:
            return
        except Closed:
            asyncio.get_running_loop().remove_reader(self._store.channel.fileno())
            self._stop.set()
            return
        if isinstance(word, Children):
            self.children = word
        for fd in fds:
            os.close(fd)
