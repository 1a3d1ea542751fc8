"""pods/portforward over a WebSocket (v4.channel.k8s.io), as the kubelet serves it: bytes to a port, and back."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMsgType, web

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = b"\0", b"\1"


async def forward(request: web.Request, address: tuple[str, int] | None) -> web.WebSocketResponse:
    """One connection to `address`; None where nothing listens inside the pod."""
    port = int(request.query["ports"]).to_bytes(2, "little")
    channel = web.WebSocketResponse(protocols=(PROTOCOL,))
    await channel.prepare(request)
    await channel.send_bytes(DATA + port)
    await channel.send_bytes(ERROR + port)
    try:
        if address is None:
            raise ConnectionRefusedError("connection refused")
        reader, writer = await asyncio.open_connection(*address)
    except OSError as error:
        await channel.send_bytes(ERROR + f"error forwarding port {request.query['ports']} to pod: {error}".encode())
        await channel.close()
        return channel
    back = asyncio.ensure_future(_bring(reader, channel))
    try:
        async for message in channel:
            if message.type is WSMsgType.BINARY and message.data[:1] == DATA:
                writer.write(message.data[1:])
                await writer.drain()
    finally:
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return channel


async def _bring(reader: asyncio.StreamReader, channel: web.WebSocketResponse) -> None:
    while data := await reader.read(65536):
        await channel.send_bytes(DATA + data)
    await channel.close()
