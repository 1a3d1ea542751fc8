"""A pod's app that cares for no rollout: HTTP on one port, an echo on the other, and gone at SIGTERM at once."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys

BACKLOG = 1024


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection after the other request; every answer names the pod."""
    body = os.uname().nodename.encode()
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
            await reader.readexactly(length)
            closes = b"connection: close" in head
            fate = b"connection: close\r\n" if closes else b""
            writer.write(b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (fate, len(body), body))
            await writer.drain()
            if closes:
                break
    except (asyncio.IncompleteReadError, OSError):
        pass
    writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        writer.write(await reader.readexactly(4))
        await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    writer.close()


async def main() -> None:
    web = await asyncio.start_server(http, "", int(sys.argv[1]), backlog=BACKLOG)
    raw = await asyncio.start_server(echo, "", int(sys.argv[2]), backlog=BACKLOG)
    async with web, raw:
        await asyncio.Event().wait()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    asyncio.run(main())
