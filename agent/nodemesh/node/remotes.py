"""The other clusters of the mesh: which there are, by the command line and by Secrets, and each of them followed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..registry.assemble import ObjectKey
from ..registry.sources.directory import SourceChanges
from .logs import Log
from .options import CLUSTER_NAME, RunOptions

if TYPE_CHECKING:
    from ..registry.sources.cache import Cache
    from ..registry.sources.cluster import ClusterSource
    from ..registry.sources.kubernetes import ApiServer, Login
    from ..registry.sources.reading import Reading
    from ..registry.sources.resources import Resource

log = Log("control")

#: The folder of the other clusters' last good states, in the folder that --state-dir names.
STATE_FOLDER = "clusters"

#: Clusters that are followed at most; each costs what the own one costs, but for the rules.
MAX_REMOTES = 64

#: Seconds that a start waits for another cluster before what is on disk serves, and that the first tables wait for all
#: of them.
PATIENCE = 3.0
SETTLING = 5.0

COMMAND_LINE = "--remote"

#: What a cluster is called that was given no name: Istio's default.
OWN_CLUSTER = "Kubernetes"

#: Takes a cluster's changes in; True: they are all there is. None for the changes: the cluster is no part of the mesh.
Take = Callable[[str, SourceChanges | None, bool], None]


class WantedRemote(msgspec.Struct, frozen=True):
    """One other cluster as it was asked for: `origin` says where, `kubeconfig` is a path (command line) or the text."""

    name: str
    origin: str
    kubeconfig: str | bytes

    def __repr__(self) -> str:
        return f"<cluster {self.name} by {self.origin}>"

    @property
    def login(self) -> Login:
        from ..registry.sources.kubernetes import from_kubeconfig, from_kubeconfig_text

        given = self.kubeconfig
        if isinstance(given, bytes):
            return lambda: from_kubeconfig_text(given)
        return lambda: from_kubeconfig(given)


class RemoteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one other cluster stands. `state` is "connecting" (nothing is known of it yet), "synced", "from disk" (what
    it was like before it went out of reach), "lost" (its last state serves) or "refused" (`error` says why)."""

    name: str
    origin: str
    state: str
    services: int = 0
    error: str = ""


class Remote:
    """One other cluster that is followed."""

    def __init__(self, wanted: WantedRemote, api: ApiServer, source: ClusterSource) -> None:
        self.wanted = wanted
        self.api = api
        self.source = source
        self.started = False  # its first state is in force
        self.task: asyncio.Task[None] | None = None

    def status(self) -> RemoteStatus:
        rows = self.source.status()
        errors = [row.error for row in rows if row.error]
        if not self.started:
            state = "connecting"
        elif self.source.from_disk:
            state = "from disk"
        else:
            state = "lost" if errors else "synced"
        return RemoteStatus(
            name=self.wanted.name,
            origin=self.wanted.origin,
            state=state,
            services=next((row.objects for row in rows if row.name == "services"), 0),
            error=next(iter(errors), ""),
        )


