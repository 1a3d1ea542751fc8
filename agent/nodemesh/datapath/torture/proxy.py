"""The proxy's end of the sockmap torture, a process of its own: takes each connection as a worker does, and does what
it asks."""

from __future__ import annotations

import hashlib
import queue
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

from .. import bpf
from ..origin import OriginalDestinations
from ..sockmap import Sockmap
from .client import (
    ASK,
    COUNT,
    COUNTED,
    DIGEST,
    DIGEST_ANSWER,
    ECHO,
    FLOOD,
    GIVE,
    GIVE_AND_CLOSE,
    GO,
    GREETING,
    LATE_DIGEST,
    NUMBER,
    ORDER,
    ORDER_ANSWER,
    PATIENT,
    QUOTE,
    RESET,
    SILENT,
    SPEAKS_FIRST,
    TIMEOUT,
    pattern,
)

#: Bytes that may wait for an app, as the worker has it.
MAX_DEPTH = 2 * 1024 * 1024

_counts: queue.Queue[int] = queue.Queue()

#: Sockmap is for one thread at a time.
_asking = threading.Lock()


class TortureConnection:
    """One connection of an app. `flow` is its name in the maps where it may skip TCP, else empty."""

    def __init__(self, sock: socket.socket, sockmap: Sockmap, flow: bytes) -> None:
        self.sock = sock
        self._sockmap = sockmap
        self._flow = flow
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wait(self, events: int) -> None:
        poll = select.poll()
        poll.register(self.sock, events)
        if not poll.poll(TIMEOUT * 1000):
            raise TimeoutError("the app stalls")

    def receive(self, size: int = 262144) -> bytes:
        while True:
            try:
                return self.sock.recv(size)
            except BlockingIOError:
                self.wait(select.POLLIN)

    def receive_all(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.receive(size - len(data))):
            data += more
        return data

    def room(self) -> int:
        if not self._flow:
            return MAX_DEPTH
        with _asking:
            depth = self._sockmap.depth(self._flow)
        if depth < 0:
            self._flow = b""  # by TCP
        return MAX_DEPTH - max(depth, 0)

    def send(self, data: bytes) -> None:
        view, deadline = memoryview(data), time.monotonic() + TIMEOUT
        while view:
            room = self.room()
            if room <= 0:
                if time.monotonic() > deadline:
                    raise TimeoutError("the app does not read")
                time.sleep(0.0005)
                continue
            try:
                view, deadline = view[self.sock.send(view[:room]) :], time.monotonic() + TIMEOUT
            except BlockingIOError:
                self.wait(select.POLLOUT)

    def try_send(self, data: bytes) -> int:
        try:
            return self.sock.send(data) if self.room() > 0 else 0
        except BlockingIOError:
            return 0

    def serve(self) -> None:
        ask, second, number = ASK.unpack(self.receive_all(ASK.size))
        if not ask & SILENT:
            self.send(GREETING)
        if ask & PATIENT and self.receive(1) != GO:
            return
        deeds: dict[int, Callable[[], None]] = {
            ECHO: self._echo,
            DIGEST: lambda: self._digest(0),
            LATE_DIGEST: lambda: self._digest(number / 1000),
            GIVE: lambda: self._give(number, second, True),
            GIVE_AND_CLOSE: lambda: self._give(number, second, False),
            FLOOD: lambda: self._flood(number / 1000),
            RESET: self._reset,
            QUOTE: self._quote,
            ORDER: self._order,
            COUNT: self._count,
            COUNTED: self._counted,
        }
        deeds[ask & ~(SILENT | PATIENT)]()

    def speak_first(self) -> None:
        self.send(pattern(300))
        self._echo()

    def _echo(self) -> None:
        while data := self.receive():
            self.send(data)

    def _digest(self, late: float) -> None:
        time.sleep(late)
        sha, size = hashlib.sha256(), 0
        while data := self.receive():
            sha.update(data)
            size += len(data)
        self.send(DIGEST_ANSWER.pack(size, sha.digest()))

    def _give(self, size: int, step: int, stay: bool) -> None:
        for start in range(0, size, step):
            self.send(pattern(min(step, size - start), start))
        while stay and self.receive():
            pass

    def _flood(self, seconds: float) -> None:
        sent, piece, end = 0, b"z" * 16384, time.monotonic() + seconds
        while time.monotonic() < end:
            taken = self.try_send(piece)
            sent += taken
            if not taken:
                time.sleep(0.005)
        self.send(NUMBER.pack(sent))

    def _reset(self) -> None:
        self.receive_all(10)
        time.sleep(0.005)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))

    def _quote(self) -> None:
        left = 0
        while data := self.receive():
            left += len(data)
            for _ in range(left // 64):
                self.send(pattern(100))
            left %= 64

    def _order(self) -> None:
        data = b""
        while more := self.receive():
            data += more
        numbers = struct.unpack(f"={len(data) // 4}I", data[: len(data) // 4 * 4])
        self.send(ORDER_ANSWER.pack(len(numbers), sum(place != number for place, number in enumerate(numbers))))

    def _count(self) -> None:
        size = 0
        while data := self.receive():
            size += len(data)
        _counts.put(size)

    def _counted(self) -> None:
        self.send(NUMBER.pack(_counts.get(timeout=TIMEOUT)))


def serve(connection: TortureConnection, port: int) -> None:
    with connection.sock:
        try:
            connection.speak_first() if port == SPEAKS_FIRST else connection.serve()
        except (OSError, struct.error, queue.Empty):
            return  # the app says what it missed


def accept(listener: socket.socket, destinations: OriginalDestinations, sockmap: Sockmap) -> None:
    sock, peer = listener.accept()
    dialled = destinations.take(sock, peer)
    flow = destinations.flow if dialled is not None and destinations.joined else b""
    connection = TortureConnection(sock, sockmap, flow if flow and sockmap.join(sock, flow) else b"")
    port = dialled[1] if dialled is not None else 0
    threading.Thread(target=serve, args=(connection, port), daemon=True).start()


def main() -> None:
    """`FLOWS SOCKETS DEPTH LISTENER …`: descriptors. Until its standard input ends."""
    flows, sockets, depth, *listeners = map(int, sys.argv[1:])
    destinations, sockmap = OriginalDestinations(flows), Sockmap(bpf.Map(sockets), depth)
    poll = select.poll()
    opened = {fd: socket.socket(fileno=fd) for fd in listeners}
    for fd in (*opened, sys.stdin.fileno()):
        poll.register(fd, select.POLLIN)
    print("ready", flush=True)
    while True:
        for fd, _ in poll.poll():
            if fd not in opened:
                return  # whoever started this is gone
            accept(opened[fd], destinations, sockmap)


if __name__ == "__main__":
    main()
