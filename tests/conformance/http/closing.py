"""How a connection ends: reset from this side, or closed by the proxy."""

from __future__ import annotations

import socket
import struct


def reset(sock: socket.socket) -> None:
    """Close with a RST (SO_LINGER with no time, socket(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def ended(sock: socket.socket) -> bool:
    """Whether the proxy closes the connection, within the socket's time."""
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
