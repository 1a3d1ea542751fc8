"""A server that answers whatever it is asked with one text."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def answering(server: socket.socket, body: str) -> Iterator[list[bytes]]:
    """Serve at a socket that is bound, one request a connection; what it was asked."""
    asked: list[bytes] = []
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield asked
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
