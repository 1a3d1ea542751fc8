"""Connections to a port of a pod by way of the API server, as `kubectl port-forward` makes them: the kubelet dials the
port inside the pod, so that neither routes nor NetworkPolicies have to let us through.

One WebSocket carries one connection (the protocol `v4.channel.k8s.io`): channel 0 is its bytes, channel 1 the kubelet's
word on what goes wrong, and on each the first message is the port's number in two bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from .api import ApiError, Query

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1

#: Bytes that are read at a time.
PIECE = 64 * 1024


class ByteMessages(Protocol):
    async def send(self, data: bytes) -> None: ...

    def messages(self) -> AsyncIterator[bytes]: ...


class Channels(Protocol):
    def channel(self, path: str, query: Query, protocol: str) -> AbstractAsyncContextManager[ByteMessages]: ...


class PortForward:
    """Listens on loopback, and carries each connection to the pod's port. `failed` hears why one could not be."""

    def __init__(
        self, api: Channels, namespace: str, pod: str, port: int, failed: Callable[[str], None] = lambda _why: None
    ) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        self._query = {"ports": str(port)}
        self._failed = failed
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """The local port."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._api.channel(self._path, self._query, PROTOCOL) as channel:
                sending = asyncio.ensure_future(self._send(reader, channel))
                try:
                    await self._receive(channel, writer)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
        except ApiError as error:
            self._failed(str(error))
        except (ConnectionError, OSError) as error:
            self._failed(str(error))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @staticmethod
    async def _send(reader: asyncio.StreamReader, channel: ByteMessages) -> None:
        """The protocol has no word for the end of one direction: who has sent all waits for the answer."""
        while data := await reader.read(PIECE):
            await channel.send(bytes((DATA,)) + data)

    async def _receive(self, channel: ByteMessages, writer: asyncio.StreamWriter) -> None:
        begun: set[int] = set()
        async for message in channel.messages():
            kind, data = message[0] if message else ERROR, message[1:]
            if kind not in begun:
                begun.add(kind)
                data = data[2:]  # the port's number
            if data and kind == DATA:
                writer.write(data)
                await writer.drain()
            elif data:
                self._failed(data.decode(errors="replace").strip())
                return
