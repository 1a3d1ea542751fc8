"""The plain listeners of `--expose`: each connection counts as if the client had dialled HOST:PORT from inside."""

from __future__ import annotations

import os
import socket

from ..registry.snapshot import Snapshot
from ..routing.client import Client
from .listeners import Listeners
from .options import Address, RunOptions
from .pods import client_of
from .store import Kept


def client_from(snapshot: Snapshot, text: str) -> Client:
    """The client that `--as` names: a pod that the registry knows, else one without labels. A bare name is a
    namespace."""
    namespace, _, name = text.partition("/")
    pod = snapshot.workloads.get(f"{namespace}/{name}") if name else None
    return client_of(pod) if pod is not None else Client(namespace=namespace, name=name)


class Exposed:
    """Announces the listeners that the supervisor opened before anything else was started."""

    def __init__(self, options: RunOptions, listeners: Listeners) -> None:
        self._options = options
        self._listeners = listeners

    def open(self, kept: dict[str, Kept], snapshot: Snapshot) -> None:
        """Announce all; the descriptors in `kept` are the listeners' from now on."""
        client = client_from(snapshot, self._options.client)
        for expose in self._options.expose:
            entry = kept[expose.name]
            left = self._listeners.left(expose.name)
            if left is not None:
                os.close(entry.fd)  # the same socket, announced before
            self._listeners.add(expose.name, left or (entry.fd,), client, (expose.host, expose.port))

    def clients(self, snapshot: Snapshot) -> list[Client]:
        """Who speaks through the listeners, if there are any."""
        return [client_from(snapshot, self._options.client)] if self._options.expose else []

    def update(self, snapshot: Snapshot) -> None:
        """The client's labels may have changed."""
        client = client_from(snapshot, self._options.client)
        for expose in self._options.expose:
            self._listeners.update(expose.name, client)


def bound_address(fd: int) -> Address:
    """Where a listening TCP socket listens."""
    sock = socket.socket(fileno=fd)
    try:
        host, port = sock.getsockname()[:2]
    finally:
        sock.detach()
    return Address(host, port)
