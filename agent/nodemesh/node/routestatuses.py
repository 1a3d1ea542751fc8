"""Writes the statuses of the Gateway API's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..registry.assemble import ObjectKey
from ..registry.sources.api import Api
from .election import PAUSE_SECONDS, Clock, Election, utc_now
from .reconciler import Reconciler
from .routestatus import WantedStatus, joined
from .subresource import update_status

#: Seconds between two objects: so many writes a second are the most.
PACE = 0.05


class RouteStatuses(Reconciler[ObjectKey, WantedStatus]):
    """`wanted` tells all statuses as they should be."""

    interval = 1.0
    pause = PAUSE_SECONDS
    failure = "statuses of routes could not be written"
    rights = "manifests/agent/rbac.yaml"

    def __init__(
        self,
        api: Api,
        wanted: Callable[[], Iterable[WantedStatus]],
        election: Election,
        random: Callable[[], float],
        now: Clock = utc_now,
        pace: float = PACE,
    ) -> None:
        super().__init__(election, random, pace)
        self._api = api
        self._statuses = wanted
        self._now = now

    def wanted(self) -> dict[ObjectKey, WantedStatus]:
        return {entry.key: entry for entry in self._statuses()}

    def is_due(self, item: WantedStatus, before: WantedStatus | None) -> bool:
        others = bool(item.entries) and not item.status[item.entries]  # a route of other controllers
        return item != before and not (others and before is None)

    async def put(self, key: ObjectKey, item: WantedStatus) -> bool:
        return await update_status(
            self._api, item.path, item.uid, item.generation, lambda status: joined(status, item, self._now())
        )
