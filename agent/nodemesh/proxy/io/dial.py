"""Outgoing connections: the socket, its options, and how far connecting has come at once."""

from __future__ import annotations

import errno
import socket
from socket import SocketType
from typing import Final

from ...routing.decision import Keepalive
from ..addresses import Address
from .platform import Platform

AF_UNIX: Final = int(socket.AF_UNIX)

#: The state that TCP_INFO tells first (include/net/tcp_states.h).
TCP_ESTABLISHED: Final = 1


def dial(
    platform: Platform, address: Address | None, namespace: int, keepalive: Keepalive | None
) -> tuple[SocketType, int]:
    """A socket that connects to an endpoint's address, from within the network namespace with this fd, and the error so
    far: 0 where it stands already, EINPROGRESS where that is not known yet."""
    try:
        if address is None:
            raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
        if address.family == AF_UNIX:
            sock = platform.open_socket(-1, AF_UNIX)
        else:
            sock = platform.open_socket(namespace, address.family)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if keepalive is not None:
                keep_alive(sock, keepalive)
        error = sock.connect_ex(address.sockaddr)
    except OSError as failure:
        # another socket stands in until the failure is told
        return SocketType(socket.AF_UNIX, socket.SOCK_STREAM), failure.errno or errno.ECONNREFUSED
    return sock, 0 if error == errno.EINPROGRESS and stands(sock) else error


def stands(sock: SocketType) -> bool:
    """Whether connecting, just begun, is done: so it is with a peer on this machine, which answers within the call. To
    ask costs less than the event would."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED


def keep_alive(sock: SocketType, keepalive: Keepalive) -> None:
    """Let TCP ask from time to time whether an upstream is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPCNT, keepalive.probes),
        (socket.TCP_KEEPIDLE, keepalive.time),
        (socket.TCP_KEEPINTVL, keepalive.interval),
    ):
        if value:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
