"""An API server with a relay: what agents follow comes from there while it answers, all else from the server itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec

from .api import Api, ApiError, Query
from .backoff import Random
from .definitions import DEFINITIONS
from .resources import Resource

#: Seconds that a relay which does not answer is asked again before the API server is: each agent draws its own, so that
#: they do not all come to the API server at once. Another relay may be there meanwhile.
PATIENCE = (2.0, 8.0)

#: Seconds after which it is asked again, likewise.
RETURN = (60.0, 300.0)


class RelayedApi:
    """An Api: `direct` is the API server, `relay` answers lists and watches that are `served`. It speaks the same
    protocol with the same resourceVersions, so that a watch goes on at either where it was at the other. Times are
    seconds of `clock`."""

    def __init__(
        self, direct: Api, relay: Api, served: Callable[[str, Query], bool], random: Random, clock: Callable[[], float]
    ) -> None:
        self._direct = direct
        self._relay = relay
        self._served = served
        self._random = random
        self._clock = clock
        self._failing = 0.0  # until when a relay that fails is asked again; 0: it does not
        self._away = 0.0  # until when it is not asked
        self._why = ""

    @property
    def by_relay(self) -> bool:
        """Whether the relay is asked now."""
        return self._clock() >= self._away

    @property
    def why(self) -> str:
        """Why it is not; empty where it is."""
        return "" if self.by_relay else self._why

    async def get(self, path: str, query: Query, accept: str) -> bytes:
        if not self._asks(path, query):
            return await self._direct.get(path, query, accept)
        try:
            found = await self._relay.get(path, query, accept)
        except ApiError as error:
            if not self._gives_up(error):
                raise
            return await self._direct.get(path, query, accept)
        self._failing = 0.0
        return found

    async def send(self, method: str, path: str, body: msgspec.Raw) -> bytes:
        return await self._direct.send(method, path, body)

    async def apply(self, path: str, body: msgspec.Raw) -> bytes:
        return await self._direct.apply(path, body)

    @asynccontextmanager
    async def stream(self, path: str, query: Query, accept: str, seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        if self._asks(path, query):
            begun = False
            try:
                async with self._relay.stream(path, query, accept, seconds) as pieces:
                    self._failing = 0.0
                    begun = True
                    yield pieces
                    return
            except ApiError as error:
                if begun or not self._gives_up(error):
                    raise
        async with self._direct.stream(path, query, accept, seconds) as pieces:
            yield pieces

    def _asks(self, path: str, query: Query) -> bool:
        return self.by_relay and self._served(path, query)

    def _gives_up(self, error: ApiError) -> bool:
        """Whether the API server is asked from now on. A refusal for the relay's own reasons counts as no answer."""
        if error.status in (400, 404, 410, 422):
            return False  # the API server would say the same
        now = self._clock()
        if not self._failing:
            self._failing = now + _drawn(PATIENCE, self._random)
        if now < self._failing:
            return False
        self._away = now + _drawn(RETURN, self._random)
        self._failing = 0.0
        self._why = str(error)
        return True


def _drawn(between: tuple[float, float], random: Random) -> float:
    least, most = between
    return least + (most - least) * random()


def served_for(resources: Iterable[Resource]) -> Callable[[str, Query], bool]:
    """Whether a request is for all objects of one of these kinds, or the pods of one node: what a relay has."""
    selectors: dict[str, set[str]] = {}
    for item in (*resources, DEFINITIONS):
        for version in item.versions:
            selectors.setdefault(item.path(version), set()).add(item.field_selector)

    def served(path: str, query: Query) -> bool:
        return "labelSelector" not in query and query.get("fieldSelector", "") in selectors.get(path, ())

    return served
