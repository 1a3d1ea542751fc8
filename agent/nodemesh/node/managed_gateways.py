"""Deploys a workload for each managed Gateway, by server-side apply."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from ..registry.sources.api import Api, ApiError
from .election import PAUSE_SECONDS, Election
from .gateway_rights import Manifest, is_abroad
from .logs import Log
from .reconciler import Reconciler

log = Log("control")

#: Seconds between two objects.
PACE = 0.05

Placed = tuple[str, Manifest]


class ManagedGateways(Reconciler[str, Manifest]):
    """`wanted` gives every object with the path of its collection; what belongs to a Gateway that is gone is deleted by
    the cluster, whose owner it was."""

    interval = 2.0
    pause = PAUSE_SECONDS
    failure = "a Gateway's workload could not be deployed"
    rights = "manifests/overlays/gateways"
    forbidden_alone = True

    def __init__(
        self,
        api: Api,
        wanted: Callable[[], Iterable[Placed]],
        election: Election,
        random: Callable[[], float],
        pace: float = PACE,
    ) -> None:
        super().__init__(election, random, pace)
        self._api = api
        self._placed = wanted

    def wanted(self) -> dict[str, Manifest]:
        """What a Gateway has no more of another namespace is taken from its Role there."""
        found = {f"{place}/{manifest['metadata']['name']}": manifest for place, manifest in self._placed()}
        for key, manifest in self._written.items():
            if key not in found and is_abroad(manifest) and manifest["rules"]:
                found[key] = {**manifest, "rules": []}
        return found

    async def put(self, key: str, item: Manifest) -> bool:
        try:
            await self._api.apply(key, msgspec.Raw(msgspec.json.encode(item)))
        except ApiError as error:
            if error.status == 404 and item["kind"] == "RoleBinding":
                return False  # the API server looks up the new Role in a cache, which is late at times
            raise
        log.info("applied", object=f"{item['kind']} {item['metadata']['name']}")
        return True