class Remotes:
    """`run` follows all of them until cancelled. A cluster that cannot be reached leaves the others alone, and keeps
    what was last known of it."""

    def __init__(self, options: RunOptions, api: ApiServer, namespace: str, take: Take) -> None:
        """`api` is the own cluster's, `namespace` where its Secrets are looked for."""
        self._options = options
        self._take = take
        self._api = api
        self._namespace = namespace
        self._given = {item.name: WantedRemote(item.name, COMMAND_LINE, item.kubeconfig) for item in options.remotes}
        self._from_secrets: dict[ObjectKey, dict[str, WantedRemote]] = {}
        self._refused: dict[str, RemoteStatus] = {}
        self._remotes: dict[str, Remote] = {}
        self._secrets_known = not options.remote_secrets
        self._secrets_error: Callable[[], str] = lambda: ""
        self._orphans: set[str] = set()  # clusters of which nothing but the state on disk is known
        self._progress = asyncio.Event()

    async def run(self) -> None:
        self._follow_wanted()
        try:
            if self._options.remote_secrets:
                await self._watch_secrets()
            else:
                await asyncio.Event().wait()
        finally:
            for remote in list(self._remotes.values()):
                await self._end(remote)

    async def settled(self, seconds: float = SETTLING) -> None:
        """Until every other cluster that is known to be there has told its state, or for so long. Where the own API
        server does not tell which there are, the last states of those on disk serve."""
        try:
            async with asyncio.timeout(seconds):
                while not self._secrets_known or not all(remote.started for remote in self._remotes.values()):
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            if not self._secrets_known:
                self._restore()

    def _restore(self) -> None:
        for path in self._state_files():
            if path.stem in self._remotes:
                continue
            found = self._cache(path.stem)
            held = found.load() if found is not None else {}
            items = {key: item for objects in held.values() for key, item in objects.items()}
            if items:
                self._orphans.add(path.stem)
                self._take(path.stem, SourceChanges(items, (), ()), True)

    def status(self) -> list[RemoteStatus]:
        rows = [remote.status() for remote in self._remotes.values()]
        rows += self._refused.values()
        rows += [RemoteStatus(name=name, origin="disk", state="from disk") for name in self._orphans]
        error = self._secrets_error()
        if error:
            origin = f"Secrets in {self._namespace}"
            rows.append(RemoteStatus(name="", origin=origin, state="refused", error=error))
        return sorted(rows, key=lambda row: row.name)

    # which there are

    async def _watch_secrets(self) -> None:
        from ..registry.sources.reading import ObjectReader
        from ..registry.sources.reflector import Reflector
        from ..registry.sources.resources import remote_secrets

        reflector = Reflector(self._api, remote_secrets(self._namespace), self, ObjectReader(), random.random)
        self._secrets_error = lambda: reflector.error
        await reflector.run()

    def replace(self, resource: Resource, readings: Iterable[Reading]) -> None:
        before, self._from_secrets = self._from_secrets, {}
        for reading in readings:
            self._note(reading, before)
        self._secrets_known = True
        self._follow_wanted()
        for name in self._orphans - self._remotes.keys():
            self._take(name, None, True)
        self._orphans.clear()
        for path in self._state_files():
            if path.stem not in self._remotes:
                path.unlink(missing_ok=True)

    def put(self, resource: Resource, reading: Reading) -> None:
        self._note(reading, self._from_secrets)
        self._follow_wanted()

    def _note(self, reading: Reading, before: Mapping[ObjectKey, dict[str, WantedRemote]]) -> None:
        """A Secret that cannot be read leaves in force what it said before."""
        found = before.get(reading.key, {}) if reading.item is None else dict(self._wanted_by(reading))
        self._from_secrets[reading.key] = found

    def remove(self, resource: Resource, key: ObjectKey, version: str = "") -> None:
        self._from_secrets.pop(key, None)
        self._follow_wanted()

    @staticmethod
    def _wanted_by(reading: Reading) -> Iterator[tuple[str, WantedRemote]]:
        """Each key of a Secret is a cluster's name, its value a kubeconfig."""
        assert reading.item is not None
        origin = f"Secret {reading.key.namespace}/{reading.key.name}"
        for name, kubeconfig in sorted(reading.item.spec.data.items()):
            yield name, WantedRemote(name, origin, bytes(kubeconfig))

    def _follow_wanted(self) -> None:
        """Begin and end what is to be followed, as it is wanted now. What is refused leaves in force what was there."""
        wanted, known, self._refused = dict(self._given), self._refused, {}
        own = self._options.cluster or OWN_CLUSTER
        for item in (item for _, found in sorted(self._from_secrets.items()) for item in found.values()):
            why = why_not(item, wanted) if item.name != own else ""
            if why:
                row = self._refused[f"{item.name} {item.origin}"] = refused(item, why)
                if row not in known.values():
                    log.error("cluster refused", cluster=item.name, by=item.origin, why=why)
                before = self._remotes.get(item.name)
                if before is not None and before.wanted.origin == item.origin:
                    wanted[item.name] = before.wanted
            elif item.name != own:
                wanted[item.name] = item
        for name, remote in list(self._remotes.items()):
            if wanted.get(name) != remote.wanted:
                self._leave(remote, for_good=name not in wanted)
        for name, item in wanted.items():
            if name not in self._remotes:
                log.info("cluster joined", cluster=name, by=item.origin)
                self._remotes[name] = self._begin(item)
        self._progress.set()

    # one of them

    def _state_files(self) -> list[Path]:
        return sorted(Path(self._options.state_dir, STATE_FOLDER).glob("*.msgpack")) if self._options.state_dir else []

    def _cache(self, name: str) -> Cache | None:
        from ..registry.sources.cache import Cache

        if not self._options.state_dir:
            return None
        return Cache(Path(self._options.state_dir, STATE_FOLDER, f"{name}.msgpack"), self._options.node)

    def _begin(self, wanted: WantedRemote) -> Remote:
        from ..registry.sources.cluster import ClusterSource
        from ..registry.sources.kubernetes import ApiServer
        from ..registry.sources.resources import remote_resources

        api, cache = ApiServer(wanted.login), self._cache(wanted.name)
        source = ClusterSource(
            api, self._options.node, cache, random.random, wanted=remote_resources(), patience=PATIENCE
        )
        remote = Remote(wanted, api, source)
        remote.task = asyncio.create_task(self._follow(remote), name=f"cluster-{wanted.name}")
        return remote

    def _leave(self, remote: Remote, *, for_good: bool) -> None:
        name = remote.wanted.name
        log.info("cluster left" if for_good else "cluster's access changed", cluster=name, by=remote.wanted.origin)
        del self._remotes[name]
        if remote.task is not None:
            remote.task.cancel()
        if for_good:
            for path in self._state_files():
                if path.stem == name:
                    path.unlink(missing_ok=True)
            self._take(name, None, True)

    async def _follow(self, remote: Remote) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(remote.source.run(), name="source")
                while True:
                    changes = await remote.source.next()
                    self._take(remote.wanted.name, changes, not remote.started)
                    if not remote.started:
                        remote.started = True
                        self._progress.set()
                        state = remote.status().state
                        log.info("another cluster is known", cluster=remote.wanted.name, state=state)
        except Exception:
            log.exception("cluster not followed any more", cluster=remote.wanted.name)
        finally:
            await remote.api.close()

    @staticmethod
    async def _end(remote: Remote) -> None:
        if remote.task is not None:
            remote.task.cancel()
            await asyncio.gather(remote.task, return_exceptions=True)


def why_not(item: WantedRemote, wanted: Mapping[str, WantedRemote]) -> str:
    """Why a Secret's cluster is not followed beside those that are; empty where it is."""
    from ..registry.sources.kubeconfig import KubeconfigError, read_kubeconfig

    if not CLUSTER_NAME.fullmatch(item.name):
        return "a cluster's name has letters, digits, '.', '-' and '_'; it is the key in the Secret"
    if item.name in wanted:
        return f"{wanted[item.name].origin} has this cluster already"
    if len(wanted) >= MAX_REMOTES:
        return f"no more than {MAX_REMOTES} clusters are followed"
    try:
        read_kubeconfig(item.kubeconfig) if isinstance(item.kubeconfig, bytes) else None
    except KubeconfigError as error:
        return str(error)
    return ""


def refused(wanted: WantedRemote, why: str) -> RemoteStatus:
    return RemoteStatus(name=wanted.name, origin=wanted.origin, state="refused", error=why)
