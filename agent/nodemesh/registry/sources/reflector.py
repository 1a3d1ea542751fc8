"""One kind's list and watch: keeps a sink equal to what the API server holds, through cuts, expiry and outages.

The rules are those of the API concepts page ("Efficient detection of changes"):

    start      --- watch with initial events, or list in chunks ------->  watching from a resourceVersion
    watching   --- the server ends it, the connection is cut --------->  watching from the last resourceVersion
    watching   --- 410 Gone, or what came cannot be understood ------->  start, this time without the server's cache
    start      --- 404 in all versions of a kind that may be absent -->  none of the kind; looked for again later
    start      --- 403 for what is dispensable ---------------------->  the same
    anywhere   --- any other error ----------------------------------->  the same again after a pause
    start      --- the sink has what was saved at a resourceVersion --->  watching from that

A pause after no answer ends when the server answers another watch; one for an absent kind, when its CRD comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from ..assemble import ObjectKey
from .api import Api, ApiError
from .backoff import Backoff, Random
from .outage import Outage
from .reading import Reading, key_of_head
from .resources import Resource
from .watch import (
    INITIAL_EVENTS_END,
    ApiFormatError,
    Lines,
    WatchEvent,
    read_event,
    read_head,
    read_page,
    read_status,
)

#: Objects in one chunk of a list (client-go's pager).
CHUNK = 500

#: Seconds that a watch is asked to last, drawn for each; client-go's minimum, and twice that.
WATCH_SECONDS = 300.0
#: Seconds after which a watch that the server should have ended is given up.
WATCH_SLACK = 30.0
#: A watch that ends sooner than this, in seconds, and told nothing is a failure.
SHORT_WATCH = 1.0

#: Seconds that a watch from a saved resourceVersion goes on without an error, before what was saved counts as right: a
#: server that does not know the version any more says so at once.
RESUMED = 1.0

#: Seconds between looks for a kind whose CRD is absent.
ABSENT_INTERVAL = 30.0
#: A CRD is served some moments after it has come: seconds between looks then, and how many.
EAGER_INTERVAL = 0.2
EAGER_LOOKS = 25


class Phase(StrEnum):
    STARTING = "starting"
    WATCHING = "watching"
    ABSENT = "absent"
    PAUSED = "paused"


class Reads(Protocol):
    """What makes a Reading of an object (reading.Reader, for one)."""

    def read(self, resource: Resource, version: str, raw: msgspec.Raw) -> Reading: ...


class Sink(Protocol):
    """Where the objects go."""

    def replace(self, resource: Resource, readings: Iterable[Reading]) -> None:
        """These are all there are."""

    def put(self, resource: Resource, reading: Reading) -> None: ...

    def remove(self, resource: Resource, key: ObjectKey, version: str = "") -> None:
        """`version` is the resourceVersion of the removal."""


class Reflector:
    """`run` never returns and raises nothing; how it stands is told by `phase`, `synced` and `error`."""

    def __init__(
        self, api: Api, resource: Resource, sink: Sink, reader: Reads, random: Random, outage: Outage | None = None
    ) -> None:
        self.resource = resource
        self.phase = Phase.STARTING
        self.synced = False  # the sink has had the whole of it once
        self.error = ""  # why it does not go on
        self.forbidden = False  # the error is that the server lets nobody like us read it
        self.events = 0
        self.starts = 0
        self.failures = 0
        self._api = api
        self._sink = sink
        self._reader = reader
        self._random = random
        self._backoff = Backoff(random)
        self._outage = outage or Outage()
        self._withheld = False  # nobody like us may read it, and nobody waits for it
        self._looks = 0  # quick ones that are left for a kind whose CRD has just come
        self._versions = list(resource.versions)  # API versions; the first is in use
        self._at = ""  # the resourceVersion up to which the sink is right; empty: start over
        self._start_from = "0"  # "0": whatever the server has in its cache; "": what etcd has
        self._streams_lists = True
        self._initial: list[Reading] | None = None  # a watch's initial events, until they have ended
        self._kept: Callable[[], None] | None = None  # is told that what the sink had already is right

    @property
    def version(self) -> str:
        """The API version in use."""
        return self._versions[0]

    @property
    def at(self) -> str:
        """The resourceVersion up to which the sink is right."""
        return self._at

    def resume(self, version: str, kept: Callable[[], None]) -> None:
        """Begin with what the sink has of this resourceVersion; before `run`. `kept` is told once that is right; it is
        not where all of it has to be read again."""
        self._at, self._kept = version, kept

    def _good(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and self._at and not self.synced:
            self.synced = True
            kept()

    async def run(self) -> None:
        while True:
            try:
                if not self._at and not self._streams_lists:
                    await self._list()
                await self._watch()
            except (ApiError, ApiFormatError) as error:
                await self._pause(self._failed(error), _unanswered(error))

    def _failed(self, error: ApiError | ApiFormatError) -> float:
        """Decide what an error means for the next round; the seconds to wait before it."""
        refused = isinstance(error, ApiError)
        status = error.status if isinstance(error, ApiError) else 0
        if status == 404 and self.resource.optional:
            return self._absent()
        if status == 403 and self.resource.dispensable and (self._withheld or not self.synced):
            self._withheld = True
            return self._absent(str(error))
        if status in (400, 422) and self._streams_lists and not self._at:
            self._streams_lists = False
            return 0.0
        self.failures += 1
        self.phase = Phase.PAUSED
        if _unanswered(error):
            self._outage.failed(str(error))
        self.error = str(error)
        if status == 410 and self._at:
            self._backoff.reset()  # it was long away, but it answers; and what is asked next is something else
        self.forbidden = status == 403
        if not refused or status in (404, 410, 504):  # 504: the server knows no such resourceVersion (yet)
            self._at = ""
            self._start_from = ""
        delay = self._backoff.next()
        return max(delay, error.retry_after) if isinstance(error, ApiError) else delay

    def _absent(self, why: str = "") -> float:
        """The API version at hand is not served: try the next one, or find that the cluster has none of the kind."""
        self._at = ""
        self._versions.append(self._versions.pop(0))
        if self._versions[0] != self.resource.versions[0]:
            return 0.0
        self._sink.replace(self.resource, ())
        self.phase, self.synced, self.error = Phase.ABSENT, True, why
        self._outage.answered()
        if self._looks:
            self._looks -= 1
            return EAGER_INTERVAL
        return ABSENT_INTERVAL * (0.5 + self._random())

    async def _pause(self, seconds: float, unanswered: bool) -> None:
        if not seconds:
            return
        if self.phase is Phase.ABSENT:
            if await self._outage.pause(seconds, self.resource.group):
                self._looks = EAGER_LOOKS
        elif unanswered:
            await self._outage.pause(seconds)
        else:
            await asyncio.sleep(seconds)

    # list

    async def _list(self) -> None:
        self._begin()
        readings: list[Reading] = []
        query = {"resourceVersion": self._start_from, "limit": str(CHUNK)}
        path, accept = self.resource.path(self._versions[0]), self.resource.accept_list
        while True:
            try:
                page = read_page(await self._api.get(path, self._query(query), accept))
                self._outage.answered()
            except ApiError as error:
                if not error.expired or "continue" not in query:
                    raise
                # The list went on for longer than etcd remembers: all of it at once (client-go's pager).
                readings.clear()
                query = {"resourceVersion": ""}
                continue
            for item in page.items or ():
                readings.append(self._reader.read(self.resource, self._versions[0], item))
            if not page.metadata.next:
                break
            query = {"limit": str(CHUNK), "continue": page.metadata.next}
        if not page.metadata.resource_version:
            raise ApiFormatError(f"the API server's list of {self.resource.name} has no resourceVersion")
        self._finish(readings, page.metadata.resource_version)

    def _begin(self) -> None:
        self.phase = Phase.STARTING
        self.starts += 1

    def _finish(self, readings: list[Reading], version: str) -> None:
        self._at = version
        self._kept = None
        self._sink.replace(self.resource, readings)
        self._start_from = "0"
        self.synced, self.error, self._withheld = True, "", False

    def _query(self, query: dict[str, str]) -> dict[str, str]:
        selectors = {"fieldSelector": self.resource.field_selector, "labelSelector": self.resource.label_selector}
        return query | {name: selector for name, selector in selectors.items() if selector}

    # watch

    async def _watch(self) -> None:
        """Follow from where the sink is; with the initial events first where it is nowhere yet."""
        seconds = WATCH_SECONDS * (1 + self._random())
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(int(seconds))}
        if self._at:
            query["resourceVersion"] = self._at
            self._initial = None
        else:
            self._begin()
            query |= {
                "resourceVersion": self._start_from,
                "sendInitialEvents": "true",
                "resourceVersionMatch": "NotOlderThan",
            }
            self._initial = []
        path, lines = self.resource.path(self._versions[0]), Lines()
        clock = asyncio.get_running_loop().time
        began, events = clock(), self.events
        stream = self._api.stream(path, self._query(query), self.resource.accept_watch, seconds + WATCH_SLACK)
        async with stream as pieces:
            self._outage.answered()
            if self._at:
                self.phase, self.error = Phase.WATCHING, ""
            quiet = asyncio.get_running_loop().call_later(RESUMED, self._good) if self._kept is not None else None
            try:
                async for piece in pieces:
                    for line in lines.feed(piece):
                        self._take(read_event(line))
            finally:
                if quiet is not None:
                    quiet.cancel()
        if self._initial is not None:
            raise ApiError(0, f"the watch of {self.resource.name} ended before its initial events did")
        if self.events == events and clock() - began < SHORT_WATCH:
            raise ApiError(0, f"the watch of {self.resource.name} ended at once")
        self._backoff.reset()

    def _take(self, event: WatchEvent) -> None:
        """One event. Raises ApiError for one that says no, ApiFormatError for one that says nothing known."""
        if event.type == "ERROR":
            status = read_status(event.object)
            raise ApiError(status.code, status.message or status.reason, status.reason)
        self.events += 1
        self._backoff.reset()
        self._outage.answered()
        if event.type in ("ADDED", "MODIFIED"):
            reading = self._reader.read(self.resource, self._versions[0], event.object)
            if self._initial is not None:
                reading.version = ""  # nobody asks, and of a big cluster it would be held 70,000 times
                self._initial.append(reading)
                return
            self._sink.put(self.resource, reading)
            self._at = reading.version
            self._good()
            return
        head = read_head(event.object).metadata
        if event.type == "BOOKMARK":
            if self._initial is not None and (head.annotations or {}).get(INITIAL_EVENTS_END) == "true":
                self._finish(self._initial, head.resource_version)
                self._initial = None
                self.phase = Phase.WATCHING
            elif self._initial is None:
                self._at = head.resource_version
        elif event.type == "DELETED":
            if self._initial is not None:
                raise ApiFormatError("the API server sent a deletion among a watch's initial events")
            self._sink.remove(self.resource, key_of_head(self.resource, head), head.resource_version)
            self._at = head.resource_version
        else:
            raise ApiFormatError(f"the API server sent a watch event of the unknown type {event.type[:32]!r}")


def _unanswered(error: ApiError | ApiFormatError) -> bool:
    """Whether the server said nothing, or that it cannot; one that says when to come again is obeyed."""
    return isinstance(error, ApiError) and (not error.status or error.status >= 500) and not error.retry_after
