"""Takes the startup taint from this node once the agent serves it: what waits for that is scheduled from then on.

Who registers nodes sets it (the kubelet's --register-with-taints, a node pool's settings); nodemesh never does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from ..registry.sources.api import ApiError, Query
from ..registry.sources.backoff import Backoff, Random
from .logs import Log

log = Log("control")

TAINT = "nodemesh.io/agent-not-ready"

#: Seconds between looks whether the agent serves.
LOOK = 0.5


class NodeApi(Protocol):
    """What this needs of the API server's client. Both raise ApiError."""

    async def get(self, path: str, query: Query, accept: str) -> bytes: ...

    async def merge(self, path: str, body: msgspec.Raw) -> bytes: ...


class StartupTaint:
    """`node` is this node's name, `ready` tells whether its agent serves."""

    def __init__(self, api: NodeApi, node: str, ready: Callable[[], bool], random: Random) -> None:
        self._api = api
        self._path = f"/api/v1/nodes/{node}"
        self._ready = ready
        self._backoff = Backoff(random)

    async def run(self) -> None:
        """Until it is gone."""
        while True:
            while not self._ready():
                await asyncio.sleep(LOOK)
            try:
                if await self.remove():
                    log.info("the startup taint is removed", taint=TAINT)
                return
            except (ApiError, msgspec.DecodeError) as error:
                log.warning("the startup taint could not be removed", taint=TAINT, error=error)
            await asyncio.sleep(self._backoff.next())

    async def remove(self) -> bool:
        """Whether it was there. The others stay: a node that has changed meanwhile is not written. Raises ApiError."""
        node: dict[str, Any] = msgspec.json.decode(await self._api.get(self._path, {}, "application/json"))
        taints = node["spec"].get("taints") or []
        left = [taint for taint in taints if taint.get("key") != TAINT]
        if len(left) == len(taints):
            return False
        version = {"resourceVersion": node["metadata"]["resourceVersion"]}
        await self._api.merge(
            self._path, msgspec.Raw(msgspec.json.encode({"metadata": version, "spec": {"taints": left}}))
        )
        return True
