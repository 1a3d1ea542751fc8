"""The relay as a process: its collections, its server, its certificate, until a signal ends it."""

from __future__ import annotations

import asyncio
import random
import signal
import ssl
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from aiohttp import web

from ..registry.sources.api import Api
from ..registry.sources.backoff import Random
from ..registry.sources.definitions import DEFINITIONS
from ..registry.sources.outage import Outage
from ..registry.sources.resources import Resource, resources
from ..registry.sources.reviews import Reviews
from .collection import Collection
from .doors import Doors
from .feed import Feed
from .server import RelayServer

#: Seconds between looks at the certificate's files.
LOOK = 10.0


class RelayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`certificate` and `key` are files in PEM; without them the relay speaks plain HTTP, at a loopback address."""

    host: str
    port: int
    certificate: str = ""
    key: str = ""
    accounts: tuple[str, ...] = ()
    audience: str = ""


class RelayError(Exception):
    """The relay cannot start; the message is one sentence with its mend."""


def relayed() -> tuple[Resource, ...]:
    """What agents follow, each once: of all nodes' pods what the agents of their nodes read, too."""
    found = []
    for item in resources(""):
        if item.name == "node-pods":
            continue
        found.append(msgspec.structs.replace(item, metadata_only=False) if item.kind == "Pod" else item)
    return (*found, msgspec.structs.replace(DEFINITIONS, optional=True))


class ApiRelay:
    """`run` serves until cancelled."""

    def __init__(self, api: Api, options: RelayOptions, random: Random = random.random) -> None:
        self._options = options
        self.outage = Outage()
        self.collections = [Collection(api, item, random, self.outage, self._changed) for item in relayed()]
        reviews = Reviews(api, options.audience, time.monotonic) if options.accounts else None
        self.server = RelayServer(self.collections, reviews, frozenset(options.accounts))
        self.port = 0  # that is listened at

    def _changed(self, feed: Feed, pressing: bool) -> None:
        self.server.changed(feed, pressing)

    async def run(self) -> None:
        """Raises RelayError."""
        context = self._context()
        runner = web.AppRunner(self.server.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        listening: asyncio.Server | None = None
        try:
            listening = await self._listen(runner, context)
            async with asyncio.TaskGroup() as tasks:
                for item in self.collections:
                    tasks.create_task(item.reflector.run(), name=f"watch-{item.resource.name}")
                tasks.create_task(self.server.run(), name="bookmarks")
                if context is not None:
                    tasks.create_task(self._renew(context), name="certificate")
        finally:
            if listening is not None:
                listening.close()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner, context: ssl.SSLContext | None) -> asyncio.Server:
        """Accept agents from now on. Raises RelayError."""
        assert runner.server is not None
        host, port = self._options.host, self._options.port
        try:
            listening = await asyncio.get_running_loop().create_server(
                Doors(runner.server), host, port, ssl=context, backlog=4096
            )
        except OSError as error:
            raise RelayError(f"cannot listen at {host}:{port} ({error.strerror}); choose another --listen") from None
        self.port = listening.sockets[0].getsockname()[1]
        return listening

    def _context(self) -> ssl.SSLContext | None:
        if not self._options.certificate:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._options.certificate, self._options.key)
        except (OSError, ssl.SSLError) as error:
            files = f"{self._options.certificate} and {self._options.key}"
            raise RelayError(f"{files} are no certificate with its key: {error}") from None

    async def _renew(self, context: ssl.SSLContext) -> None:
        """A certificate that is replaced counts for new connections; a broken one leaves the last good one in force."""
        known = _stamp(self._options.certificate)
        while True:
            await asyncio.sleep(LOOK)
            if (stamp := _stamp(self._options.certificate)) != known:
                try:
                    self._load(context)
                    known = stamp
                except RelayError:
                    continue  # written in two steps; looked at again


def _stamp(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


async def serve(relay: ApiRelay) -> None:
    """Until SIGTERM or SIGINT. Raises RelayError."""
    running = asyncio.ensure_future(relay.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
