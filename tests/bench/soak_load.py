"""The clients of suite `soak`: `python -m tests.bench.soak_load PORT SECONDS` prints what they met as JSON.

Each request has a token of its own, and each answer must be that token's, whole, or say that it failed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import sys
import time
from collections import Counter

import msgspec

from .soak_mesh import HOST, KINDS, content

CLIENTS = 24
PATIENCE = 15.0  # seconds within which every request is answered, one way or another
SHOWN = 20  # of what was wrong
SIZES = (0, 10, 700, 20_000, 300_000)


class Met(msgspec.Struct):
    """How often what was met, and what should not have been."""

    met: dict[str, int]
    requests: int
    wrong: list[str]


class Client:
    """One after the other, on a connection that is kept while both sides like."""

    def __init__(self, port: int, number: int, until: float) -> None:
        self.port = port
        self.number = number
        self.until = until
        self.random = random.Random(number)
        self.count = 0
        self.met: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        kinds = [name for name, kind in KINDS.items() for _ in range(kind.share)]
        while time.monotonic() < self.until:
            await self.ask(self.random.choice(kinds))
            await asyncio.sleep(self.random.uniform(0, 0.02))
        self.close()

    async def ask(self, name: str) -> None:
        self.count += 1
        token = f"{self.number}x{self.count}"
        size = self.random.choice(SIZES[:3] if name == "trickling" else SIZES)
        body = b""
        if self.random.random() < 0.2:
            body = content(token + "up", size)
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        try:
            writer.write(self.request(name, token, size, body))
            if self.random.random() < 0.02:
                self.met["left"] += 1
                writer.transport.abort()
                self.streams = None
                return
            await asyncio.wait_for(writer.drain(), PATIENCE)
            status, got, fields = await asyncio.wait_for(read_answer(reader), PATIENCE)
        except TimeoutError:
            self.judge(name, "no answer", f"{token}: nothing within {PATIENCE} s")
            self.close()
            return
        except (OSError, asyncio.IncompleteReadError) as error:
            self.met[f"{name}: broken"] += 1
            if not KINDS[name].breaks:
                self.wrong.append(f"{name} {token}: the answer broke off ({error})")
            self.close()
            return
        wanted = hashlib.sha256(body).hexdigest().encode() if body else content(token, size)
        if status == 200 and (got != wanted or fields.get("x-token") != token):
            self.judge(name, "wrong", f"{token}: {len(got)} bytes that are not the {len(wanted)} asked for")
        elif status != 200 and status not in KINDS[name].statuses:
            self.judge(name, str(status), f"{token}: {status} {got[:100]!r}")
        else:
            self.met[f"{name}: {status}"] += 1
        if fields.get("connection") == "close" or self.random.random() < 0.05:
            self.close()

    def request(self, name: str, token: str, size: int, body: bytes) -> bytes:
        head = f"{'PUT' if body else 'GET'} /{name}/{token}/{size} HTTP/1.1\r\nhost: {HOST}\r\n"
        if not body:
            return f"{head}\r\n".encode()
        if self.random.random() < 0.5:
            return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        return f"{head}transfer-encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"

    def judge(self, name: str, what: str, words: str) -> None:
        self.met[f"{name}: {what}"] += 1
        self.wrong.append(f"{name} {words}")

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and fields of one response. Raises IncompleteReadError where it breaks off."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return int(first.split(" ")[1]), await reader.readexactly(int(fields["content-length"])), fields


async def main(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    clients = [Client(port, number, until) for number in range(CLIENTS)]
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.run(), name=f"client {client.number}")
    met: Counter[str] = sum((client.met for client in clients), Counter())
    wrong = [words for client in clients for words in client.wrong]
    more = [f"and {len(wrong) - SHOWN} more like that"] if len(wrong) > SHOWN else []
    print(msgspec.json.encode(Met(dict(sorted(met.items())), sum(met.values()), wrong[:SHOWN] + more)).decode())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
