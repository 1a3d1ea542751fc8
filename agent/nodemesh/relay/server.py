"""The requests: list and watch as the API server answers them, for who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec
from aiohttp import web

from ..registry.sources.api import ApiError
from ..registry.sources.reviews import Busy, Reviews, UserInfo
from ..registry.sources.watch import INITIAL_EVENTS_END
from .collection import Collection
from .feed import Feed
from .pace import GATHER, Pace
from .trim import PARTIAL
from .wire import Piece, ending, event, opening, piece

#: Seconds between bookmarks.
BOOKMARKS = 60.0

#: Bytes that may wait for a client that does not read; one with more is cut off, and comes back.
LAG = 8 * 2**20

#: Seconds in which who starts reads at least half of that.
PATIENCE = 60.0

#: The longest watch, in seconds.
LONGEST = 3600.0


class StatusError(Exception):
    """A request that is answered with a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


def status(code: int, reason: str, message: str) -> bytes:
    named = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return msgspec.json.encode({**named, "message": message, "reason": reason, "code": code})


class ServedWatch:
    """One watch: how far it is, and where its bytes go."""

    __slots__ = ("at", "deflate", "ended", "feed", "kind", "transport")

    def __init__(self, feed: Feed, kind: bytes, transport: asyncio.Transport, deflate: bool) -> None:
        self.feed = feed
        self.kind = kind
        self.transport = transport
        self.deflate = deflate
        self.at = 0  # the count of the next change
        self.ended = asyncio.Event()

    async def room(self) -> None:
        """Until its client has read most of what was written, or is gone. A whole cluster may be more than may wait."""
        waited = 0.0
        while self.transport.get_write_buffer_size() > LAG // 2 and not self.transport.is_closing():
            if waited > PATIENCE:
                self.transport.abort()
            await asyncio.sleep(GATHER)
            waited += GATHER

    def write(self, data: bytes) -> None:
        if self.transport.is_closing():
            self.ended.set()
        elif self.transport.get_write_buffer_size() > LAG:
            self.transport.abort()
            self.ended.set()
        else:
            self.transport.write(data)


