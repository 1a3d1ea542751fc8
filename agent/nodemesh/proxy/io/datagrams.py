"""UDP sockets in the loop: those that a pod's DNS queries come by, and one for each query that goes on."""

from __future__ import annotations

import socket
from contextlib import suppress
from socket import SocketType
from typing import Final

from ..dns.nameserver import Entrance, Nameserver, Peer
from ..network import Asker, Datagram
from .loop import Loop

#: The longest datagram; DNS has no other bound.
LONGEST: Final = 65_535

#: Queries that are read in one turn of the loop.
QUANTUM: Final = 32

DNS_PORT: Final = 53


class QuerySocket(Entrance):
    """One of the sockets inside a pod that the kernel sends its queries to, shared with the other workers; `slot` tells
    the server that they are meant for."""

    __slots__ = ("loop", "sock", "fd", "slot", "server")

    def __init__(self, loop: Loop, sock: socket.socket, slot: int, server: Nameserver) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.slot = slot
        self.server = server
        sock.setblocking(False)
        loop.watch(self.fd, self, True)

    def readable(self) -> None:
        for _ in range(QUANTUM):
            try:
                wire, peer = self.sock.recvfrom(LONGEST)
            except BlockingIOError:
                return
            self.server.received(wire, self, peer)

    def nameserver(self) -> str:
        return self.loop.platform.nameserver(self.sock, self.slot)

    def reply(self, answer: bytes, peer: Peer) -> None:
        with suppress(OSError):
            self.sock.sendto(answer, peer)

    def close(self) -> None:
        self.loop.unwatch(self.fd)
        self.loop.released.append(self.sock)


class ForwardedQuery(Datagram):
    """A query to one server, by a socket that hears from nobody else."""

    __slots__ = ("loop", "sock", "fd", "asker")

    def __init__(self, loop: Loop, sock: SocketType, asker: Asker) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.asker = asker
        loop.watch(self.fd, self)

    def readable(self) -> None:
        try:
            data = self.sock.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError as error:  # ICMP: nobody listens there, or no way leads there
            self.asker.lost(error)
            return
        self.asker.heard(data)

    def close(self) -> None:
        self.loop.unwatch(self.fd)
        self.loop.released.append(self.sock)


def ask(loop: Loop, server: str, namespace: int, data: bytes, asker: Asker) -> ForwardedQuery:
    """Send a query from within a network namespace. Raises OSError."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    sock = loop.platform.open_socket(namespace, family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect((server, DNS_PORT))
        sock.send(data)
    except OSError:
        sock.close()
        raise
    return ForwardedQuery(loop, sock, asker)
