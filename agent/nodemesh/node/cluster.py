"""The cluster as control follows it: the API server's client, the source that reads it, and how both stand."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..admin.state import AdminNode
from ..config.core import CredentialSpec
from ..registry.assemble import ObjectKey
from ..registry.snapshot import Snapshot
from ..registry.sources.directory import SourceChanges
from ..registry.sources.relayed import RelayedApi, served_for
from ..registry.sources.resources import resources
from ..registry.staging import Staging
from ..routing.tables import Tables
from .credentials import Use
from .election import Election
from .enrol import Failing
from .kubeconfig import own_namespace
from .logs import Log
from .managed_gateways import ManagedGateways, Placed
from .materials import Secrets
from .options import RunOptions
from .outages import lost_since, tell_outages
from .peer_door import PeerDoor
from .peers import Peers
from .pod_events import PodEvents
from .remotes import Remotes, Take
from .reporter import Reporter
from .rollouts import Counts, Rollouts
from .route_facts import StatusJudge
from .routestatus import WantedStatus
from .routestatuses import RouteStatuses
from .startup_taint import StartupTaint
from .statuses import StatusWriter

log = Log("control")

#: The file of the last good state, in the folder that --state-dir names.
STATE_FILE = "cluster.msgpack"


class FollowedCluster:
    """One API server, and those of the other clusters. The client library takes 50 MB: it is loaded here, and only for
    those who want it."""

    def __init__(
        self,
        options: RunOptions,
        secrets_changed: Callable[[], None],
        take_remote: Take,
        failing: Callable[[], Sequence[Failing]],
        statuses: Callable[[StatusJudge, Callable[[ObjectKey], str]], Iterable[WantedStatus]],
        managed: Callable[[], Iterable[Placed]],
        snapshot: Callable[[], Snapshot],
        ready: Callable[[], bool],
        staging: Callable[[], Staging],
        canaries: Callable[[], Awaitable[Counts]],
    ) -> None:
        """`take_remote` is given what other clusters of the mesh say; `failing` tells this node's pods that cannot be
        served; `statuses` judges the Gateway API's objects, `managed` has what its Gateways are to get; `snapshot` is
        the newest; `ready` is whether the node is served; `staging` how rollouts stand, `canaries` what this node's are
        counted."""
        from ..registry.sources.cache import Cache
        from ..registry.sources.cluster import ClusterSource
        from ..registry.sources.kubernetes import ApiServer, login_at, login_by
        from ..registry.sources.secrets import SecretSource

        login = login_by(options.kubeconfig)
        self.api = ApiServer(login)
        self.relay: RelayedApi | None = None
        if options.relay:
            self._relay_server = ApiServer(login_at(login, options.relay, options.relay_ca))
            served = served_for(resources(options.node))
            self.relay = RelayedApi(self.api, self._relay_server, served, random.random, time.monotonic)
        cache = Cache(Path(options.state_dir, STATE_FILE), options.node) if options.state_dir else None
        self.source = ClusterSource(self.relay or self.api, options.node, cache, random.random)
        self.secrets = SecretSource(self.api, random.random, secrets_changed)
        election = Election(self.api, options.node, own_namespace(), time.monotonic)
        self._reporter = Reporter(self.api, self.source.refusals, election, options.node, random.random)
        self._pod_events = PodEvents(self.api, failing, options.node, time.monotonic)
        self._statuses = StatusWriter(
            self.api, self.source.verdicts, lambda: self.statuses_wanted, election, random.random
        )
        self.remotes = Remotes(options, self.api, own_namespace(), take_remote)
        self.peers: Peers | None = None
        self._door: PeerDoor | None = None
        if options.peers is not None:
            self.peers = Peers(snapshot, options.node, own_namespace(), options.peers_token)
            self._door = PeerDoor(self.api, options.peers, own_namespace(), self.peers.knows)
        self._judge = StatusJudge()
        self._route_statuses = RouteStatuses(
            self.api, lambda: statuses(self._judge, self.source.path_of), election, random.random
        )
        self._managed = ManagedGateways(self.api, managed, election, random.random)
        self._taint: StartupTaint | None = None
        if options.startup_taint:
            self._taint = StartupTaint(self.api, options.node, ready, random.random)
        self._manages = bool(options.gateway_image)
        self._rollouts = Rollouts(
            self.api, options.node, lambda: self.started, staging, canaries, election, random.random, time.monotonic
        )
        self._speaks = not options.gateway  # what there is to say of rules, the nodes' agents say
        self.statuses_wanted = False  # MeshConfig's enableStatus
        self._used: set[str] = set()  # Secrets that rules in use name
        self.started = False  # the first batch is in force

    async def run(self) -> None:
        """Follow the cluster, and tell it what is refused and who cannot be served, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.source.run(), name="source")
                tasks.create_task(tell_outages(self.source.outage, log), name="outage")
                tasks.create_task(self.secrets.run(), name="secrets")
                tasks.create_task(self.remotes.run(), name="remotes")
                if self._speaks:
                    tasks.create_task(self._reporter.run(), name="reporter")
                    tasks.create_task(self._pod_events.run(), name="pod events")
                    tasks.create_task(self._statuses.run(), name="statuses")
                    tasks.create_task(self._route_statuses.run(), name="route statuses")
                    tasks.create_task(self._rollouts.run(), name="rollouts")
                if self._taint is not None:
                    tasks.create_task(self._taint.run(), name="startup taint")
                if self._speaks and self._manages:
                    tasks.create_task(self._managed.run(), name="managed gateways")
        finally:
            if self.peers is not None:
                await self.peers.close()
            await self.api.close()
            if self.relay is not None:
                await self._relay_server.close()

    async def answer_peers(self, node: AdminNode) -> None:
        """Tell the agents of other nodes what they ask, until cancelled."""
        if self._door is not None:
            await self._door.run(node)

    @property
    def lost_since(self) -> float:
        """When the API server fell silent, in seconds since the epoch; 0 while it answers."""
        return lost_since(self.source.outage)

    @property
    def heard(self) -> float:
        """Seconds since the API server last said anything; since ever, where it never did."""
        return max(0.0, time.time() - self.source.outage.heard)

    async def first(self) -> SourceChanges:
        """The first batch, once it is worth putting in force: other clusters get a moment to tell theirs."""
        changes = await self.source.next()
        await self.remotes.settled()
        return changes

    async def next(self) -> SourceChanges:
        return await self.source.next()

    def want_secrets(self, uses: Iterable[Use]) -> None:
        """Follow the Secrets that are used, and those that statuses speak of where we write them."""
        self._used = {key for use in uses if not use.withheld for key in (*use.secrets, *use.beside)}
        self.secrets.want(self._used | self._judged)

    @property
    def _judged(self) -> set[str]:
        return self._judge.secrets if self._route_statuses.leads else set()

    def judged(
        self,
        judge: StatusJudge,
        snapshot: Snapshot,
        tables: Tables,
        secrets: Secrets,
        path_of: Callable[[ObjectKey], str],
    ) -> list[WantedStatus]:
        """The statuses as they should be; the Secrets that they speak of are followed from now on."""
        told = self.secrets.absence_told
        wanted = judge.wanted(snapshot, tables.attached, secrets.specs, told, path_of)
        self.secrets.want(self._used | self._judged)
        return wanted

    def secrets_beside(self, own: Mapping[str, CredentialSpec]) -> Secrets:
        """The cluster's Secrets, and others that count before those of the same names."""
        found = self.secrets
        return Secrets({**found.secrets, **own}, lambda key: "" if key in own else found.why_absent(key), True)

    def missing(self) -> list[str]:
        """What is missing before the node knows the cluster."""
        if self.started:
            return [f"the API server has not told {line}" for line in self.secrets.waiting_for()]
        return [f"the API server has not told {line}" for line in self.source.waiting_for()] or ["the first tables"]

    def status(self) -> dict[str, Any]:
        """/status: where the cluster's state is from, and how each watch stands."""
        return {
            "from_disk": self.source.from_disk,
            "lost_since": self.lost_since,
            "lost_why": self.source.outage.why if self.lost_since else "",
            "save_error": self.source.save_error,
            "relay": {"asked": self.relay.by_relay, "why_not": self.relay.why} if self.relay is not None else None,
            "remotes": [msgspec.to_builtins(row) for row in self.remotes.status()],
            "resources": [msgspec.to_builtins(row) for row in self.source.status()],
        }
