"""What a worker asks of the machine below it; the plain platform of a worker without eBPF (`--expose`)."""

from __future__ import annotations

import os
import socket
from socket import SocketType
from typing import Any, Final

from mypy_extensions import mypyc_attr

#: Asked for like this, a socket needs no further system call to be non-blocking.
STREAM: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK


@mypyc_attr(allow_interpreted_subclasses=True)
class AppQueue:
    """Bytes that went to an app without TCP and wait for it to read them. Nothing else bounds them than who writes."""

    __slots__ = ()

    def depth(self, small: bool) -> int:
        """So many bytes wait; negative where the app gets all its bytes by TCP, which is decided when this is first
        asked, before anything is written: so it is where the first answer is `small`, and where the kernel finds that
        the app is not of the right kind. Costs a system call. Raises OSError."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Platform:
    """The plain platform: every listener knows its destination, and upstream sockets are the worker's own. The node
    package derives the one that works with eBPF. Unix sockets of the worker's own file system are upstreams below
    `folders` alone, anywhere where that is None. The agent's own API at `admin_port` is nobody's upstream."""

    folders: tuple[str, ...] | None = None
    admin_port: int = 0

    def original_destination(self, connection: SocketType, peer: tuple[Any, ...]) -> tuple[str, int] | None:
        """The address that the client dialled, None if it is not known. `peer` is the address that accept() gave: a
        client that has reset the connection since cannot be asked for it any more."""
        return None

    def app_queue(self, connection: SocketType) -> AppQueue | None:
        """Asked right after `original_destination` has told one: where the app's end is of the kind that the kernel can
        hand bytes to without TCP, ours becomes so, too, and this is the app's queue of them."""
        return None

    def beat(self) -> None:
        """The data plane lives: called from the loop at least every 0.5 s."""

    def nameserver(self, sock: socket.socket, slot: int) -> str:
        """The server that queries to this socket, which stands for that slot of its pod, are meant for; empty where
        nobody knows."""
        return ""

    def open_socket(self, namespace_fd: int, family: int, kind: int = STREAM) -> SocketType:
        """A non-blocking socket inside the network namespace with this fd; -1 stands for the worker's own. It is a bare
        one: what socket.socket adds to it (files, `with`) costs a short connection 2 % of its CPU.

        Raises OSError, also where the platform knows no namespaces."""
        if namespace_fd >= 0:
            raise OSError("sockets in other network namespaces need the eBPF data path")
        return SocketType(family, kind)

    def set_sockmap(self, fds: list[int]) -> None:
        """Bytes may skip TCP from now on: the program that tells a queue's depth. The fds are ours from here on."""
        for fd in fds:
            os.close(fd)

    def set_maps(self, fds: list[int], slot: int) -> None:
        """The kernel's maps (original destinations, heartbeats, nameservers, sockets) and this worker's slot among the
        heartbeats; the fds are ours from here on."""
        for fd in fds:
            os.close(fd)
