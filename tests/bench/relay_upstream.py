"""The server of suite `relay`, run as a program: swallows or echoes, as each connection's first byte asks.

What is swallowed is thrown away in the kernel, which costs less than any proxy does; every so often a piece is read and
compared. How much came, and where it was wrong, is told to who asks past the proxy: a TLS client of Python's has lost
its way back when it has sent its end."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys

from . import relay_bytes

#: Wishes. All but ECHO are followed by a number of NUMBER bytes, by which ACCOUNT asks what a connection brought.
ECHO, SWALLOW, COMPARE, ACCOUNT = b"E", b"S", b"C", b"A"
NUMBER = 8

ADDRESS = "127.77.1.1"  # the pod's

PIECE = 1 << 20
SAMPLE = 64  # one read in so many is compared
EVENTS = 256


class Connection:
    """One client's; the first byte is its wish."""

    def __init__(self, sock: socket.socket, buffer: bytearray, accounts: dict[bytes, dict[str, int]]) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._buffer = buffer
        self._accounts = accounts
        self._wish = b""
        self._number = b""
        self._size = 0
        self._reads = 0
        self._wrong = -1
        self._left = b""  # of an echo

    def ready(self, events: int) -> int:
        """Serve an event; what to wait for from here on, 0 at the end."""
        try:
            if not self._wish:
                self._wish = self.sock.recv(1)
                return select.EPOLLIN if self._wish else 0
            if self._wish == ECHO:
                return self._echo()
            if not self._number:
                self._number = self.sock.recv(NUMBER)
            if self._wish == ACCOUNT or not self._number:
                self.sock.send(json.dumps(self._accounts.pop(self._number, None)).encode())
                return 0
            return self._swallow()
        except BlockingIOError:
            return events
        except OSError:
            return 0

    def _echo(self) -> int:
        data = self._left or self.sock.recv(65536)
        if not data:
            return 0
        self._left = data
        self._left = data[self.sock.send(data) :]
        return select.EPOLLOUT if self._left else select.EPOLLIN

    def _swallow(self) -> int:
        self._reads += 1
        if self._wish == COMPARE or self._reads % SAMPLE == 0:
            size = self.sock.recv_into(self._buffer)
            if self._wrong < 0 and self._buffer[:size] != relay_bytes.at(self._size, size):
                self._wrong = self._size
        else:
            size = self.sock.recv_into(self._buffer, PIECE, socket.MSG_TRUNC)
        self._size += size
        if size:
            return select.EPOLLIN
        self._accounts[self._number] = {"bytes": self._size, "wrong": self._wrong}
        return 0


def main(port: int) -> None:
    listener = socket.create_server((ADDRESS, port), backlog=4096)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    buffer = bytearray(PIECE)
    accounts: dict[bytes, dict[str, int]] = {}
    connections: dict[int, Connection] = {}
    waits: dict[int, int] = {}
    while True:
        for fd, _ in poller.poll(-1, EVENTS):
            connection = connections.get(fd)
            if connection is None:
                with contextlib.suppress(OSError):
                    sock, _address = listener.accept()
                    fd = sock.fileno()
                    connections[fd], waits[fd] = Connection(sock, buffer, accounts), select.EPOLLIN
                    poller.register(fd, select.EPOLLIN)
                continue
            wanted = connection.ready(waits[fd])
            if not wanted:
                del connections[fd], waits[fd]
                connection.sock.close()
            elif wanted != waits[fd]:
                waits[fd] = wanted
                poller.modify(fd, wanted)


if __name__ == "__main__":
    main(int(sys.argv[1]))