class RelayServer:
    """`collections` by the path of each in every version. `accounts` are the user names that are served."""

    def __init__(self, collections: Iterable[Collection], reviews: Reviews | None, accounts: frozenset[str]) -> None:
        """Without `reviews` everybody is served: for tests."""
        self._paths = {item.resource.path(version): (item, version)
                       for item in collections for version in item.resource.versions}  # fmt: skip
        self._collections = list(dict.fromkeys(item for item, _ in self._paths.values()))
        self._reviews = reviews
        self._accounts = accounts
        self._watchers: dict[Feed, set[ServedWatch]] = {}
        self._due: set[Feed] = set()
        self._pace = Pace()
        self._timer: asyncio.TimerHandle | None = None
        self.requests = 0
        self.refused = 0
        self.sent = 0  # bytes of lists and watches

    @property
    def watching(self) -> int:
        return sum(map(len, self._watchers.values()))

    def waiting_for(self) -> list[str]:
        """What the API server has not told yet."""
        return [item.resource.name for item in self._collections if not item.reflector.synced]

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/{path:apis?/.*}", self._answer)
        return app

    # changes

    def changed(self, feed: Feed, pressing: bool) -> None:
        """A feed has news for who watches it."""
        self._due.add(feed)
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = self._pace.due(now, pressing)
        if due <= now:
            self._tell()
        elif self._timer is None or due < self._timer.when():
            self._cancel()
            self._timer = loop.call_at(due, self._tell)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._cancel()
        clock = asyncio.get_running_loop().time
        began = clock()
        due, self._due = self._due, set()
        for feed in due:
            joined: dict[tuple[int, bool], bytes] = {}
            for watcher in list(self._watchers.get(feed, ())):
                self._bring(watcher, joined)
        self._pace.told(began, clock())

    def _bring(self, watcher: ServedWatch, joined: dict[tuple[int, bool], bytes]) -> None:
        """What has happened since; the same bytes for all who are where this one is."""
        feed = watcher.feed
        if watcher.at < feed.first:
            gone = event("ERROR", status(410, "Expired", "too old resource version: all was read again"))
            watcher.write(piece(gone).of(watcher.deflate))
            watcher.ended.set()
            return
        key = (watcher.at, watcher.deflate)
        if key not in joined:
            start = watcher.at - feed.first
            joined[key] = b"".join(feed.changes[place].piece.of(watcher.deflate)
                                   for place in range(start, len(feed.changes)))  # fmt: skip
        if joined[key]:
            self._write(watcher, joined[key])
            watcher.at = feed.end

    def _write(self, watcher: ServedWatch, data: bytes) -> None:
        self.sent += len(data)
        watcher.write(data)

    async def run(self) -> None:
        """Send bookmarks, until cancelled."""
        while True:
            await asyncio.sleep(BOOKMARKS)
            for item in self._collections:
                made: dict[bytes, Piece] = {}
                for feed in {item.whole, item.partial, *item.by_node.values()}:
                    for watcher in list(self._watchers.get(feed, ())):
                        if watcher.at == feed.end:
                            if watcher.kind not in made:
                                made[watcher.kind] = bookmark(watcher.kind, item.version)
                            self._write(watcher, made[watcher.kind].of(watcher.deflate))

    # requests

    async def _ready(self, request: web.Request) -> web.Response:
        missing = self.waiting_for()
        return web.json_response({"ready": not missing, "missing": missing}, status=503 if missing else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        rows = {
            "watches gauge": self.watching,
            "requests_total counter": self.requests,
            "refused_total counter": self.refused,
            "sent_bytes_total counter": self.sent,
        }
        lines = []
        for row, value in rows.items():
            name, kind = row.split()
            lines.append(f"# TYPE nodemesh_relay_{name} {kind}\nnodemesh_relay_{name} {value}\n")
        return web.Response(text="".join(lines))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        try:
            account = await self._account(request)
            item, version = self._paths.get(request.path, (None, ""))
            if item is None:
                raise StatusError(403, "Forbidden", f"the relay does not serve {request.path}")
            if not item.reflector.synced:
                raise StatusError(503, "ServiceUnavailable", f"the relay does not know {item.resource.name} yet")
            if item.absent or version != item.reflector.version:
                raise StatusError(404, "NotFound", "the server could not find the requested resource")
            feed, metadata = self._feed(item, request, account)
            if request.query.get("watch") in ("true", "1"):
                return await self._watch(request, item, feed, metadata)
            return self._list(item, version, feed, metadata)
        except StatusError as refused:
            self.refused += 1
            headers = {"Retry-After": "1"} if refused.code in (429, 503) else None
            body = status(refused.code, refused.reason, str(refused))
            return web.Response(body=body, status=refused.code, headers=headers, content_type="application/json")

    async def _account(self, request: web.Request) -> UserInfo:
        if self._reviews is None:
            return UserInfo("")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            token = token.strip() if scheme.lower() == "bearer" else ""
            account = await self._reviews.account(token, request.remote or "")
        except Busy as busy:
            raise StatusError(429, "TooManyRequests", str(busy)) from None
        except (ApiError, msgspec.DecodeError) as error:
            raise StatusError(503, "ServiceUnavailable", f"the API server reviews no token: {error}") from None
        if not account.user:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        if account.user not in self._accounts:
            raise StatusError(403, "Forbidden", f"{account.user} is no agent")
        return account

    @staticmethod
    def _feed(item: Collection, request: web.Request, account: UserInfo) -> tuple[Feed, bool]:
        """What is asked for, and whether as metadata alone. Raises StatusError."""
        metadata = "PartialObjectMetadata" in request.headers.get("Accept", "")
        selector, labels = request.query.get("fieldSelector", ""), request.query.get("labelSelector", "")
        if selector == item.resource.field_selector:
            selector = ""  # all that there is here
        field, _, node = selector.partition("=")
        node = node.lstrip("=")
        if labels or (selector and (item.resource.kind != "Pod" or field != "spec.nodeName" or not node)):
            raise StatusError(400, "BadRequest", "the relay knows no selector but spec.nodeName of pods")
        if not selector:
            if metadata != (item.resource.metadata_only or item.resource.kind == "Pod"):
                raise StatusError(403, "Forbidden", f"the relay serves {item.resource.plural} in another form only")
            return item.partial, metadata
        if account.node and account.node != node:
            raise StatusError(403, "Forbidden", f"the pods of node {node} are none of yours, on {account.node}")
        return item.feed_of_node(node), False

    def _list(self, item: Collection, version: str, feed: Feed, metadata: bool) -> web.Response:
        group = item.resource.group
        api_version = f"{group}/{version}" if group else version
        named = (PARTIAL["apiVersion"], PARTIAL["kind"]) if metadata else (api_version, item.resource.kind)
        head = msgspec.json.encode({"resourceVersion": str(item.version)})
        body = b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":[%b]}' % (
            named[1].encode(), named[0].encode(), head, b",".join(feed.lines()),
        )  # fmt: skip
        self.sent += len(body)
        return web.Response(body=body, content_type="application/json")

    async def _watch(self, request: web.Request, item: Collection, feed: Feed, metadata: bool) -> web.StreamResponse:
        query, kind = request.query, kind_of(item, metadata)
        initial = query.get("sendInitialEvents") == "true"
        at = feed.end if initial else feed.since(resource_version(query, item.version))
        deflate = "deflate" in request.headers.get("Accept-Encoding", "")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if deflate:
            response.headers["Content-Encoding"] = "deflate"
        response.enable_chunked_encoding()
        await response.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return response
        watcher = ServedWatch(feed, kind, transport, deflate)
        self._write(watcher, opening(deflate))
        if at is None:
            gone = event("ERROR", status(410, "Expired", "too old resource version"))
            self._write(watcher, piece(gone).of(deflate) + ending(deflate))
            return response
        watcher.at = at
        if initial:
            end = bookmark(kind, item.version, initial=True)  # what changes meanwhile comes behind it
            for made in feed.pieces():
                await watcher.room()
                self._write(watcher, made.of(deflate))
            await watcher.room()
            self._write(watcher, end.of(deflate))
        self._watchers.setdefault(feed, set()).add(watcher)
        try:
            self._bring(watcher, {})
            async with asyncio.timeout(seconds_of(query)):
                await watcher.ended.wait()
        except TimeoutError:
            pass
        finally:
            self._watchers[feed].discard(watcher)
            if not self._watchers[feed]:
                del self._watchers[feed]
        if not transport.is_closing():
            self._write(watcher, ending(deflate))
        return response


