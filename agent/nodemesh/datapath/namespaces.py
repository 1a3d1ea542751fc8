"""Sockets in other network namespaces, by setns(2) on the calling thread: there and back takes about 4 µs.

A socket belongs to the namespace in which it was made, for good, and to the cgroup of the process that made it: the
agent's sockets in a pod's namespace are not hooked."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from ipaddress import ip_address
from socket import SocketType

_CLONE_NEWNET = 0x40000000
#: asm-generic/socket.h; Linux 5.14
SO_NETNS_COOKIE = 71
_BACKLOG = 4096

_libc = ctypes.CDLL(None, use_errno=True)
_setns = _libc.setns


class _Home:
    """The agent's own namespace, to come back to. One for the process: no thread stays elsewhere."""

    fd = -1
    pid = 0


def _home() -> int:
    if _Home.pid != os.getpid():
        _Home.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _Home.pid = os.getpid()
    return _Home.fd


def _enter(fd: int) -> None:
    if _setns(fd, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot enter network namespace: {os.strerror(code)}")


def open_socket(netns_fd: int, family: int, type: int = socket.SOCK_STREAM, protocol: int = 0) -> SocketType:
    """A blocking, close-on-exec socket in the namespace behind `netns_fd`. Raises OSError."""
    home = _home()
    _enter(netns_fd)
    try:
        return SocketType(family, type, protocol)
    finally:
        # Failing here would leave the thread in the pod's namespace: the error goes up and must end the process.
        _enter(home)


def open_listener(netns_fd: int, address: str, port: int) -> socket.socket:
    """A non-blocking TCP listener in the namespace. Port 0 lets the kernel choose. Raises OSError: EADDRINUSE where the
    pod listens there itself, EADDRNOTAVAIL where it has no such address (IPv6 switched off)."""
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    listener = socket.socket(fileno=open_socket(netns_fd, family).detach())
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def open_datagrams(netns_fd: int, address: str, port: int) -> socket.socket:
    """A non-blocking UDP socket at that address of the namespace. Raises OSError as `open_listener` does."""
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    sock = socket.socket(fileno=open_socket(netns_fd, family, socket.SOCK_DGRAM).detach())
    try:
        sock.setblocking(False)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def netns_cookie(sock: socket.socket) -> int:
    """The kernel's number of the socket's network namespace (SO_NETNS_COOKIE, Linux 5.14), as programs see it."""
    cookie: int = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
    return cookie


def netns_fd(pid: int) -> int:
    """A descriptor of the process's network namespace. Raises FileNotFoundError (no such process), PermissionError."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
