"""The cluster as control follows it: the API server's client, the source that reads it, and how both stand."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec

from ..registry.sources.directory import Changes
from .options import RunOptions
from .remotes import Remotes, Take
from .reporter import Reporter

#: The file of the last good state, in the folder that --state-dir names.
STATE_FILE = "cluster.msgpack"

#: Where the agents are (manifests/agent/namespace.yaml), and where a pod finds out where it is.
NAMESPACE = "nodemesh-system"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    """The namespace of the pod that this is, or where the agents usually are."""
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError:
        return NAMESPACE


class Cluster:
    """One API server, and those of the other clusters. The client library takes 50 MB: it is loaded here, and only for
    those who want it."""

    def __init__(self, options: RunOptions, take_remote: Take) -> None:
        """`take_remote` is given what other clusters of the mesh say."""
        from ..registry.sources.cache import Cache
        from ..registry.sources.cluster import ClusterSource
        from ..registry.sources.kubernetes import ApiServer, login_by

        self.api = ApiServer(login_by(options.kubeconfig))
        cache = Cache(Path(options.state_dir, STATE_FILE), options.node) if options.state_dir else None
        self.source = ClusterSource(
            self.api, options.node, cache, random.random, own_namespace() if options.gateway else ""
        )
        self._reporter = Reporter(self.api, self.source.refusals, options.node, own_namespace(), random.random)
        self.remotes = Remotes(options, self.api, own_namespace(), take_remote)
        self.started = False  # the first batch is in force

    async def run(self) -> None:
        """Follow the cluster, and tell it what is refused, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.source.run(), name="source")
                tasks.create_task(self._reporter.run(), name="reporter")
                tasks.create_task(self.remotes.run(), name="remotes")
        finally:
            await self.api.close()

    async def first(self) -> Changes:
        """The first batch, once it is worth putting in force: other clusters get a moment to tell theirs."""
        changes = await self.source.next()
        await self.remotes.settled()
        return changes

    async def next(self) -> Changes:
        return await self.source.next()

    def missing(self) -> list[str]:
        """What is missing before the node knows the cluster."""
        if self.started:
            return []
        return [f"the API server has not told {line}" for line in self.source.waiting_for()] or ["the first tables"]

    def status(self) -> dict[str, Any]:
        """/status: where the cluster's state is from, and how each watch stands."""
        return {
            "from_disk": self.source.from_disk,
            "save_error": self.source.save_error,
            "remotes": [msgspec.to_builtins(row) for row in self.remotes.status()],
            "resources": [msgspec.to_builtins(row) for row in self.source.status()],
        }
