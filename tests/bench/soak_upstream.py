"""The pods of suite `soak`, in a process of their own: `python -m tests.bench.soak_upstream PORT`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
import struct
import sys

from .soak_mesh import PODS, content

RESET = struct.pack("ii", 1, 0)
TRICKLE = 96  # bytes at a time
PAUSE = 0.002  # seconds between them


class Leave(Exception):
    """The pod closes the connection here."""


class PodServer:
    """One pod at one address."""

    def __init__(self, kind: str, address: str, port: int) -> None:
        self.kind = kind
        self.address = address
        self.port = port
        self.random = random.Random(address)
        self.open: set[asyncio.StreamWriter] = set()

    async def run(self) -> None:
        """Listen; a dying pod does so for a while, is gone with all its connections for another, and comes back."""
        while True:
            server = await asyncio.start_server(self.serve, self.address, self.port, backlog=256)
            if self.kind != "dying":
                await server.serve_forever()
            await asyncio.sleep(self.random.uniform(0.5, 2.0))
            server.close()
            for writer in list(self.open):
                writer.transport.abort()
            await asyncio.sleep(self.random.uniform(0.2, 1.0))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, Leave):
            while True:
                await self.answer(reader, writer)
        self.open.discard(writer)
        writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request: its path is /kind/token/size."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        body = await read_body(reader, fields)
        _, _, token, size = target.split("/")
        answer = content(token, int(size))
        if method == "PUT":
            answer = hashlib.sha256(body).hexdigest().encode()
        data = b"HTTP/1.1 200 OK\r\nx-token: %s\r\ncontent-length: %d\r\n\r\n" % (token.encode(), len(answer)) + answer
        await self.misbehave(reader, writer, data)
        step = TRICKLE if self.kind == "trickling" else len(data)
        for position in range(0, len(data), step):
            writer.write(data[position : position + step])
            await writer.drain()
            if step == TRICKLE:
                await asyncio.sleep(PAUSE)
        if self.random.random() < 0.02:
            raise Leave  # without having said so: what comes next finds a closed connection

    async def misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
        chance = self.random.random()
        if self.kind == "hanging" and chance < 0.3:
            await reader.read(1)  # until the proxy has had enough
            raise Leave
        if self.kind == "resetting" and chance < 0.3:
            if chance < 0.2:
                writer.write(data[: self.random.randrange(len(data))])
                await writer.drain()
            if chance > 0.1:
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raise Leave


async def read_body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if "transfer-encoding" not in fields:
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def main(port: int) -> None:
    pods = [PodServer(kind, address, port) for kind, addresses in PODS.items() for address in addresses]
    await asyncio.gather(*(pod.run() for pod in pods))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
