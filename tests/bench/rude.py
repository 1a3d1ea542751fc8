"""Clients that leave when they should not: in the middle of a head, of an upload, of an answer; by FIN and by RST."""

from __future__ import annotations

import contextlib
import socket
import struct

from . import rules
from .proxy import LOOPBACK, Proxy

HOST = f"host: {rules.HOST}\r\n".encode()

#: What each client says, and how many bytes of the answer it still reads.
CONVERSATIONS = {
    "in the middle of the head": (b"GET /1m HTTP/1.1\r\nhost: rev", 0),
    "in the middle of an upload": (
        b"PUT /put/rude HTTP/1.1\r\n%scontent-length: 100000\r\n\r\n" % HOST + b"x" * 5000,
        0,
    ),
    "in the middle of a chunk": (b"PUT /put/rude HTTP/1.1\r\n%stransfer-encoding: chunked\r\n\r\nfff\r\nxx" % HOST, 0),
    "in the middle of an answer": (b"GET /1m HTTP/1.1\r\n%s\r\n" % HOST, 20_000),
    "with an answer to come": (b"GET /1m HTTP/1.1\r\n%s\r\n" % HOST, 0),
    "with a second answer to come": (b"GET /10k HTTP/1.1\r\n%s\r\n" % HOST * 2, 5_000),
}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


def visit(proxy: Proxy, times: int = 8) -> None:
    """Each conversation that many times with a FIN at its end, and as often with an RST."""
    for said, reads in CONVERSATIONS.values():
        for number in range(2 * times):
            left = reads
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, proxy.port), timeout=5) as peer:
                if number % 2:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                peer.sendall(said)
                while left > 0 and (piece := peer.recv(min(left, 4096))):
                    left -= len(piece)
