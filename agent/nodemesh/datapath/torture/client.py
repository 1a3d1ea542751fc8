"""How an app of the torture connects, sends and receives, and what it may ask of the other end: plain code that knows
nothing of a mesh and takes every answer of the kernel at its word."""

from __future__ import annotations

import errno
import functools
import os
import select
import socket
import struct

#: What a connection asks of the other end, in its first bytes: what to do, a number, a second one.
ASK = struct.Struct("=B3xIQ")

(
    ECHO,  # send back what comes
    DIGEST,  # at the end of what comes: its size and SHA-256
    GIVE,  # so many bytes of the pattern in pieces of the second number, then read on
    GIVE_AND_CLOSE,  # the same, and close at once
    LATE_DIGEST,  # the same as DIGEST, but read only after so many milliseconds
    FLOOD,  # for so many milliseconds all that is taken, then how much that was
    RESET,  # close with a RST when ten bytes have come
    QUOTE,  # 100 bytes for each 64
    ORDER,  # at the end of what comes: how many numbers it was, and how many of them stood in a wrong place
    COUNT,  # remember the size of what comes
    COUNTED,  # that size
) = range(1, 12)

#: Answered first, unless an app is to send more before it hears anything, or says that it will send GO when it has read
#: the greeting. That comes by TCP as all that is heard first, so only then can the rest come otherwise from its
#: beginning.
GREETING = b"K"
GO = b"G"
SILENT = 0x80
PATIENT = 0x40

DIGEST_ANSWER = struct.Struct("=Q32s")
NUMBER = struct.Struct("=Q")
ORDER_ANSWER = struct.Struct("=QQ")

#: Bytes that may be under way to somebody who does not read: the buffers of TCP on both sides and the queue.
BOUND = 24 * 1024 * 1024

#: The port behind which the server speaks first, 300 bytes, before it sends back what comes.
SPEAKS_FIRST = 25

#: ioctl_tty(2)
FIONREAD = 0x541B

TIMEOUT = 3.0


@functools.cache
def whole_pattern() -> bytes:
    """Four MiB, made by whoever runs the torture: the agent imports this module, and mostly runs none."""
    return b"".join(struct.pack("=I", number) for number in range(16384)) * 66


def pattern(size: int, start: int = 0) -> bytes:
    start %= 65536
    return whole_pattern()[start : start + size]


class App:
    """How one kind of app connects, sends and receives."""

    def __init__(self, address: tuple[str, int], blocking: bool) -> None:
        self.address = address
        self.blocking = blocking  # from the moment that it is connected, as with a connect timeout
        self.patient = True

    def dial(self, ask: int, number: int = 0, second: int = 0, *, greet: bool = True) -> socket.socket:
        """A connection at whose other end `ask` is done; with `greet`, when its greeting has been read."""
        sock = self.connect(self.address)
        how = (PATIENT if self.patient else 0) if greet else SILENT
        self.send(sock, ASK.pack(ask | how, second, number))
        if greet and self.receive(sock, 1) != GREETING:
            raise OSError("no greeting")
        if how == PATIENT:
            self.send(sock, GO)
        return sock

    def connect(self, address: tuple[str, int]) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        sock.setblocking(False)
        code = sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, f"connect failed: {os.strerror(code)}")
        wait(sock, select.POLLOUT)
        if self.blocking:
            sock.setblocking(True)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("=qq", int(TIMEOUT), 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def send(self, sock: socket.socket, data: bytes) -> None:
        if self.blocking:
            sock.sendall(data)
            return
        view = memoryview(data)
        while view:
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                wait(sock, select.POLLOUT)

    def receive(self, sock: socket.socket, size: int, flags: int = 0) -> bytes:
        if self.blocking:
            return sock.recv(size, flags)
        while True:
            try:
                return sock.recv(size, flags)
            except BlockingIOError:
                wait(sock, select.POLLIN)

    def receive_all(self, sock: socket.socket, size: int) -> bytes:
        """As much, or all until the end of the stream."""
        parts: list[bytes] = []
        while size:
            part = self.receive(sock, min(size, 262144))
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def wait(sock: socket.socket, events: int) -> None:
    poll = select.poll()
    poll.register(sock, events)
    if not poll.poll(TIMEOUT * 1000):
        raise TimeoutError("stalled")


def lost(wanted: int, found: int) -> str:
    return "" if wanted == found else f"{wanted - found} of {wanted} bytes are missing"
