"""What is set on sockets, and asked of them."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from fcntl import ioctl
from socket import SocketType
from sys import byteorder
from termios import FIONREAD
from typing import Final

from ...routing.decision import Keepalive

#: Options, as numbers of ours: what a module of the standard library has is looked up each time.
TCP: Final = int(socket.IPPROTO_TCP)
TCP_NODELAY: Final = int(socket.TCP_NODELAY)
TCP_INFO: Final = int(socket.TCP_INFO)

#: The state that TCP_INFO tells first (include/net/tcp_states.h).
TCP_ESTABLISHED: Final = 1

#: (onoff, linger) of SO_LINGER that turns close() into a RST.
RESET_ON_CLOSE: Final = b"\1\0\0\0\0\0\0\0"


def stands(sock: SocketType) -> bool:
    """Whether the connection is made, and whole. Connecting, just begun, may be done by then: so it is with a peer on
    this machine, which answers within the call. To ask costs less than the event would."""
    return sock.getsockopt(TCP, TCP_INFO, 1)[0] == TCP_ESTABLISHED


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


def reset_on_close(sock: SocketType) -> None:
    """Let closing send a RST."""
    with suppress(OSError):  # nothing may be left to reset
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def error_of(sock: SocketType) -> OSError:
    """The socket's pending error, which is cleared by this; its errno is 0 where there is none."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return OSError(code, errno.errorcode.get(code, ""))


def unread(fd: int) -> int:
    """Bytes that have come and are not read yet."""
    size = bytearray(4)
    ioctl(fd, FIONREAD, size)
    return int.from_bytes(size, byteorder)


def is_over(sock: SocketType) -> bool:
    """Whether the peer has sent its FIN or a reset, and nothing before it that is still to be read."""
    if stands(sock):  # as most do: half the cost of an exception
        return False
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
