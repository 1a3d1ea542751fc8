"""Bytes that are cheap to send and dear to read, and a process that sends them as fast as they are taken.

`python -m tests.bench.attack PORT PATTERN SECONDS [ADDRESS]`"""

from __future__ import annotations

import contextlib
import json
import random
import selectors
import socket
import sys
import time
from typing import Final, NamedTuple

from .floods import FLOODS

HOST: Final = b"host: reviews\r\n"
CHUNKED: Final = b"POST /small HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n"


class Pattern(NamedTuple):
    """What one connection says: once at its beginning, then again and again; over how many of them."""

    first: bytes
    again: bytes
    connections: int


def fields(count: int, size: int) -> bytes:
    """Field lines that nobody has seen before."""
    pick = random.Random(count * size)
    return b"".join(
        b"x-%08x: %s\r\n" % (pick.getrandbits(32), pick.randbytes(size).hex().encode()) for _ in range(count)
    )


def get(more: bytes = b"", target: bytes = b"/small") -> bytes:
    return b"GET %b HTTP/1.1\r\n" % target + HOST + more + b"\r\n"


PATTERNS: Final[dict[str, Pattern]] = {
    "trailers": Pattern(b"", CHUNKED + b"0\r\n" + b"a:\r\n" * 4000 + b"\r\n", 32),
    "one-byte chunks": Pattern(CHUNKED, b"1\r\nx\r\n" * 2700, 64),
    "one-byte chunks, anew": Pattern(b"", CHUNKED + b"1\r\nx\r\n" * 600 + b"0\r\n\r\n", 64),
    "empty lines": Pattern(b"", b"\r\n" * 8000, 64),
    "97 fields": Pattern(b"", b"".join(get(fields(97, size)) for size in range(3, 13)), 64),
    "chunk extensions": Pattern(CHUNKED, (b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 4, 32),
    "list of options": Pattern(b"", get(b"connection: " + b"a," * 29_000 + b"\r\n"), 32),
    "encoded path": Pattern(b"", get(target=b"/" + b"%41" * 18_000), 32),
    "dots in a path": Pattern(b"", get(target=b"/" + b"a/../" * 11_000), 32),
    **{name: Pattern(b"", flood, 32) for name, flood in FLOODS.items()},
}


class Client:
    """One connection: sends without end, reads what comes and forgets it, dials again when it is closed."""

    def __init__(self, address: tuple[str, int], pattern: Pattern, selector: selectors.BaseSelector) -> None:
        self.address = address
        self.pattern = pattern
        self.selector = selector
        self.sent = 0
        self._left = memoryview(b"")
        self._sock = self._dial()

    def _dial(self) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(self.address)
        self.selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
        self._left = memoryview(self.pattern.first + self.pattern.again)
        return sock

    def ready(self, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and not self._sock.recv(65536):
                raise ConnectionResetError
            if events & selectors.EVENT_WRITE:
                size = self._sock.send(self._left)
                self.sent += size
                self._left = self._left[size:] or memoryview(self.pattern.again)
        except BlockingIOError:
            pass
        except OSError:
            self.selector.unregister(self._sock)
            self._sock.close()
            self._sock = self._dial()


def attack(address: tuple[str, int], pattern: Pattern, seconds: float) -> int:
    """Send for so long; tells how many bytes were taken."""
    with contextlib.closing(selectors.DefaultSelector()) as selector:
        clients = [Client(address, pattern, selector) for _ in range(pattern.connections)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for key, events in selector.select(0.1):
                key.data.ready(events)
    return sum(client.sent for client in clients)


def main() -> None:
    port, name, seconds, *address = sys.argv[1:]
    sent = attack((address[0] if address else "127.0.0.1", int(port)), PATTERNS[name], float(seconds))
    print(json.dumps({"bytes": sent, "cpu": time.process_time()}))


if __name__ == "__main__":
    main()
