"""The load of suite `latency`, run as a program: requests come when they come, whatever is still under way.

Each counts from the moment at which it was due, so that what waits is seen to wait. When they are due is drawn, with
the same seed for everybody."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from random import Random

from .processes import Failed

SEED = 1
WARM_UP = 0.1  # of the requests; they are not counted
PATIENCE = 5.0  # seconds for what is still under way at the end
LARGEST = 65536

#: timerfd_create(2), which Python has from 3.13 on: epoll counts milliseconds, and that is the length of an answer.
CLOCK_MONOTONIC, TFD_NONBLOCK, TFD_TIMER_ABSTIME = 1, 0o4000, 1


class Timer:
    """A descriptor that is ready at a time of the monotonic clock."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
        if self.fd < 0:
            raise Failed("timerfd_create(2) does not work here")

    def at(self, seconds: float) -> None:
        whole = int(seconds)
        nanoseconds = max(1, int((seconds - whole) * 1e9))
        value = struct.pack("qqqq", 0, 0, whole, nanoseconds)
        self._libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME, value, None)


class Connection:
    """One kept connection, and the request that it has under way: its number, negative for none."""

    __slots__ = ("answer", "number", "sock")

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.answer = b""
        self.number = -1


class OpenLoad:
    """`due` are the requests' moments, in seconds from the start; `took` fills with each one's seconds from then on."""

    def __init__(self, address: tuple[str, int], request: bytes, body: bytes, due: Sequence[float]) -> None:
        self.took: list[float] = [0.0] * len(due)
        self.behind: list[float] = []  # how much later than due each was sent, in seconds
        self.failed = 0
        self._address = address
        self._request, self._body = request, body
        self._due = due
        self._left = len(due)
        self._idle: list[Connection] = []
        self._busy: dict[int, Connection] = {}
        self._poll = select.epoll()
        self._timer = Timer()
        self._poll.register(self._timer.fd, select.EPOLLIN)
        self.connections = 0

    def run(self) -> None:
        start = time.monotonic() + 0.1
        end = start + self._due[-1] + PATIENCE
        number = 0
        self._timer.at(start + self._due[0])
        while self._left and time.monotonic() < end:
            for descriptor, _ in self._poll.poll(0.5):
                if descriptor != self._timer.fd:
                    self._hear(self._busy[descriptor], start)
                    continue
                os.read(descriptor, 8)
                while number < len(self._due) and start + self._due[number] <= time.monotonic():
                    self._send(number, start)
                    number += 1
                if number < len(self._due):
                    self._timer.at(start + self._due[number])
        self.failed += self._left

    def _send(self, number: int, start: float) -> None:
        connection = self._idle.pop() if self._idle else self._dialled()
        connection.number = number
        connection.answer = b""
        self._busy[connection.sock.fileno()] = connection
        connection.sock.send(self._request)
        self.behind.append(time.monotonic() - start - self._due[number])

    def _dialled(self) -> Connection:
        connection = Connection(self._address)
        self.connections += 1
        self._poll.register(connection.sock.fileno(), select.EPOLLIN)
        return connection

    def _hear(self, connection: Connection, start: float) -> None:
        try:
            data = connection.sock.recv(LARGEST)
        except OSError:
            data = b""
        connection.answer += data
        if data and not connection.answer.endswith(self._body):
            return
        now = time.monotonic() - start
        del self._busy[connection.sock.fileno()]
        self._left -= 1
        self.took[connection.number] = now - self._due[connection.number]
        if connection.answer.startswith(b"HTTP/1.1 200"):
            self._idle.append(connection)
        else:
            self.failed += 1
            self._poll.unregister(connection.sock.fileno())
            connection.sock.close()


def arrivals(rate: float, seconds: float) -> list[float]:
    """Moments at which requests are due, as those of many clients that know nothing of each other (Poisson)."""
    random, found, now = Random(SEED), [], 0.0
    while (now := now + random.expovariate(rate)) < seconds:
        found.append(now)
    return found


def percentile(values: Sequence[float], percent: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def head(path: str, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def main(order: str) -> None:
    """`order` and what is found are a JSON object each; times are in milliseconds."""
    said = json.loads(order)
    os.sched_setaffinity(0, said["cores"])
    gc.disable()  # its pauses would count as the proxy's
    body = bytes.fromhex(said["body"])
    due = arrivals(said["rate"], said["seconds"])
    load = OpenLoad((said["host"], said["port"]), head(said["path"], said["headers"]), body, due)
    load.run()
    first = int(len(due) * WARM_UP)
    took, behind = sorted(load.took[first:]), sorted(load.behind[first:])
    found = {
        "requests": len(due),
        "failed": load.failed,
        "connections": load.connections,
        "p50": percentile(took, 50) * 1000,
        "p99": percentile(took, 99) * 1000,
        "longest": took[-1] * 1000,
        "behind": percentile(behind, 99) * 1000,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
