"""Outgoing connections: the socket, its options, and how far connecting has come at once."""

from __future__ import annotations

import errno
import os
import socket
from socket import SocketType
from typing import Final

from ...routing.decision import Keepalive
from ..addresses import Address
from .beneath import find
from .options import TCP, TCP_NODELAY, keep_alive, stands
from .platform import Platform

AF_UNIX: Final = int(socket.AF_UNIX)
EINPROGRESS: Final = int(errno.EINPROGRESS)


def dial(
    platform: Platform, address: Address | None, namespace: int, keepalive: Keepalive | None
) -> tuple[SocketType, bool]:
    """A socket that connects to an endpoint's address, from within the network namespace with this fd, and whether it
    stands already. Raises OSError where it cannot be made, or is refused at once."""
    if address is None:
        raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
    if address.family == AF_UNIX:
        return dial_unix(platform, str(address.sockaddr), namespace)
    if namespace < 0 and address.port == platform.admin_port and address.port and is_own(address):
        raise OSError(errno.EACCES, "it is the agent's own admin API")
    sock = platform.open_socket(namespace, address.family)
    try:
        sock.setsockopt(TCP, TCP_NODELAY, 1)
        if keepalive is not None:
            keep_alive(sock, keepalive)
        error = sock.connect_ex(address.sockaddr)
        if error and error != EINPROGRESS:
            raise OSError(error, errno.errorcode.get(error, ""))
        return sock, not error or stands(sock)
    except OSError:
        sock.close()
        raise


def dial_unix(platform: Platform, place: str, namespace: int) -> tuple[SocketType, bool]:
    """A unix socket, for who has the agent's own file system: one whose connections leave from a namespace of its own
    (a pod) has not. Where only some folders may be named, it lies below one, and is no abstract one (`@name`), which
    lies nowhere. Raises OSError."""
    if namespace >= 0:
        raise OSError(errno.EACCES, "a pod's connections lead to no unix socket of the node")
    abstract = place.startswith("@")
    if abstract and platform.folders is not None:
        raise OSError(errno.EACCES, "it lies in no folder of MeshConfig's allowedFolders")
    found = -1 if abstract else find(place, platform.folders)
    try:
        sock = platform.open_socket(-1, AF_UNIX)
        try:
            sock.connect("\0" + place[1:] if abstract else f"/proc/self/fd/{found}")
        except OSError:
            sock.close()
            raise
    finally:
        if found >= 0:
            os.close(found)
    return sock, True


def is_own(address: Address) -> bool:
    """Whether an address is this machine's: then, and only then, a socket can have it."""
    sock = SocketType(address.family, socket.SOCK_STREAM)
    try:
        sock.bind((str(address.sockaddr[0]), 0))
    except OSError:
        return False
    finally:
        sock.close()
    return True
