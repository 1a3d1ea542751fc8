"""UDP sockets in the loop: those that pods' DNS queries and gateways' clients come by, and those to one peer each."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from socket import SocketType
from typing import Final

from ..addresses import ADDRESSES, show
from ..dns.nameserver import Entrance, Nameserver, Peer
from ..network import Asker, Datagram
from ..transport import Buffer
from ..udp.session import ClientEntrance, Ends
from ..udp.sessions import Sessions
from .lane import Lane
from .loop import Loop

#: The longest datagram; neither DNS nor a gateway's clients have another bound.
LONGEST: Final = 65_535

#: Datagrams that are read of one socket in one turn of the loop.
QUANTUM: Final = 32

#: Bytes that the kernel keeps of what a peer sends until the loop comes to it: a gateway has many of these sockets.
RECEIVED: Final = 64 * 1024

#: Asks which address of ours a datagram came to, and says which one an answer is to come from (ip(7)); Python's name
#: for it is newer than the oldest Python here. IPv6 has two (ipv6(7)).
IP_PKTINFO: Final = 8

#: Asks how many hops a datagram had left. A socket of IPv6 hears of IPv4's datagrams, too, and they have IPv4's.
IP_RECVTTL: Final = 12

#: Room for the address, in6_pktinfo being the longer one with 20 bytes, and for the hops, an int.
SPACE: Final = socket.CMSG_SPACE(20) + socket.CMSG_SPACE(4)


class QuerySocket(Entrance):
    """One of the sockets inside a pod that the kernel sends its queries to, shared with the other workers; `slot` tells
    the server that they are meant for."""

    __slots__ = ("loop", "sock", "fd", "slot", "server")

    def __init__(self, loop: Loop, sock: socket.socket, slot: int, server: Nameserver) -> None:
        lane = loop.lanes.known[server.pod.outlet.lane]
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.slot = slot
        self.server = server
        sock.setblocking(False)
        loop.watch(self.fd, self, True, lane)

    def readable(self) -> None:
        for _ in range(QUANTUM):
            try:
                wire, peer = self.sock.recvfrom(LONGEST)
            except BlockingIOError:
                return
            self.server.received(wire, self, peer)
            if time.monotonic() >= self.loop.over:
                return

    def nameserver(self) -> str:
        return self.loop.platform.nameserver(self.sock, self.slot)

    def reply(self, answer: bytes, peer: Peer) -> None:
        with suppress(OSError):
            self.sock.sendto(answer, peer)

    def close(self) -> None:
        self.loop.unwatch(self.fd)
        self.loop.released.append(self.sock)


class ClientSocket(ClientEntrance):
    """This worker's socket of a gateway's UDP port; a successor has the same one."""

    __slots__ = ("loop", "sock", "fd", "sessions", "_port")

    def __init__(self, loop: Loop, sock: socket.socket, sessions: Sessions) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.sessions = sessions
        self._port: int = sock.getsockname()[1]
        sock.setblocking(False)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        loop.watch(self.fd, self, False, loop.lanes.known[sessions.pod.outlet.lane])

    def readable(self) -> None:
        view = self.loop.view
        for _ in range(QUANTUM):
            try:
                size, ancillary, _, client = self.sock.recvmsg_into([view[:LONGEST]], SPACE)
            except BlockingIOError:
                return
            own, hops = arrival(ancillary)
            self.sessions.received(view[:size], self, (client, own), hops)
            if time.monotonic() >= self.loop.over:
                return

    def reply(self, data: bytes, ends: Ends) -> bool:
        client, own = ends
        try:
            self.sock.sendmsg((data,), answering_from(own), 0, client)
        except OSError:
            return False
        return True

    def name(self, ends: Ends) -> str:
        if not ends[1]:
            return show(self.sock.getsockname())
        return show((socket.inet_ntop(self.sock.family, ends[1]), self._port))

    def leave(self) -> None:
        """Take no more; answers still go back."""
        self.loop.unwatch(self.fd)

    def close(self) -> None:
        self.leave()
        self.loop.released.append(self.sock)


def arrival(ancillary: Iterable[tuple[int, int, bytes]]) -> tuple[bytes, int]:
    """The address that a datagram came to, and the hops that it has left."""
    own, hops = b"", 0
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP:
            if kind == IP_PKTINFO:
                own = data[8:12]  # in_pktinfo: ipi_ifindex, ipi_spec_dst, ipi_addr
            elif kind == socket.IP_TTL:
                hops = int.from_bytes(data, sys.byteorder)
        elif kind == socket.IPV6_PKTINFO:
            own = data[:16]  # in6_pktinfo: ipi6_addr, ipi6_ifindex
        elif kind == socket.IPV6_HOPLIMIT:
            hops = int.from_bytes(data, sys.byteorder)
    return own, hops


def answering_from(own: bytes) -> list[tuple[int, int, bytes]]:
    """What has an answer come from that address, by whatever interface leads to the client."""
    if len(own) == 4:
        return [(socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + own + bytes(4))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, own + bytes(4))] if own else []


class PeerSocket(Datagram):
    """Datagrams to one peer, and from nobody else."""

    __slots__ = ("loop", "sock", "fd", "asker", "closed", "_hops")

    def __init__(self, loop: Loop, lane: Lane, sock: SocketType, asker: Asker) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.asker = asker
        self.closed = False
        self._hops = 0  # the socket's, 0: the kernel's own
        loop.watch(self.fd, self, False, lane)

    def readable(self) -> None:
        for _ in range(QUANTUM):
            try:
                data = self.sock.recv(LONGEST)
            except BlockingIOError:
                return
            except OSError as error:  # ICMP: nobody listens there, or no way leads there
                self.asker.lost(error)
                return
            self.asker.heard(data)
            if self.closed or time.monotonic() >= self.loop.over:
                return

    def send(self, data: Buffer, hops: int = 0) -> bool:
        if hops != self._hops:  # a client's datagrams have the same, mostly
            self._hops = hops
            if self.sock.family == socket.AF_INET6:
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            else:
                self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        try:
            self.sock.send(data)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.closed = True
        self.loop.unwatch(self.fd)
        self.loop.released.append(self.sock)


def open_datagrams(loop: Loop, lane: Lane, peer: tuple[str, int], namespace: int, asker: Asker) -> PeerSocket:
    """A socket for datagrams to a peer, on a pod's account from within a network namespace. Raises OSError."""
    address = ADDRESSES[peer]
    if address.family == int(socket.AF_UNIX):
        raise OSError(errno.EAFNOSUPPORT, "a unix socket takes no datagrams here")
    sock = loop.platform.open_socket(namespace, address.family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
        sock.connect(address.sockaddr)
    except OSError:
        sock.close()
        raise
    return PeerSocket(loop, lane, sock, asker)
