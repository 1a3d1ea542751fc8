"""Steady load from a client pod, open loop: HTTP requests (GET and POST in turn) and TCP connections, each new. Ends at
end of file on stdin; prints what failed and what was answered as JSON."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

PATIENCE = 10.0  # seconds for one request
SHOWN = 20  # failures that are told one by one

BODY = b"x" * 256


async def request(address: str, port: int, number: int, wanted: bytes) -> None:
    """Raises OSError or ValueError where the answer is not what it should be: with `wanted` in its head."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        post = number % 2
        method, body = (b"POST", BODY) if post else (b"GET", b"")
        head = b"%s /%d HTTP/1.1\r\nhost: web\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (method, number, len(body)) + body)
        answer = await reader.read()
        if not answer.startswith(b"HTTP/1.1 200") or wanted not in answer.lower():
            raise ValueError(f"{method.decode()} was answered {answer[:200]!r}")
    finally:
        writer.close()


async def connect(address: str, port: int, number: int) -> None:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(b"ping")
        answer = await reader.read()
        if answer != b"ping":
            raise ValueError(f"a connection was answered {answer!r}")
    finally:
        writer.close()


class Load:
    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.failed = 0
        self.slowest = 0.0
        self.late = 0.0  # seconds that the load itself was behind: the machine had no time for it
        self.kinds: Counter[str] = Counter()  # of failures
        self.ended = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, kind: str, one: Callable[[int], Awaitable[None]], rate: int) -> None:
        """`rate` times a second whatever becomes of the earlier ones."""
        began, number = time.monotonic(), 0
        while not self.ended.is_set():
            while number < (time.monotonic() - began) * rate:
                number += 1
                self.late = max(self.late, time.monotonic() - began - number / rate)
                task = asyncio.create_task(self._once(kind, one, number))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await asyncio.sleep(0.002)
        while self._running:
            await asyncio.wait(list(self._running))

    async def _once(self, kind: str, one: Callable[[int], Awaitable[None]], number: int) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                await one(number)
            self.done[kind] += 1
        except (OSError, ValueError) as error:
            self.failed += 1
            self.kinds[f"{kind}: {type(error).__name__}"] += 1
            if len(self.failures) < SHOWN:
                self.failures.append(f"{time.time():.3f} {kind}: {type(error).__name__}: {error}")
        self.slowest = max(self.slowest, time.monotonic() - began)


async def main() -> None:
    address, web, raw = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    requests, connections = int(sys.argv[4]), int(sys.argv[5])
    wanted = sys.argv[6].encode()
    load = Load()
    asyncio.get_running_loop().add_reader(sys.stdin, load.ended.set)
    print("started", flush=True)
    await asyncio.gather(
        load.run("requests", lambda number: request(address, web, number, wanted), requests),
        load.run("connections", lambda number: connect(address, raw, number), connections),
    )
    asyncio.get_running_loop().remove_reader(sys.stdin)
    told = {"done": dict(load.done), "failed": load.failed, "failures": load.failures, "slowest": load.slowest,
            "late": load.late, "kinds": load.kinds}  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main())