def kind_of(item: Collection, metadata: bool) -> bytes:
    """How a bookmark names what it is about, as the beginning of JSON."""
    group, version = item.resource.group, item.reflector.version
    own = {"kind": item.resource.kind, "apiVersion": f"{group}/{version}" if group else version}
    return msgspec.json.encode(PARTIAL if metadata else own)[:-1]


def bookmark(kind: bytes, version: int, *, initial: bool = False) -> Piece:
    annotations = {"annotations": {INITIAL_EVENTS_END: "true"}} if initial else {}
    meta = msgspec.json.encode({"resourceVersion": str(version), "creationTimestamp": None, **annotations})
    return piece(event("BOOKMARK", b'%b,"metadata":%b}' % (kind, meta)))


def resource_version(query: Mapping[str, str], now: int) -> int:
    """From where to go on; from now on where nothing is said. Raises StatusError."""
    given = query.get("resourceVersion", "")
    if given in ("", "0"):
        return now
    if not given.isdecimal() or len(given) > 20:
        raise StatusError(400, "BadRequest", f"resourceVersion: {given[:40]!r} is no version")
    return int(given)


def seconds_of(query: Mapping[str, str]) -> float:
    given = query.get("timeoutSeconds", "")
    return min(float(given), LONGEST) if given.isdecimal() and given != "0" else LONGEST
