"""The server in a thread of its own, for tests that run programs against it, and its kubeconfig."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from .server import ApiServer

T = TypeVar("T")


class Running:
    """`stop` and `start` are an outage: the port stays the same."""

    def __init__(self, server: ApiServer, loop: asyncio.AbstractEventLoop, tls: ssl.SSLContext | None = None) -> None:
        self.server = server
        self.tls = tls
        self._loop = loop
        self._runner: web.AppRunner | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, work: Callable[[ApiServer], T]) -> T:
        """Run something on the server, between two requests."""

        async def inside() -> T:
            return work(self.server)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(60)

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self.open(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.close(), self._loop).result(10)

    async def open(self) -> None:
        self._runner = web.AppRunner(self.server.application(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=self.tls).start()

    async def close(self) -> None:
        if self._runner is not None:
            self.server.cut()
            await self._runner.cleanup()
            self._runner = None


async def end_tasks() -> None:
    """Cancel what the loop still does for clients that are gone."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


@contextmanager
def running(server: ApiServer | None = None) -> Iterator[Running]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="apiserver", daemon=True)
    thread.start()
    made: Running | None = None
    try:

        async def make() -> Running:
            return Running(server or ApiServer(), loop)

        made = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
        made.start()
        yield made
    finally:
        if made is not None:
            made.stop()
        asyncio.run_coroutine_threadsafe(end_tasks(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def kubeconfig(path: Path, url: str, user: dict[str, Any] | None = None) -> Path:
    """Write one for a server."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": user or {}}],
    }
    path.write_text(json.dumps(config))
    return path
